"""``HeldJobs``: the jobs that this process has claimed and not parted with: their leases, and how each of them ends."""

import asyncio
import contextlib
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from statistics import fmean
from time import monotonic
from typing import TypeVar

from service.errors import DeadlinePassed, ServiceError
from service.queue.jobs import Claim, Result
from service.queue.queue import JobQueue
from service.queue.records import LATE

RETRY_S = 0.5

MEASURED = 16

T = TypeVar("T")
log = logging.getLogger(__name__)


class HeldJobs:
    """All jobs that one worker holds, those of its batches and those of its background lane."""

    def __init__(self, queue: JobQueue, most_at_once: int) -> None:
        """Hold nothing yet; the ``most_at_once`` jobs of a batch end together, so more are measured together."""
        self._queue = queue
        self._claims: dict[tuple[str, bytes], Claim] = {}
        self._last_end: dict[tuple[str, bool], float] = {}
        self._took_s: defaultdict[tuple[str, bool], deque[float]] = defaultdict(
            lambda: deque(maxlen=max(MEASURED, 2 * most_at_once))
        )
        self._changed = asyncio.Condition()

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The jobs, in the order of their claims."""
        return tuple(self._claims.values())

    def add(self, claim: Claim) -> None:
        """Hold a job, until it is completed, dropped or released."""
        self._claims[(claim.lane, claim.entry)] = claim

    def require_time(self, claim: Claim, before: int | None = None) -> None:
        """Refuse a job that cannot be done in the time left: ``before`` others, or all that came earlier, go first.

        One that none goes before is tried in any case: so the time per job is measured anew, if it was too long once.

        Raises:
            DeadlinePassed: It would be late, or is.
        """
        if before is None:
            before = sum(other.lane == claim.lane and other.arrival < claim.arrival for other in self.claims)
        took_s = self._took_s[_kind(claim)] or [0.0]
        if monotonic() + before * fmean(took_s) >= claim.deadline:
            raise DeadlinePassed(LATE)

    async def begin(self, claim: Claim) -> bool:
        """Note that a job's decoding begins, if need be until its deadline; ``False`` if it is not wanted any more."""
        with contextlib.suppress(ServiceError):
            return not claim.is_late and await patiently(claim, lambda: self._queue.begin(claim))
        return False

    async def complete(self, claim: Claim, result: Result) -> None:
        """Store a job's result; while Redis is away, try again until the job's deadline."""
        took_ms = None if isinstance(result.error, DeadlinePassed) else self._measure_s(claim) * 1000
        with contextlib.suppress(ServiceError):
            if not await patiently(claim, lambda: self._queue.complete(claim, result, took_ms)):
                log.info("a result came too late, or second", extra=log_fields(claim))
        await self._remove(claim)

    async def drop(self, claim: Claim) -> None:
        """Acknowledge a job that is late or cancelled."""
        log.info("dropped: it is late or cancelled", extra=log_fields(claim))
        with contextlib.suppress(ServiceError):  # its entry is pending then, and dropped by the worker that reclaims it
            await self._queue.drop(claim)
        await self._remove(claim)

    async def release(self, claim: Claim) -> None:
        """Give a job back, for another worker to claim at once."""
        with contextlib.suppress(ServiceError):  # its lease ends by itself
            await self._queue.release([claim])
        await self._remove(claim)

    async def release_all(self) -> None:
        """Give back all jobs."""
        log.warning("giving back jobs that could not be finished", extra={"held": len(self._claims)})
        with contextlib.suppress(ServiceError):  # their leases end by themselves
            await self._queue.release(self.claims)

    async def until_alone(self, claim: Claim) -> None:
        """Wait until no other job is held."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.claims == (claim,))

    async def until_none(self) -> None:
        """Wait until no job is held."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._claims)

    def _measure_s(self, claim: Claim) -> float:
        """Measure a job, and return the mean of the last ones of its kind.

        It took the time since its claim, or since the end of another one where they overlap: so a batch counts once.
        """
        kind, now = _kind(claim), monotonic()
        self._took_s[kind].append(now - max(claim.claimed_at, self._last_end.get(kind, 0.0)))
        self._last_end[kind] = now
        return fmean(self._took_s[kind])

    async def _remove(self, claim: Claim) -> None:
        async with self._changed:
            del self._claims[(claim.lane, claim.entry)]
            self._changed.notify_all()


def _kind(claim: Claim) -> tuple[str, bool]:
    return claim.job.lane, claim.job.is_preemptible


async def patiently(claim: Claim, call: Callable[[], Awaitable[T]]) -> T:
    """Await a call of the queue; while Redis is away, again, until the job's deadline."""
    while True:
        try:
            return await call()
        except ServiceError:
            if monotonic() + RETRY_S > claim.deadline:
                raise
            await asyncio.sleep(RETRY_S)


def log_fields(claim: Claim) -> dict[str, object]:
    """Return what names a job in the log: its id, and that of the client's request."""
    return {"job": claim.job.id, "request_id": claim.job.parameters.get("request_id")}
