"""``Admission``: refuses synchronous requests while the queue is full, before their bodies are read.

Reading and checking a body costs more than all the rest of a refusal. Under overload that would be taken from the
workers that share the machine.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.idempotency import FIELD
from service.http.responses.jobs import prefers_async
from service.queue.replies import Dispatcher


class Admission:
    """Lets pass what may not need the queue's interactive lane: a repeated request, or one that is given more time."""

    def __init__(self, app: ASGIApp, dispatcher: Dispatcher) -> None:
        """Wrap ``app``."""
        self._app = app
        self._dispatcher = dispatcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request.

        Raises:
            QueueFull: The queue was full a moment ago.
        """
        if scope["type"] == "http" and scope["method"] == "POST":
            headers = Headers(scope=scope)
            if FIELD not in headers and not prefers_async(headers.get("prefer")):
                self._dispatcher.require_room(scope["state"]["client"] or "")
        await self._app(scope, receive, send)
