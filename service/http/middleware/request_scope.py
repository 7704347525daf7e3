"""``RequestScope``: gives each request an id, a log line, and its time in the metrics."""

import logging
import re
from time import monotonic
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.metrics import Metrics
from service.logs import request_context

REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)

PROBES = ("/healthz", "/readyz", "/metrics")
"""Requested every few seconds: logged at level debug."""

CLIENT_LEFT = 499
"""Status logged for a client that left before the response began."""

log = logging.getLogger(__name__)


class RequestScope:
    """Must be outside of all middleware that responds."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap ``app``."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = monotonic(), CLIENT_LEFT

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with request_context(request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                route = getattr(scope.get("route"), "path", "unmatched")
                seconds = monotonic() - started
                self._metrics.requests.labels(scope["method"], route, str(status)).observe(seconds)
                client = scope["state"].get("client")
                fields = {
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round(seconds * 1000),
                    **({} if client is None else {"client": client}),
                }
                log.log(logging.DEBUG if route in PROBES else logging.INFO, "request", extra=fields)
