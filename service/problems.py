"""Errors as ``application/problem+json`` (RFC 9457): ours, and FastAPI's in our form."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from service.errors import BadRequest, NotFound, PayloadTooLarge, ServiceError, Unavailable
from service.schemas import FieldProblem, Problem

MEDIA_TYPE = "application/problem+json"
SCHEMA = {"$ref": "#/components/schemas/Problem"}

OURS = {kind.status: kind for kind in (BadRequest, NotFound, PayloadTooLarge)}
"""Errors of the tree that Starlette raises as an ``HTTPException``."""


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` as a problem, and document it so."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _invalid_fields)
    app.add_exception_handler(HTTPException, _http_error)
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        return _with_problems(generate())

    app.openapi = openapi  # type: ignore[method-assign]


def problem_of(error: ServiceError, request_id: str) -> Problem:
    """One of our errors, for who sent the request."""
    fields = (FieldProblem(field=error.field, detail=error.detail),) if error.field else ()
    return Problem(
        title=error.title, status=error.status, detail=error.detail, instance=f"/requests/{request_id}", errors=fields
    )


def problem_response(error: ServiceError, request_id: str) -> Response:
    """The answer to one of our errors."""
    response = Response(problem_of(error, request_id).model_dump_json(), error.status, media_type=MEDIA_TYPE)
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def problem_statuses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For an endpoint's documentation: these statuses are answered with a problem."""
    return {status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in statuses}


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI documents its own form of errors, and ours as plain JSON; what is sent is a problem."""
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    response["content"] = {MEDIA_TYPE: {"schema": SCHEMA}}
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def _response(status: int, title: str, detail: str, request_id: str, errors: Sequence[FieldProblem] = ()) -> Response:
    problem = Problem(
        title=title, status=status, detail=detail, instance=f"/requests/{request_id}", errors=tuple(errors)
    )
    return Response(problem.model_dump_json(), status, media_type=MEDIA_TYPE)


async def _service_error(request: Request, error: Exception) -> Response:
    error = cast(ServiceError, error)
    request.app.state.context.metrics.rejected.labels(type(error).__name__).inc()
    return problem_response(error, request.state.request_id)


async def _invalid_fields(request: Request, error: Exception) -> Response:
    """Pydantic's list of problems, as ours: each with its field, what was got and what is allowed."""
    problems = [
        FieldProblem(field=str(problem["loc"][1]) if len(problem["loc"]) > 1 else "body", detail=_detail(problem))
        for problem in cast(RequestValidationError, error).errors()
    ]
    request.app.state.context.metrics.rejected.labels("InvalidField").inc()
    detail = "; ".join(f"{problem.field}: {problem.detail}" for problem in problems)
    return _response(422, "Invalid value", detail, request.state.request_id, problems)


def _detail(problem: dict[str, Any]) -> str:
    if problem["type"] == "missing":
        return "this field is missing: send it as a part of a multipart/form-data body"
    if "UploadFile" in problem["msg"]:
        return "got text, allowed is a file: send it as a part with a file name"
    given = problem.get("input")
    got = f"got {given!r:.80}: " if isinstance(given, str | int | float) else ""
    message: str = problem["msg"]
    return got + message.removeprefix("Value error, ")


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own: no such path, method not allowed, a body that is not what its header says."""
    error = cast(HTTPException, error)
    kind, phrase = OURS.get(error.status_code), HTTPStatus(error.status_code).phrase
    reason, title = (kind.__name__, kind.title) if kind else (phrase.title().replace(" ", ""), phrase)
    request.app.state.context.metrics.rejected.labels(reason).inc()
    response = _response(error.status_code, title, _http_detail(request, error), request.state.request_id)
    response.headers.update(error.headers or {})
    return response


def _http_detail(request: Request, error: HTTPException) -> str:
    path = request.url.path
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"there is nothing at {path!r:.80}: /docs lists what there is"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not possible at {path!r:.80}, allowed is {(error.headers or {}).get('Allow')}"
    if error.status_code == HTTPStatus.BAD_REQUEST:
        said = str(error.detail).rstrip(".")
        return f"the body cannot be read ({said}): send multipart/form-data, with the boundary that its header names"
    return str(error.detail)
