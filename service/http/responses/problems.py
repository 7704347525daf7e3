"""Error responses as ``application/problem+json`` (RFC 9457)."""

from collections.abc import Sequence
from inspect import getdoc
from typing import Any

from fastapi import Response

from service import errors
from service.errors import ServiceError
from service.http.schemas import FieldProblem, Problem
from service.settings import Settings

MEDIA_TYPE = "application/problem+json"

DOCUMENTED: dict[int, type[ServiceError]] = {
    kind.status: kind
    for kind in (
        *(errors.BadRequest, errors.Unauthorized, errors.Forbidden, errors.NotFound, errors.NotAcceptable),
        *(
            errors.RequestTimeout,
            errors.Conflict,
            errors.Gone,
            errors.PayloadTooLarge,
            errors.UnsupportedImage,
            errors.InvalidField,
        ),
        *(errors.TooManyRequests, errors.InternalError, errors.Unavailable, errors.DeadlinePassed),
    )
}
"""Kind of error that the API's documentation shows for each status."""


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
    return {status: {"$ref": f"#/components/responses/{DOCUMENTED[status].__name__}"} for status in statuses}


def documented_problem(kind: type[ServiceError], settings: Settings) -> dict[str, Any]:
    """Describe the response to a kind of error as a component of the OpenAPI document."""
    example = problem_of(kind(kind.example.format(settings=settings), kind.example_field), "c0ffee5eed")
    return {
        "description": getdoc(kind),
        "headers": {
            name: {"description": meaning, "schema": {"type": "string"}}
            for name, meaning in kind.header_meanings.items()
        },
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": example.model_dump(mode="json"),
            }
        },
    }
