"""When a request is sent again, and when not. A ``Flow`` says what to send and when; a client sends it and waits."""

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import TypeVar
from uuid import uuid4

from stylize_client.calls import KEY, Answer, Call, Operation, job
from stylize_client.errors import ProblemError, StylizeError, UnexpectedAnswer, Unreachable, WaitedTooLong
from stylize_client.values import JobStatus

T = TypeVar("T")

LATER = (429, 503)
"""Statuses of answers that pass: nothing was done, and the request may be sent again as it is."""

LONGEST_PAUSE_S = 8.0
FIRST_LOOK_S, LONGEST_LOOK_S = 0.1, 2.0
"""How long ``wait`` pauses between two looks at a job: longer and longer."""


@dataclass(frozen=True)
class Retries:
    """How patient a client is.

    Attributes:
        attempts: How often a request is sent, at most; 1 is without retries.
        max_wait_s: Since it was sent first: later it is not sent again.
        first_pause_s: Before the second time, where the answer does not say; then twice as long each time.
    """

    attempts: int = 5
    max_wait_s: float = 60.0
    first_pause_s: float = 0.5

    def pause_s(self, failures: int, answer: Answer | None = None) -> float:
        """What ``Retry-After`` says, or else a random part, at least half, of a pause that doubles."""
        if answer is not None and (asked := retry_after_s(answer)) is not None:
            return asked
        longest = min(LONGEST_PAUSE_S, self.first_pause_s * 2.0 ** (failures - 1))
        return longest * random.uniform(0.5, 1.0)


NO_RETRIES = Retries(attempts=1)


@dataclass(frozen=True)
class Attempt:
    """A request to send, after a pause."""

    call: Call
    after_s: float = 0.0


Flow = Generator[Attempt, Answer, T]
"""Yields attempts, is sent their answers or thrown ``Unreachable``, and returns what came of it."""


def outcome(operation: Operation[T], retries: Retries, after_s: float = 0.0) -> Flow[T]:
    """Do it, as often as it takes and ``retries`` allow.

    Raises:
        ProblemError: The service refused or failed.
        Unreachable: No answer came.
        UnexpectedAnswer: It is not the service that answered.
    """
    answer = yield from _answered(operation, retries, after_s)
    try:
        if answer.status >= 400 and answer.status not in operation.accepts:
            raise ProblemError.from_answer(answer.status, answer.headers, answer.body)
        if 300 <= answer.status < 400:
            raise ValueError("a redirection")
        return operation.read(answer)
    except (KeyError, ValueError, TypeError, AttributeError) as err:
        raise UnexpectedAnswer(
            f"{operation.call.method} {operation.call.path} was answered {answer.status}, but not as Stylize answers:"
            " check the address"
        ) from err


def _answered(operation: Operation[T], retries: Retries, after_s: float) -> Flow[Answer]:
    """The last answer. A POST gets a key, so that it is safe to send again, whatever became of it."""
    call, began_s, failures, was_lost = operation.call, monotonic(), 0, False
    if call.method == "POST" and retries.attempts > 1 and KEY not in call.headers:
        call = call.with_headers(**{KEY: uuid4().hex})
    while True:
        answer, lost = None, None
        try:
            answer = yield Attempt(call, after_s)
        except Unreachable as err:
            lost, was_lost = err, True
        failures += 1
        after_s = retries.pause_s(failures, answer)
        is_final = failures >= retries.attempts or monotonic() - began_s + after_s > retries.max_wait_s
        if lost is not None and (is_final or not call.is_repeatable):
            raise lost
        if answer is not None and (is_final or not _passes(answer, operation, was_lost)):
            return answer


def _passes(answer: Answer, operation: Operation[T], was_lost: bool) -> bool:
    """Whether to ask again.

    409 says with ``Retry-After`` that the same request is being answered, perhaps by a process that has died. After a
    lost connection it may do so without: the service has not noticed the loss yet.
    """
    if answer.status in operation.accepts:
        return False
    is_being_answered = answer.status == 409 and (was_lost or retry_after_s(answer) is not None)
    return answer.status in LATER or (is_being_answered and operation.call.method == "POST")


def ended(
    job_id: str, retries: Retries, timeout_s: float | None, on_progress: Callable[[JobStatus], None] | None
) -> Flow[JobStatus]:
    """Look at a job again and again until it has ended; ``on_progress`` is told of every change.

    Raises:
        WaitedTooLong: It has not after ``timeout_s``.
        StylizeError: Whatever ``outcome`` raises.
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
    """Why a job has no picture, if it says so."""
    return ProblemError.from_json(status.problem) if status.problem is not None else None


def retry_after_s(answer: Answer) -> float | None:
    """What the header says, in seconds or as a date (RFC 9110, section 10.2.3)."""
    text = answer.headers.get("retry-after")
    if text is None:
        return None
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
