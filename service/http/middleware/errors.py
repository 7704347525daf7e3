"""``Problems``: errors of the service, of FastAPI and of Starlette become problem+json (``responses.problems``)."""

import logging
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import (
    BadRequest,
    ClientLeft,
    InternalError,
    NoRoom,
    NotFound,
    PayloadTooLarge,
    RequestTimeout,
    ServiceError,
    Unavailable,
)
from service.http.metrics import Metrics
from service.http.middleware.methods import allowed_methods
from service.http.middleware.request_body import EndsEarly
from service.http.responses.problems import plain_problem_response, problem_response
from service.http.schemas import FieldProblem

OURS = {kind.status: kind for kind in (BadRequest, NotFound, RequestTimeout, PayloadTooLarge, ClientLeft, NoRoom)}
"""Errors of our tree that are raised as an ``HTTPException``."""

log = logging.getLogger(__name__)


class Problems:
    """Responds to errors of the tree, and to unexpected ones: with a generic text, and a log entry."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap ``app``."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def noted_send(message: Message) -> None:
            nonlocal has_begun
            await send(message)
            has_begun = True  # unless the outermost middleware refused it

        try:
            await self._app(scope, receive, noted_send)
        except Exception as raised:
            if isinstance(raised, ServiceError):
                error, reason = raised, type(raised).__name__
            else:
                log.exception("an endpoint failed")
                error, reason = InternalError(InternalError.example), "Unexpected"
            if not has_begun:
                self._metrics.rejected.labels(reason).inc()
                await problem_response(error, scope["state"]["request_id"])(scope, receive, send)


def add_problem_handlers(app: FastAPI) -> None:
    """Respond to errors of FastAPI and Starlette with a problem."""
    app.add_exception_handler(RequestValidationError, _invalid_fields)
    app.add_exception_handler(HTTPException, _http_error)


async def _invalid_fields(request: Request, error: Exception) -> Response:
    """Translate Pydantic's errors: each with its field, what was got and what is allowed."""
    error = cast(RequestValidationError, error)
    sent = error.body if isinstance(error.body, FormData) else FormData()
    problems = [
        FieldProblem(field=field, detail=_detail(problem, is_empty=sent.get(field) == ""))
        for problem in error.errors()
        for field in [str(problem["loc"][1]) if len(problem["loc"]) > 1 else "body"]
    ]
    request.app.state.context.metrics.rejected.labels("InvalidField").inc()
    detail = "; ".join(f"{problem.field}: {problem.detail}" for problem in problems)
    return plain_problem_response(422, "Invalid value", detail, request.state.request_id, problems)


def _detail(problem: dict[str, Any], is_empty: bool) -> str:
    if problem["type"] == "missing" and is_empty:
        return "this field is empty: send a value"
    if problem["type"] == "missing":
        return "this field is missing: send it as a part of a multipart/form-data body"
    if "UploadFile" in problem["msg"]:
        return "got text, allowed is a file: send it as a part with a file name"
    if problem["type"] == "string_too_short" and not problem["input"]:
        return "this field is empty: send a value"
    if problem["type"] == "string_too_long":
        length, limit = len(problem["input"]), problem["ctx"]["max_length"]
        return f"got {length} characters, at most {limit} are allowed: shorten it"
    given = problem.get("input")
    got = f"got {given!r:.80}: " if isinstance(given, str | int | float) else ""
    message: str = problem["msg"]
    return got + message.removeprefix("Value error, ")


async def _http_error(request: Request, error: Exception) -> Response:
    """Translate Starlette's errors: no such path, method not allowed, a body that is not what its header says."""
    error = cast(HTTPException, error)
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno:  # the system's, which FastAPI takes for a malformed body
        log.error("an upload could not be kept in the temporary folder: %s", cause)
        request.app.state.context.metrics.rejected.labels(Unavailable.__name__).inc()
        return problem_response(
            Unavailable("there is no room for the files of this request at the moment: try again later"),
            request.state.request_id,
        )
    kind, status = OURS.get(error.status_code), error.status_code
    title = kind.title if kind else HTTPStatus(status).phrase
    reason = kind.__name__ if kind else title.title().replace(" ", "")
    request.app.state.context.metrics.rejected.labels(reason).inc()
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(allowed_methods(request.app, request.scope))
    response = plain_problem_response(status, title, _http_detail(request, error, headers), request.state.request_id)
    response.headers.update(headers)
    return response


def _http_detail(request: Request, error: HTTPException, headers: dict[str, str]) -> str:
    path = request.url.path
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"there is nothing at {path!r:.80}: /docs lists what there is"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not possible at {path!r:.80}, allowed is {headers['Allow']}"
    if error.status_code == HTTPStatus.BAD_REQUEST and not isinstance(error, EndsEarly):
        said = str(error.detail).rstrip(".")
        return f"the body cannot be read ({said}): send multipart/form-data, with the boundary that its header names"
    return str(error.detail)
