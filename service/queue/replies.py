"""``Dispatcher``: the API's end of the queue. A coroutine submits a job and awaits its result, or only its acceptance.

One reader per process takes all replies and resolves the futures. If Redis was away, it may have come back without its
data: then jobs that are still awaited are enqueued again, under their old ids and deadlines, so that a restart costs
time, not requests.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from service.errors import Conflict, DeadlinePassed, NoWorker, QueueFull, ServiceError, Unavailable
from service.queue.contract import CONTRACT
from service.queue.heartbeat import QueueStatus
from service.queue.jobs import Job, Result
from service.queue.queue import JobQueue
from service.queue.records import Accepted
from service.settings import QueueSettings
from service.tasks import end_tasks

WORKER_GONE_MS = 30_000
"""Without a heartbeat for so long there is no worker; a shorter silence may be a restart, and jobs wait for it."""

MOST_MEMORY_SHARE = 0.85
"""Beyond it Redis gets no new jobs: results, leases and heartbeats need the rest."""

WORKERS_KNOWN_FOR_S = 1.0
FULL_FOR_S = 0.25
SWEEP_EVERY_S = 10.0
COUNT_EVERY_S = 0.2
RECONNECT_S = 0.5

log = logging.getLogger(__name__)


@dataclass
class Awaited:
    """A job that a coroutine of this process awaits; ``is_enqueued`` once Redis has it, and may forget it."""

    job: Job
    accepted: Accepted | None
    deadline: float
    future: asyncio.Future[Result]
    is_enqueued: bool = False


class Dispatcher:
    """Submits jobs and hands out results; ``start`` before use, ``stop`` after."""

    def __init__(
        self, queue: JobQueue, settings: QueueSettings, count_result: Callable[[Mapping[str, Any]], None]
    ) -> None:
        """``count_result`` is called with how an image was made, for each that no other API process counts."""
        self._queue = queue
        self._count_result = count_result
        self._timeout_s = settings.request_timeout_s
        self._job_timeout_s = settings.job_timeout_s
        self._cold_start_s = settings.cold_start_s
        self._lease_ms = settings.lease_ms
        self._awaited: dict[str, Awaited] = {}
        self._reader: asyncio.Task[None] | None = None
        self._workers = 0
        self._workers_counted_at = -float("inf")
        self._full: dict[str, tuple[float, QueueFull]] = {}
        self._other_versions: set[str] = set()

    async def start(self) -> None:
        """Begin to read replies."""
        self._reader = asyncio.create_task(self._read_replies(), name="reply reader")

    async def stop(self) -> None:
        """Stop reading; what is still awaited ends with an error."""
        if self._reader is not None:
            await end_tasks([self._reader])
        for awaited in self._awaited.values():
            _resolve(awaited.future, Unavailable("the service is stopping: try again"))

    def require_room(self, client: str) -> None:
        """Refuse a request that has not been read, if one of the same client was refused a moment ago.

        Raises:
            QueueFull: It would wait for too long, or Redis has little memory left.
        """
        until, refusal = self._full.get(client, (-float("inf"), QueueFull("")))
        if monotonic() < until:
            raise QueueFull(refusal.detail, retry_after_s=refusal.retry_after_s)

    async def submit(self, job: Job, accepted: Accepted | None = None) -> Result:
        """Enqueue a job and wait for its result. If the waiting is cancelled, so is the job.

        With ``accepted``, the beginning of a record, it may have been enqueued before.

        Raises:
            Conflict: It was enqueued before, and waits, runs or has its result.
            NoWorker: No worker would do it.
            QueueFull: It would wait for too long, or Redis has little memory left.
            QueueUnreachable: Redis does not answer.
            DeadlinePassed: It was not done in time.
            ServiceError: The worker's error, in place of a picture.
        """
        workers = await self._live_workers(self._timeout_s)
        if job.id in self._awaited:  # with no await between this and the entry below
            raise already_awaited()
        deadline = monotonic() + self._timeout_s
        awaited = Awaited(job, accepted, deadline, asyncio.get_running_loop().create_future())
        self._awaited[job.id] = awaited
        try:
            is_new = await self._queue.enqueue(job, self._timeout_s, accepted, workers=workers)
            if not is_new and accepted is not None:
                raise already_awaited()
            awaited.is_enqueued = True
            async with asyncio.timeout(deadline - monotonic()):
                result = await awaited.future
        except QueueFull as err:
            if job.lane == "interactive":
                self._full[job.client] = (monotonic() + FULL_FOR_S, err)
            raise
        except (TimeoutError, asyncio.CancelledError) as err:
            await self._cancel(job.id)
            if isinstance(err, asyncio.CancelledError):
                raise
            raise DeadlinePassed(f"not done within {self._timeout_s:g} s: try a smaller size, or later") from err
        finally:
            del self._awaited[job.id]
        if result.error is not None:
            raise result.error
        return result

    async def accept(self, job: Job, accepted: Accepted) -> None:
        """Enqueue the job of an asynchronous request, with a record; if it was enqueued before, nothing changes.

        Raises:
            NoWorker: No worker would do it.
            QueueFull: It would wait for too long, or Redis has little memory left.
            QueueUnreachable: Redis does not answer.
        """
        workers = await self._live_workers(self._job_timeout_s)
        await self._queue.enqueue(job, self._job_timeout_s, accepted, is_awaited=False, workers=workers)

    async def _live_workers(self, time_s: float) -> int:
        """Count the workers that share new work, at least 1; the count may be a moment old.

        Raises:
            NoWorker: There is none, and none would start within half of ``time_s``.
            QueueFull: Redis has little memory left.
        """
        if monotonic() - self._workers_counted_at > WORKERS_KNOWN_FOR_S:
            status = await self._queue.status()
            self._note_versions(status)
            if not status.live(WORKER_GONE_MS) and not 0 < self._cold_start_s <= time_s / 2:
                raise NoWorker("no worker is running: try again later", retry_after_s=5)
            if status.memory_share > MOST_MEMORY_SHARE:
                raise QueueFull(
                    f"the queue's memory is full to {status.memory_share:.0%}, jobs are taken up to"
                    f" {MOST_MEMORY_SHARE:.0%}: try again later"
                )
            self._workers = max(1, status.live(self._lease_ms))
            if status.live(WORKER_GONE_MS):
                self._workers_counted_at = monotonic()
        return self._workers

    def _note_versions(self, status: QueueStatus) -> None:
        """Log once of each worker that its version is another: it ignores fields that only this one knows."""
        others = {worker.name: worker.contract for worker in status.workers if worker.contract != CONTRACT}
        for name in others.keys() - self._other_versions:
            log.warning("the worker %s writes contract %d, this process %d", name, others[name], CONTRACT)
        self._other_versions = set(others)

    async def _cancel(self, job_id: str) -> None:
        try:
            await asyncio.shield(self._queue.cancel(job_id))
        except ServiceError as err:
            log.warning("could not cancel a job: %s", err.detail, extra={"job": job_id})

    async def _read_replies(self) -> None:
        """Resolve futures and count results for ever; after trouble, and now and then, look after every awaited job."""
        swept_at = counted_at = monotonic()
        while True:
            try:
                if monotonic() - swept_at > SWEEP_EVERY_S:
                    await self._sweep()
                    swept_at = monotonic()
                await self._deliver(await self._queue.replies())
                if monotonic() - counted_at > COUNT_EVERY_S:
                    for info in await self._queue.uncounted():
                        self._count_result(info)
                    counted_at = monotonic()
            except ServiceError:  # the client of Redis has logged it
                await asyncio.sleep(RECONNECT_S)
                swept_at = -float("inf")  # what was lost meanwhile must be looked for
            except Exception:
                log.exception("the reply reader goes on after an error")
                await asyncio.sleep(RECONNECT_S)

    async def _deliver(self, job_ids: list[str]) -> None:
        if job_ids:
            for job_id, result in (await self._queue.take_results(job_ids)).items():
                if (awaited := self._awaited.get(job_id)) is not None:
                    _resolve(awaited.future, result)

    async def _sweep(self) -> None:
        """Find results whose reply was lost, and enqueue again what Redis has forgotten."""
        await self._deliver([job_id for job_id, awaited in self._awaited.items() if not awaited.future.done()])
        left = [awaited for awaited in self._awaited.values() if awaited.is_enqueued and not awaited.future.done()]
        are_known = await self._queue.are_known([awaited.job.id for awaited in left])
        for awaited in (awaited for awaited, is_known in zip(left, are_known, strict=True) if not is_known):
            if awaited.future.done() or (left_s := awaited.deadline - monotonic()) <= 0:
                continue
            await self._queue.enqueue(awaited.job, left_s, awaited.accepted)
            if awaited.job.id not in self._awaited:  # the client left while we enqueued
                await self._cancel(awaited.job.id)


def already_awaited() -> Conflict:
    """Make the error for a request whose job another request waits for."""
    return Conflict(
        "a request with this Idempotency-Key is being answered: wait for that answer, or try again later",
        retry_after_s=1,
    )


def _resolve(future: asyncio.Future[Result], outcome: Result | ServiceError) -> None:
    """Resolve a future, unless it is done: a client that left has cancelled it, and a second result is ignored."""
    if future.done():
        return
    if isinstance(outcome, ServiceError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
