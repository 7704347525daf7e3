"""What can be said of a job that nobody waits for on the line: what it was accepted as, where it is, how it ended."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from service.errors import DeadlinePassed, ServiceError, error_from_json
from service.queue.job_progress import JobProgress

State = Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"]
LATE = "not done before its deadline: send it again later, or ask for a smaller size or fewer steps"
ENDED: frozenset[State] = frozenset(("succeeded", "failed", "cancelled", "expired"))


@dataclass(frozen=True)
class Accepted:
    """What is known of a job from the beginning.

    Attributes:
        created_s: Seconds since 1970.
        request_id: Of the request that brought it.
        format: Of its picture, one of ``FORMATS``.
        seed: Of the noise, if its network takes some.
        fingerprint: Hash of the request, if it had an ``Idempotency-Key``: another one may not come with that key.
    """

    created_s: float
    request_id: str
    format: str
    seed: int | None
    fingerprint: str = ""

    def to_json(self) -> str:
        """For the record."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> "Accepted":
        """From the record."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Outcome:
    """How a job ended, as its record keeps it."""

    state: State
    error: ServiceError | None = None

    @classmethod
    def of(cls, error: ServiceError | None) -> "Outcome":
        """A worker's answer."""
        return cls("succeeded") if error is None else cls("failed", error)

    def to_json(self) -> str:
        """For the record."""
        return json.dumps({"state": self.state, "error": None if self.error is None else self.error.to_json()})

    @classmethod
    def from_json(cls, text: bytes) -> "Outcome":
        """From the record."""
        fields = json.loads(text)
        return cls(fields["state"], None if fields["error"] is None else error_from_json(fields["error"]))


@dataclass(frozen=True)
class JobStatus:
    """A job this moment.

    Attributes:
        id: The job's.
        accepted: What it was accepted as.
        state: ``expired`` is a job that was not done by its deadline, or whose picture is not kept any more.
        progress: How far it is; without the preview.
        position: Among the jobs that wait in its lane, from 1 for the next; ``None`` if it does not wait.
        has_preview: Whether there is a picture so far.
        error: Why there is no picture, if it failed or was late.
    """

    id: str
    accepted: Accepted
    state: State
    progress: JobProgress
    position: int | None = None
    has_preview: bool = False
    error: ServiceError | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ENDED

    @property
    def share(self) -> float:
        """Of the work done, from 0 to 1."""
        return 1.0 if self.state == "succeeded" else self.progress.share

    @classmethod
    def from_reply(cls, job_id: str, reply: Sequence[Any]) -> "JobStatus":
        """From what ``job_records.LOOK`` returns."""
        about, ended, entry, position, told, has_preview, has_picture = reply
        accepted, progress = Accepted.from_json(about), JobProgress.from_fields((told, None))
        if ended is not None:
            outcome = Outcome.from_json(ended)
            state = "expired" if outcome.state == "succeeded" and not has_picture else outcome.state
            return cls(job_id, accepted, state, progress, error=outcome.error)
        if entry is None:
            return cls(job_id, accepted, "expired", progress, error=DeadlinePassed(LATE))
        if position > 0:
            return cls(job_id, accepted, "queued", progress, position, bool(has_preview))
        return cls(job_id, accepted, "running", progress, None, bool(has_preview))
