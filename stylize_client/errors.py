"""What the client raises.

StylizeError
├── ProblemError       the service refused or failed; it says why
├── Unreachable        no answer came: no connection, or it was lost, or it took too long
├── UnexpectedAnswer   an answer came that is not the service's
└── WaitedTooLong      a job has not ended within the time that ``wait`` was given
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from stylize_client.values import FieldProblem


class StylizeError(Exception):
    """Base of the tree."""


class Unreachable(StylizeError):
    """No answer came."""


class UnexpectedAnswer(StylizeError):
    """An answer came, but not one that the service gives: the address may be another server's."""


class WaitedTooLong(StylizeError):
    """The job goes on; only the waiting has ended."""


class ProblemError(StylizeError):
    """An answer with an error status, as ``application/problem+json`` says it (RFC 9457).

    Attributes:
        status: Of HTTP.
        title: Of this kind of error.
        detail: What was got, what is allowed, what to do.
        fields: The fields of the request that it is about.
        request_id: Names the request in the service's log.
    """

    def __init__(
        self, status: int, title: str, detail: str, fields: tuple[FieldProblem, ...] = (), request_id: str = ""
    ) -> None:
        """An error with its text."""
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.fields = fields
        self.request_id = request_id

    @classmethod
    def from_json(cls, problem: Mapping[str, Any]) -> "ProblemError":
        """From a problem's document."""
        fields = tuple(FieldProblem(field["field"], field["detail"]) for field in problem["errors"])
        request_id = problem["instance"].removeprefix("/requests/")
        return cls(problem["status"], problem["title"], problem["detail"], fields, request_id)

    @classmethod
    def from_answer(cls, status: int, headers: Mapping[str, str], body: bytes) -> "ProblemError":
        """From any answer with an error status: a proxy's, which is no problem document, too."""
        if headers.get("content-type", "").startswith("application/problem+json"):
            return cls.from_json(json.loads(body))
        title = HTTPStatus(status).phrase if status in list(HTTPStatus) else "Error"
        detail = " ".join(body.decode("utf-8", "replace").split())[:200]
        return cls(status, title, detail, request_id=headers.get("x-request-id", ""))
