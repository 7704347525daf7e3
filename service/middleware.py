"""Pure ASGI middleware: Starlette's ``BaseHTTPMiddleware`` would hide a client's disconnect from the endpoints."""

import logging
import re
from time import monotonic
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ServiceError
from service.logs import request_context
from service.metrics import Metrics
from service.problems import problem_response

REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)

PROBES = ("/healthz", "/readyz", "/metrics")
"""Asked every few seconds, and worth no line each."""

CLIENT_LEFT = 499
"""Logged for a client that left before its answer began."""

log = logging.getLogger(__name__)


class RequestScope:
    """Gives each request an id, a log line and its time in the metrics; outermost, so that it sees every answer."""

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
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        with request_context(request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                log.exception("an endpoint failed")
                if status == CLIENT_LEFT:
                    error = ServiceError("this is our fault; the request's id helps to find it in the log")
                    self._metrics.rejected.labels("Unexpected").inc()
                    await problem_response(error, request_id)(scope, receive, send_with_id)
            finally:
                seconds = monotonic() - started
                route = getattr(scope.get("route"), "path", "unmatched")
                self._metrics.requests.labels(scope["method"], route, str(status)).observe(seconds)
                fields = {
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round(seconds * 1000),
                }
                log.log(logging.DEBUG if route in PROBES else logging.INFO, "request", extra=fields)


class BodyLimit:
    """Stops reading a body, for a 413, as soon as it is known to be too long: by its header, or while it arrives."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        """Wrap ``app``."""
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        declared_bytes = int(declared) if declared.isdecimal() else 0
        received = 0

        async def limited_receive() -> Message:
            nonlocal received
            if declared_bytes > self._max_body_bytes:
                raise self._too_long(f"{declared_bytes} bytes")
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                raise self._too_long(f"more than {self._max_body_bytes} bytes")
            return message

        await self._app(scope, limited_receive, send)

    def _too_long(self, got: str) -> HTTPException:
        """Of the types that FastAPI's parsing of a body lets pass. What is left of the body will not be read."""
        detail = f"the request has {got}, at most {self._max_body_bytes} bytes are allowed: send smaller images"
        return HTTPException(413, detail, headers={"Connection": "close"})
