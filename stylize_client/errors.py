"""The client's errors.

StylizeError
├── ProblemError         the service refused the request or failed, with its explanation
├── Unreachable          no response: no connection, a lost one, or a timeout
├── UnexpectedResponse   a response that is not the service's
└── WaitedTooLong        a job has not ended within the timeout of ``wait``
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from stylize_client.values import FieldProblem


class StylizeError(Exception):
    """Base class of the client's errors."""


class Unreachable(StylizeError):
    """No response came."""


class UnexpectedResponse(StylizeError):
    """A response that is not the service's: the address may be another server's."""


class WaitedTooLong(StylizeError):
    """The timeout of ``wait`` has passed; the job continues."""


class ProblemError(StylizeError):
    """A response with an error status, from its ``application/problem+json`` (RFC 9457).

    Attributes:
        status: HTTP status.
        title: Title of this kind of error.
        detail: Explanation: the value that was got, what is allowed, what to do.
        fields: Problems of single fields of the request.
        request_id: Names the request in the service's log.
    """

    def __init__(
        self, status: int, title: str, detail: str, fields: tuple[FieldProblem, ...] = (), request_id: str = ""
    ) -> None:
        """Build the error's text."""
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.fields = fields
        self.request_id = request_id

    @classmethod
    def from_json(cls, problem: Mapping[str, Any]) -> "ProblemError":
        """Build from a problem document."""
        fields = tuple(FieldProblem(field["field"], field["detail"]) for field in problem["errors"])
        request_id = problem["instance"].removeprefix("/requests/")
        return cls(problem["status"], problem["title"], problem["detail"], fields, request_id)

    @classmethod
    def from_answer(cls, status: int, headers: Mapping[str, str], body: bytes) -> "ProblemError":
        """Build from any response with an error status, also a proxy's, which is not a problem document."""
        if headers.get("content-type", "").startswith("application/problem+json"):
            return cls.from_json(json.loads(body))
        title = HTTPStatus(status).phrase if status in list(HTTPStatus) else "Error"
        detail = " ".join(body.decode("utf-8", "replace").split())[:200]
        return cls(status, title, detail, request_id=headers.get("x-request-id", ""))
