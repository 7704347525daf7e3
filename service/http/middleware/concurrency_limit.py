"""``ConcurrencyLimit``: limits how many requests of one client run at once; more get 429.

Only POST counts, since other requests bring no work. A request counts from its header to the beginning of its response,
not to the end: so a client that sends one request after the other is never stopped by its own last one, nor by a
response that is read slowly.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import TooManyRequests
from service.queue.limits import RunningRequests

END_PATIENCE_S = 0.5
"""Time for which a response waits until Redis knows that its request does not count any more."""


class ConcurrencyLimit:
    """Needs ``request.state.client``, which ``KeyGuard`` sets; requests without a client are not limited."""

    def __init__(self, app: ASGIApp, running: RunningRequests, most: int) -> None:
        """Wrap ``app``; ``most`` is for the error's text."""
        self._app = app
        self._running = running
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request.

        Raises:
            TooManyRequests: As many requests of this client are running as are allowed.
            QueueUnreachable: Redis does not answer.
        """
        client = scope["state"]["client"] if scope["type"] == "http" and scope["method"] == "POST" else None
        if client is None:
            await self._app(scope, receive, send)
            return
        request_id = await self._running.start(client)
        if request_id is None:
            raise TooManyRequests(
                f"{self._most} requests with this key run already, which is as many as one key may have: wait for the"
                " answer of one"
            )

        async def end() -> None:
            nonlocal request_id
            if request_id is not None:
                ended, request_id = self._running.end(client, request_id), None
                await asyncio.wait({ended}, timeout=END_PATIENCE_S)

        async def end_then_send(message: Message) -> None:
            await end()
            await send(message)

        try:
            await self._app(scope, receive, end_then_send)
        finally:
            await end()  # before ``Problems`` responds to an error
