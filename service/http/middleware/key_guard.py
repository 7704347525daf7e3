"""``KeyGuard``: refuses requests without a valid API key, if the settings have keys.

Every path is closed unless it is listed here, so a new route is closed, and an unknown path responds 401 too. Open are
the probes, because orchestrators have no key; and the pages with their scripts, because a browser that follows a link
sends none: they hold nothing secret, and fetch the rest with the key that a person types in. ``/metrics`` is closed,
since it shows what others do: Prometheus sends a key with ``authorization: {credentials: …}``.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api_keys import KeyRing
from service.errors import Unauthorized

OPEN = frozenset({"/healthz", "/readyz", "/", "/docs", "/openapi.json"})
OPEN_FOLDERS = ("/docs/", "/web/")

SCHEME = "bearer"


class KeyGuard:
    """Sets ``request.state.client`` to the name of the key; to ``None`` where no key is needed."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        """Wrap ``app``; without keys, every request is let through."""
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request.

        Raises:
            Unauthorized: It has no key, or an unknown one.
        """
        if scope["type"] == "http":
            state = scope.setdefault("state", {})
            state["client"] = None
            if self._keys and not is_open(scope["path"]):
                state["client"] = self._client(Headers(scope=scope).getlist("authorization"))
        await self._app(scope, receive, send)

    def _client(self, authorization: list[str]) -> str:
        """Look up the key in the header ``Authorization``; error messages do not repeat it."""
        if not authorization:
            raise Unauthorized("no API key was sent: send the header `Authorization: Bearer KEY`")
        scheme, _, secret = authorization[0].partition(" ")
        if len(authorization) > 1 or scheme.lower() != SCHEME or not secret.strip():
            raise Unauthorized("the header `Authorization` is not understood: send it once, as `Bearer KEY`")
        client = self._keys.name_of(secret.strip())
        if client is None:
            raise Unauthorized(
                "this API key is not known here: check it, or ask the operator of the service for one", is_invalid=True
            )
        return client


def is_open(path: str) -> bool:
    """Tell whether a path needs no key."""
    return path in OPEN or path.startswith(OPEN_FOLDERS)
