"""Error responses as ``application/problem+json`` (RFC 9457)."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Response

from service.errors import ServiceError
from service.http.schemas import FieldProblem, Problem

MEDIA_TYPE = "application/problem+json"


def problem_of(error: ServiceError, request_id: str) -> Problem:
    """Describe an error of ours to the client that sent the request."""
    fields = (FieldProblem(field=error.field, detail=error.detail),) if error.field else ()
    return Problem(
        title=error.title, status=error.status, detail=error.detail, instance=f"/requests/{request_id}", errors=fields
    )


def problem_response(error: ServiceError, request_id: str) -> Response:
    """Make the response to an error of ours."""
    problem = problem_of(error, request_id)
    return Response(problem.model_dump_json(), error.status, error.headers, MEDIA_TYPE)


def plain_problem_response(
    status: int, title: str, detail: str, request_id: str, errors: Sequence[FieldProblem] = ()
) -> Response:
    """Make the response to an error of FastAPI or Starlette."""
    problem = Problem(
        title=title, status=status, detail=detail, instance=f"/requests/{request_id}", errors=tuple(errors)
    )
    return Response(problem.model_dump_json(), status, media_type=MEDIA_TYPE)


def problem_statuses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document that an endpoint responds with a problem of these statuses."""
    return {status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in statuses}
