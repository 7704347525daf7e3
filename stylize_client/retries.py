"""Retries of requests. A ``Flow`` yields the requests to send and the pauses before them; a client carries it out."""

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import TypeVar
from uuid import uuid4

from stylize_client.calls import KEY, Call, Operation, Response, job
from stylize_client.errors import ProblemError, StylizeError, UnexpectedResponse, Unreachable, WaitedTooLong
from stylize_client.values import JobStatus

T = TypeVar("T")

LATER = (429, 503)
"""Statuses of temporary errors: nothing was done, and the request may be sent again unchanged."""

LONGEST_PAUSE_S = 8.0
FIRST_LOOK_S, LONGEST_LOOK_S = 0.1, 2.0
"""First and longest pause of ``wait`` between two requests of a job's status; pauses grow."""


@dataclass(frozen=True)
class Retries:
    """Limits of retries.

    Attributes:
        attempts: Largest number of times that a request is sent; 1 means no retries.
        max_wait_s: Seconds after the first attempt in which a request may be sent again.
        first_pause_s: Pause before the second attempt, without ``Retry-After``; it doubles with each attempt.
    """

    attempts: int = 5
    max_wait_s: float = 60.0
    first_pause_s: float = 0.5

    def pause_s(self, failures: int, response: Response | None = None) -> float:
        """Return the pause of ``Retry-After``, or else a random part, at least half, of a pause that doubles."""
        if response is not None and (asked := retry_after_s(response)) is not None:
            return asked
        longest = min(LONGEST_PAUSE_S, self.first_pause_s * 2.0 ** (failures - 1))
        return longest * random.uniform(0.5, 1.0)


NO_RETRIES = Retries(attempts=1)


@dataclass(frozen=True)
class Attempt:
    """A request to send, after a pause."""

    call: Call
    after_s: float = 0.0


Flow = Generator[Attempt, Response, T]
"""Generator that yields attempts, is sent their responses or thrown ``Unreachable``, and returns the result."""


def outcome(operation: Operation[T], retries: Retries, after_s: float = 0.0) -> Flow[T]:
    """Run an operation, with as many attempts as it needs and ``retries`` allow.

    Raises:
        ProblemError: The service refused or failed.
        Unreachable: No response came.
        UnexpectedResponse: The response is not the service's.
    """
    response = yield from _last_response(operation, retries, after_s)
    try:
        if response.status >= 400 and response.status not in operation.accepts:
            raise ProblemError.from_answer(response.status, response.headers, response.body)
        if 300 <= response.status < 400:
            raise ValueError("a redirection")
        return operation.read(response)
    except (KeyError, ValueError, TypeError, AttributeError) as err:
        raise UnexpectedResponse(
            f"got a response to {operation.call.method} {operation.call.path} with status {response.status} that is not"
            " Stylize's: check the address"
        ) from err


def _last_response(operation: Operation[T], retries: Retries, after_s: float) -> Flow[Response]:
    """Return the last response. A POST gets a key, so that it is safe to send again after a lost connection."""
    call, began_s, failures, was_lost = operation.call, monotonic(), 0, False
    if call.method == "POST" and retries.attempts > 1 and KEY not in call.headers:
        call = call.with_headers(**{KEY: uuid4().hex})
    while True:
        response, lost = None, None
        try:
            response = yield Attempt(call, after_s)
        except Unreachable as err:
            lost, was_lost = err, True
        failures += 1
        after_s = retries.pause_s(failures, response)
        is_final = failures >= retries.attempts or monotonic() - began_s + after_s > retries.max_wait_s
        if lost is not None and (is_final or not call.is_repeatable):
            raise lost
        if response is not None and (is_final or not _is_temporary(response, operation, was_lost)):
            return response


def _is_temporary(response: Response, operation: Operation[T], was_lost: bool) -> bool:
    """Return whether the request should be sent again.

    A 409 with ``Retry-After`` means that the same request is in progress, perhaps in a process that has died. After a
    lost connection it may lack the header: the service has not noticed the loss yet.
    """
    if response.status in operation.accepts:
        return False
    is_in_progress = response.status == 409 and (was_lost or retry_after_s(response) is not None)
    return response.status in LATER or (is_in_progress and operation.call.method == "POST")


def ended(
    job_id: str, retries: Retries, timeout_s: float | None, on_progress: Callable[[JobStatus], None] | None
) -> Flow[JobStatus]:
    """Request a job's status repeatedly until the job has ended; ``on_progress`` is called at every change.

    Raises:
        WaitedTooLong: It has not ended after ``timeout_s``.
        StylizeError: As ``outcome``.
    """
    began_s, after_s = monotonic(), 0.0
    told: JobStatus | None = None
    while True:
        status = yield from outcome(job(job_id), retries, after_s)
        if on_progress is not None and status != told:
            on_progress(status)
        if status.has_ended:
            return status
        left_s = timeout_s - (monotonic() - began_s) if timeout_s is not None else LONGEST_LOOK_S
        if left_s <= 0:
            raise WaitedTooLong(f"the job {job_id} is {status.state} after {timeout_s:g} s: wait again, or cancel it")
        told, after_s = status, min(left_s, LONGEST_LOOK_S, max(FIRST_LOOK_S, after_s * 1.5))


def problem_of(status: JobStatus) -> StylizeError | None:
    """Return the error of a job that failed."""
    return ProblemError.from_json(status.problem) if status.problem is not None else None


def retry_after_s(response: Response) -> float | None:
    """Read ``Retry-After``, in seconds or as a date (RFC 9110, section 10.2.3)."""
    text = response.headers.get("retry-after")
    if text is None:
        return None
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
