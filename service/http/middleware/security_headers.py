"""``SecurityHeaders``: limits what a browser may do with responses.

A response of the API is data: a browser that opens one as a page may load and run nothing, nor show it in a frame.
Pages have a policy of their own in ``POLICIES``.

``Strict-Transport-Security`` is left to the proxy that ends TLS.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
"""Policies by path of a page. Files that browsers must get without a key are named in ``key_guard.OPEN_FOLDERS``."""


class SecurityHeaders:
    """Adds the headers to every response; a header that an endpoint has set stays."""

    def __init__(self, app: ASGIApp, is_shared: bool) -> None:
        """Wrap ``app``; ``is_shared`` lets pages of other origins show images from here."""
        self._app = app
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

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", POLICIES.get(scope["path"], API_POLICY))
            await send(message)

        await self._app(scope, receive, send_with_headers)
