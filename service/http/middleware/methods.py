"""``Methods``: every path supports OPTIONS, and HEAD if it supports GET (RFC 9110, section 9.3)."""

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Methods:
    """Responds to HEAD with the header of the response to GET, and to OPTIONS with the methods of the path."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] not in ("HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS" and (allowed := allowed_methods(scope["app"], scope)):
            await Response(status_code=204, headers={"Allow": ", ".join(allowed)})(scope, receive, send)
        elif scope["method"] == "HEAD" and "HEAD" in allowed_methods(scope["app"], scope):
            await self._head(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_header(message: Message) -> None:
            await send(message)
            await send({"type": "http.response.body"})
            raise _HeaderSent  # a response may have no end

        get = {**scope, "method": "GET"}
        try:
            await self._app(get, receive, send_header)
        except _HeaderSent:
            pass
        finally:
            scope.update({name: get[name] for name in ("route", "endpoint") if name in get})  # for log and metrics


class _HeaderSent(Exception):
    """Ends the work on a response of which only the header is wanted."""


def allowed_methods(app: Starlette, scope: Scope) -> list[str]:
    """List the methods of a path; empty if there is no such path."""
    found = [
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]
    if "GET" in found:
        found.insert(1, "HEAD")
    return [*found, "OPTIONS"] if found else []
