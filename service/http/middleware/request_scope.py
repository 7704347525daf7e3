"""``RequestScope``: gives each request an id, a log line and its time in the metrics, and each response its headers.

The headers limit what a browser may do with a response. It is data: a browser that opens one as a page may load and run
nothing, nor show it in a frame. Pages have a policy of their own in ``POLICIES``. ``Strict-Transport-Security`` is left
to the proxy that ends TLS.
"""

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

API_POLICY = "default-src 'none'; frame-ancestors 'none'"

POLICIES = {
    # No script makes markup of text here, and none could: Trusted Types refuse it. Pictures it gets are blob: URLs.
    "/": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script';"
    " trusted-types 'none'",
    # Swagger UI styles its elements one by one, draws with data: URLs and shows the pictures it gets as blob: URLs.
    "/docs": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""Policies by path of a page. Files that browsers must get without a key are named in ``clients.OPEN_FOLDERS``."""

log = logging.getLogger(__name__)


class RequestScope:
    """Must be outside of all middleware that responds; a header that an endpoint has set stays."""

    def __init__(self, app: ASGIApp, metrics: Metrics, is_shared: bool) -> None:
        """Wrap ``app``; ``is_shared`` lets pages of other origins show images from here."""
        self._app = app
        self._metrics = metrics
        self._headers = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "cross-origin" if is_shared else "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = monotonic(), CLIENT_LEFT

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                policy = POLICIES.get(scope["path"], API_POLICY)
                for name, value in {**self._headers, "Content-Security-Policy": policy}.items():
                    headers.setdefault(name, value)
            await send(message)

        with request_context(request_id):
            try:
                await self._app(scope, receive, send_with_headers)
            finally:
                self._note(scope, status, monotonic() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.requests.labels(scope["method"], route, str(status)).observe(seconds)
        fields = {"method": scope["method"], "path": scope["path"], "status": status, "ms": round(seconds * 1000)}
        if (client := scope["state"].get("client")) is not None:
            fields["client"] = client
        log.log(logging.DEBUG if route in PROBES else logging.INFO, "request", extra=fields)
