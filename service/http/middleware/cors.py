"""``Cors``: pages of other origins that may call the API from a browser. The only refusal that is ours is explained."""

from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from service.errors import BadRequest
from service.http.responses.problems import problem_response
from service.logs import current_request_id

METHODS = ("GET", "HEAD", "POST", "DELETE")

ACCEPTED = ("Authorization", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Prefer", "X-Request-ID")
"""Request headers that a page may send, beside those that it may send anyway."""

EXPOSED = (
    "Allow",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "Server-Timing",
    "WWW-Authenticate",
    "X-Request-ID",
    "X-Stylize-Batch-Size",
    "X-Stylize-Model",
    "X-Stylize-Seed",
)
"""Headers of answers that a page may read; a browser hides the others."""

MAX_AGE_S = 7200
"""How long a browser may remember what is allowed; none remembers longer than that."""


class Cors(CORSMiddleware):
    """Starlette's, which is pure ASGI. Keys are sent in a header, never by cookies: no credentials are allowed."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        """Wrap ``app``; ``origins`` as the settings have them."""
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=ACCEPTED,
            expose_headers=EXPOSED,
            max_age=MAX_AGE_S,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """204 with what is allowed, or a problem that says what is not."""
        answer = super().preflight_response(request_headers)
        allowed = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
        if answer.status_code < 400:
            return Response(status_code=204, headers=allowed)
        refused = bytes(answer.body).decode().removeprefix("Disallowed CORS ")
        error = BadRequest(
            f"a page of another origin may not do this here, because of its {refused}: STYLIZE_CORS_ORIGINS allows"
            f" origins, the methods are {', '.join(METHODS)} and the headers those of /docs"
        )
        problem = problem_response(error, current_request_id())
        problem.headers.update(allowed)
        return problem
