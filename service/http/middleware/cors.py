"""``Cors``: lets pages of other origins call the API from a browser, and explains its refusals."""

from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from service.errors import BadRequest
from service.http.responses.problems import problem_response
from service.logs import current_request_id

METHODS = ("GET", "HEAD", "POST", "DELETE")

ACCEPTED = ("Authorization", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Prefer", "X-Request-ID")
"""Request headers that a page may send, besides those that are always allowed."""

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
"""Response headers that a page may read; a browser hides the others."""

MAX_AGE_S = 7200
"""Time for which a browser may remember a preflight response; none remembers it for longer."""


class Cors(CORSMiddleware):
    """Starlette's middleware with problems. Keys are sent in a header, so no credentials (cookies) are allowed."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        """Wrap ``app``; ``origins`` is the setting ``cors_origins``."""
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=ACCEPTED,
            expose_headers=EXPOSED,
            max_age=MAX_AGE_S,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Respond 204 with what is allowed, or with a problem that says what is not."""
        response = super().preflight_response(request_headers)
        allowed = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        if response.status_code < 400:
            return Response(status_code=204, headers=allowed)
        refused = bytes(response.body).decode().removeprefix("Disallowed CORS ")
        error = BadRequest(
            f"the {refused} of this request from a page of another origin is not allowed: STYLIZE_CORS_ORIGINS names"
            f" the origins, the methods are {', '.join(METHODS)} and the headers those of /docs"
        )
        problem = problem_response(error, current_request_id())
        problem.headers.update(allowed)
        return problem
