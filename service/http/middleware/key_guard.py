"""``KeyGuard``: where API keys are set, only who sends one gets further.

Closed is the rule, so that a new route is closed: also a path that does not exist answers 401 without a key. Open are
the probes, because orchestrators have no key; and the pages with their scripts, because a browser that follows a link
sends none: they are the same for everybody, and what they show they fetch with the key that a person types in.
``/metrics`` is closed, since it tells what others do: Prometheus sends a key with ``authorization: {credentials: …}``.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api_keys import KeyRing
from service.errors import Unauthorized

OPEN = frozenset({"/healthz", "/readyz", "/", "/docs", "/openapi.json"})
OPEN_FOLDERS = ("/docs/", "/web/")

SCHEME = "bearer"


class KeyGuard:
    """Finds out who asks: ``request.state.client`` is the name of the key, ``None`` where nobody needs one."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        """Wrap ``app``; without keys, everybody gets through."""
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request.

        Raises:
            Unauthorized: It has no key, or not one of ours.
        """
        if scope["type"] == "http":
            state = scope.setdefault("state", {})
            state["client"] = None
            if self._keys and not is_open(scope["path"]):
                state["client"] = self._client(Headers(scope=scope).getlist("authorization"))
        await self._app(scope, receive, send)

    def _client(self, authorization: list[str]) -> str:
        """The name of the key in the header ``Authorization``; what is wrong is said without repeating it."""
        if not authorization:
            raise Unauthorized("no API key was sent: send the header `Authorization: Bearer KEY`")
        scheme, _, secret = authorization[0].partition(" ")
        if len(authorization) > 1 or scheme.lower() != SCHEME or not secret.strip():
            raise Unauthorized("the header `Authorization` is not understood: send it once, as `Bearer KEY`")
        client = self._keys.name_of(secret.strip())
        if client is None:
            raise Unauthorized(
                "this API key is not known here: check it, or ask who runs the service for one", is_invalid=True
            )
        return client


def is_open(path: str) -> bool:
    """Whether a path is answered without a key."""
    return path in OPEN or path.startswith(OPEN_FOLDERS)
