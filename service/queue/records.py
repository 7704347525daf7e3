"""``JobRecords``: records of jobs whose result is kept: of asynchronous requests, and of those with an Idempotency-Key.

    record       opened when the job is enqueued; kept ``job_record_ttl_s`` after its end
    job          the queue's; in it the uploads, the progress and the picture so far; gone with the job's end
    result       the picture; kept ``job_picture_ttl_s``, less where all of them take too much

The queue's step that answers a job also closes its record, so a job is in one state at any moment, and all of it is in
Redis: whichever API process is asked gives the same answer.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from service.errors import DeadlinePassed, ServiceError, error_from_json
from service.queue.contract import CONTRACT, from_document
from service.queue.jobs import JobProgress, Result
from service.queue.keys import GROUP, Keys
from service.queue.redis_client import RedisClient
from service.settings import QueueSettings

State = Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"]
LATE = "not done before its deadline: send it again later, or ask for a smaller size or fewer steps"
ENDED: frozenset[State] = frozenset(("succeeded", "failed", "cancelled", "expired"))


@dataclass(frozen=True)
class Accepted:
    """Facts of a job that are known from its acceptance.

    Attributes:
        created_s: Seconds since 1970.
        seed: Seed of the noise, if its network takes some.
        fingerprint: Hash of the request, if it had an ``Idempotency-Key``: another one may not come with that key.
        contract: ``CONTRACT`` of the process that accepted it; 0 of one that knew no such number.
    """

    created_s: float
    request_id: str
    format: str
    seed: int | None
    fingerprint: str = ""
    contract: int = CONTRACT

    def to_json(self) -> str:
        """Return JSON for the record."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> "Accepted":
        """Read the record's JSON."""
        return from_document(cls, {"contract": 0, **json.loads(text)})


@dataclass(frozen=True)
class Outcome:
    """A job's end, as its record keeps it."""

    state: State
    error: ServiceError | None = None

    @classmethod
    def of(cls, error: ServiceError | None) -> "Outcome":
        """Make the outcome of a worker's result."""
        if error is None:
            return cls("succeeded")
        return cls("expired" if isinstance(error, DeadlinePassed) else "failed", error)

    def to_json(self) -> str:
        """Return JSON for the record."""
        return json.dumps({"state": self.state, "error": None if self.error is None else self.error.to_json()})

    @classmethod
    def from_json(cls, text: bytes) -> "Outcome":
        """Read the record's JSON."""
        fields = json.loads(text)
        return cls(fields["state"], None if fields["error"] is None else error_from_json(fields["error"]))


@dataclass(frozen=True)
class JobStatus:
    """A job this moment.

    Attributes:
        state: ``expired`` is a job that was not done by its deadline, or whose picture is not kept any more.
        progress: Its progress, without the preview.
        position: Among the jobs that wait in its lane, from 1 for the next; ``None`` if it does not wait.
        has_preview: There is a picture so far.
        error: Reason why there is no picture, if it failed or was late.
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
        """Nothing more will come of it."""
        return self.state in ENDED

    @property
    def share(self) -> float:
        """Share of the work done, from 0 to 1."""
        return 1.0 if self.state == "succeeded" else self.progress.share

    @classmethod
    def from_reply(cls, job_id: str, reply: Sequence[Any]) -> "JobStatus":
        """Read the reply of the script ``job_status``."""
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


class JobRecords:
    """One process's view of the records."""

    def __init__(self, redis: RedisClient, settings: QueueSettings) -> None:
        self._redis = redis
        self._keys = Keys(settings.key_prefix)

    async def status(self, job_id: str) -> JobStatus | None:
        """Look a job up; ``None`` if there is no record of it, or not any more."""
        reply = await self._redis.run("job_status", self._job_keys(job_id), [GROUP])
        return None if reply is None else JobStatus.from_reply(job_id, reply)

    async def preview(self, job_id: str) -> bytes | None:
        """The picture so far, small, as a JPEG file; ``None`` if there is none."""
        async with self._redis.translated():
            preview: bytes | None = await self._redis.commands.hget(self._keys.job(job_id), "preview")
        return preview

    async def result(self, job_id: str) -> Result | None:
        """The picture and the facts of its making; ``None`` if they are not there (yet, or any more)."""
        async with self._redis.translated():
            fields = await self._redis.commands.hgetall(self._keys.result(job_id))
        return Result.from_fields(fields) if fields else None

    async def cancel(self, job_id: str) -> bool:
        """End a job: one that waits is taken out, one that runs is stopped, the picture of a finished one goes.

        Returns ``False`` if there is no record of it.
        """
        outcome = Outcome("cancelled").to_json()
        return bool(await self._redis.run("cancel_recorded", self._job_keys(job_id), [GROUP, outcome]))

    def _job_keys(self, job_id: str) -> list[str]:
        keys = self._keys
        return [keys.record(job_id), keys.job(job_id), keys.result(job_id)]
