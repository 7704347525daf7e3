"""The error answers of the OpenAPI document: one component for each status, with meaning, headers and an example."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service import errors
from service.http.responses.problems import MEDIA_TYPE
from service.http.schemas import FieldProblem, Problem

REQUEST_ID = "c0ffee5eed"

RETRY_AFTER = {"Retry-After": "Seconds after which to try again"}


@dataclass(frozen=True)
class ErrorAnswer:
    """What is sent with one status.

    Attributes:
        name: Of the component.
        title: Of the problem, in the example.
        meaning: When it is sent, whatever the route.
        detail: Of the example.
        about: The field that the example names.
        headers: What those are for that come with it, by name.
    """

    name: str
    title: str
    meaning: str
    detail: str
    about: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def _ours(kind: type[errors.ServiceError], meaning: str, detail: str, **more: Any) -> ErrorAnswer:
    return ErrorAnswer(kind.__name__, kind.title, meaning, detail, **more)


ANSWERS = {
    400: _ours(
        errors.BadRequest,
        "The body is not what HTTP, multipart/form-data or its own header prescribe",
        "the body cannot be read (Missing boundary in multipart): send multipart/form-data, with the boundary that its"
        " header names",
    ),
    401: _ours(
        errors.Unauthorized,
        "The service asks for an API key, and this request has none, or an unknown one",
        "no API key was sent: send the header `Authorization: Bearer KEY`",
        headers={"WWW-Authenticate": "How to ask"},
    ),
    404: _ours(
        errors.NotFound,
        "What the path or a field names is not there",
        "there is no style 'starry': GET /styles lists them",
        about="style_id",
    ),
    406: _ours(
        errors.NotAcceptable,
        "`Accept` allows no format that is written here",
        "Accept is 'image/gif', we write image/jpeg, image/png, image/webp, image/avif: accept one of these, or send"
        " `format`",
    ),
    408: ErrorAnswer(
        "RequestTimeout",
        "Request Timeout",
        "The body stopped arriving",
        "no byte of the body came for 30 s, after 65536: send it again",
    ),
    409: ErrorAnswer(
        "Conflict",
        "Conflict",
        "The thing is in a state that does not allow this",
        "the job is queued: ask again later",
        headers={"Retry-After": "Seconds after which to try again, where that is known"},
    ),
    410: ErrorAnswer(
        "Gone", "Gone", "It was here, and was not kept", "the picture has expired: send the request again"
    ),
    413: _ours(
        errors.PayloadTooLarge,
        "More bytes than the limit; the rest is not read",
        "the request has 26214400 bytes, at most 20971520 bytes are allowed: send smaller images",
    ),
    415: _ours(
        errors.UnsupportedImage,
        "A file is no image of a format that is read here",
        "got a GIF, allowed are jpeg, png, webp, avif: convert the file",
        about="content",
    ),
    422: _ours(
        errors.InvalidField,
        "A value, or the pixels of an image, that cannot be used; `errors` names each field",
        "got '99999': the longer side must be from 64 to 2048 pixels, or `original`",
        about="size",
    ),
    429: _ours(
        errors.TooManyRequests,
        "As many requests with this key run as one key may have at once",
        "64 requests with this key run already, which is as many as one key may have: wait for the answer of one",
        headers=RETRY_AFTER,
    ),
    500: ErrorAnswer(
        "InternalError",
        errors.ServiceError.title,
        "Our fault; nothing internal is told",
        "this is our fault; the request's id helps to find it in the log",
    ),
    503: ErrorAnswer(
        "Unavailable",
        errors.QueueFull.title,
        "Not now: the queue is full or does not answer, no worker is there, or a network cannot be used",
        "256 jobs are waiting already: try again later",
        headers=RETRY_AFTER,
    ),
    504: _ours(
        errors.DeadlinePassed,
        "Not done before its deadline",
        "not done within 60 s: try a smaller size, or later",
    ),
}
"""By status: every one that an endpoint documents."""


def component(status: int) -> dict[str, Any]:
    """The answer with this status, of whatever route."""
    answer = ANSWERS[status]
    problem = Problem(
        title=answer.title,
        status=status,
        detail=answer.detail,
        instance=f"/requests/{REQUEST_ID}",
        errors=(FieldProblem(field=answer.about, detail=answer.detail),) if answer.about else (),
    )
    return {
        "description": answer.meaning,
        "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()},
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": problem.model_dump(mode="json"),
            }
        },
    }
