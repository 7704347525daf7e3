"""``Clients``: refuses requests without a valid API key, if the settings have keys, and too many of one key at once.

Every path is closed unless it is listed here, so a new route is closed, and an unknown path responds 401 too. Open are
the probes, because orchestrators have no key; and the pages with their scripts, because a browser that follows a link
sends none: they hold nothing secret, and fetch the rest with the key that a person types in. ``/metrics`` is closed,
since it shows what others do: Prometheus sends a key with ``authorization: {credentials: …}``.

Only POST counts, since other requests bring no work. A request counts from its header to the beginning of its response,
not to the end: so a client that sends one request after the other is never stopped by its own last one, nor by a
response that is read slowly. A job that it brings counts until that has ended (``queue.scripts``).
"""

import asyncio
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api_keys import ApiKey, name_of
from service.errors import TooManyRequests, Unauthorized
from service.queue.limits import RunningRequests

OPEN = frozenset({"/healthz", "/readyz", "/", "/docs", "/openapi.json"})
OPEN_FOLDERS = ("/docs/", "/web/")

END_PATIENCE_S = 0.5
"""Time for which a response waits until Redis knows that its request does not count any more."""


class Clients:
    """Sets ``request.state.client`` to the name of the key; to ``None``, which has no limit, where none is needed."""

    def __init__(self, app: ASGIApp, keys: Sequence[ApiKey], running: RunningRequests, most: int) -> None:
        """Wrap ``app``; ``most`` is for the error's text."""
        self._app = app
        self._keys = keys
        self._running = running
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request.

        Raises:
            Unauthorized: It has no key, or an unknown one.
            TooManyRequests: As many requests and jobs of this client are running as are allowed.
            QueueUnreachable: Redis does not answer.
        """
        client = None
        if scope["type"] == "http":
            if self._keys and not is_open(scope["path"]):
                client = self._client(Headers(scope=scope).getlist("authorization"))
            scope["state"]["client"] = client
        if client is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        request_id = await self._running.start(client)
        if request_id is None:
            raise TooManyRequests(
                f"{self._most} requests and jobs of this key run already, which is as many as one key may have: wait"
                " for the end of one"
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

    def _client(self, authorization: list[str]) -> str:
        """Look up the key in the header ``Authorization``; error messages do not repeat it."""
        if not authorization:
            raise Unauthorized("no API key was sent: send the header `Authorization: Bearer KEY`")
        scheme, _, secret = authorization[0].partition(" ")
        if len(authorization) > 1 or scheme.lower() != "bearer" or not secret.strip():
            raise Unauthorized("the header `Authorization` is not understood: send it once, as `Bearer KEY`")
        client = name_of(secret.strip(), self._keys)
        if client is None:
            raise Unauthorized(
                "this API key is not known here: check it, or ask the operator of the service for one", is_invalid=True
            )
        return client


def is_open(path: str) -> bool:
    """Tell whether a path needs no key."""
    return path in OPEN or path.startswith(OPEN_FOLDERS)
