"""Errors as ``application/problem+json`` (RFC 9457): ours, and FastAPI's in our form."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from service.errors import ServiceError, Unavailable
from service.schemas import FieldProblem, Problem

MEDIA_TYPE = "application/problem+json"


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` as a problem."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _invalid_fields)
    app.add_exception_handler(HTTPException, _http_error)


def problem_response(error: ServiceError, request_id: str) -> Response:
    """The answer to one of our errors."""
    fields = (FieldProblem(field=error.field, detail=error.detail),) if error.field else ()
    response = _response(error.status, error.title, error.detail, request_id, fields)
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def problem_statuses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For an endpoint's documentation: these statuses are answered with a problem."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"model": Problem, "description": HTTPStatus(status).phrase, "content": content} for status in statuses
    }


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
        FieldProblem(field=".".join(str(part) for part in problem["loc"][1:]) or "body", detail=_detail(problem))
        for problem in cast(RequestValidationError, error).errors()
    ]
    request.app.state.context.metrics.rejected.labels("InvalidField").inc()
    detail = "; ".join(f"{problem.field}: {problem.detail}" for problem in problems)
    return _response(422, "Invalid value", detail, request.state.request_id, problems)


def _detail(problem: dict[str, Any]) -> str:
    if problem["type"] == "missing":
        return "this field is missing: send it as a part of a multipart/form-data body"
    given = problem.get("input")
    got = f"got {given!r:.80}: " if isinstance(given, str | int | float) else ""
    message: str = problem["msg"]
    return got + message.removeprefix("Value error, ")


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own: no such path, method not allowed, a body that is not what its header says."""
    error = cast(HTTPException, error)
    title = HTTPStatus(error.status_code).phrase
    response = _response(error.status_code, title, str(error.detail), request.state.request_id)
    response.headers.update(error.headers or {})
    return response
