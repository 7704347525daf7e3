"""The worker: claim → decode → batch → forward → encode → complete, as a pipeline on one device.

    _claim_jobs    claim ─▶ _do    decode ─▶ ⋯ ─▶ encode ─▶ complete     one task per job
    _run_batches                            batch ─▶ forward               one batch at a time

While the device runs one batch, threads decode the next and encode the last. The worker holds at most ``AHEAD`` batches
of jobs that have not run yet; the rest stays in Redis for other workers. Where no batch wants the device, the
``BackgroundLane`` takes a step of its job: a tile of a large image, or a step of an optimisation.

A job may be fatal: a file that crashes a codec, a size that kills the process. So a job that had begun when its worker
died is run with nothing else in the pipeline (``_run_alone``): if it kills this worker too, it harms no other job's
count of deliveries. Other workers go on meanwhile.
"""

import asyncio
import contextlib
import logging
import os
import platform
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from time import monotonic

from service.engine.stylizer import Stylizer
from service.errors import DeadlinePassed, ServiceError
from service.queue.jobs import Claim, Result
from service.queue.queue import JobQueue
from service.queue.styles import StyleStore
from service.settings import Settings
from service.tasks import end_tasks
from service.worker.background import BackgroundLane
from service.worker.batching import BatchLimits
from service.worker.codecs import Codecs, Decoded
from service.worker.device import Device
from service.worker.held_jobs import RETRY_S, HeldJobs, log_fields
from service.worker.waiting_jobs import Forwarded, Waiting, WaitingJobs

AHEAD = 2
"""Batches that are claimed and not yet run: one decoded, one being decoded."""

log = logging.getLogger(__name__)


class Worker:
    """One process's pipeline. ``run`` returns when it is told to stop and has drained."""

    def __init__(self, queue: JobQueue, stylizer: Stylizer, settings: Settings) -> None:
        """``stylizer`` has loaded nothing yet; it is warmed up by ``run``."""
        self._queue = queue
        self._stylizer = stylizer
        self._settings = settings
        self._held = HeldJobs(queue, settings.max_batch_size)
        self._codecs = Codecs(stylizer, StyleStore(queue.redis, settings), settings)
        limits = BatchLimits(settings.max_batch_size, settings.max_batch_pixels)
        self._device = Device(stylizer, limits, settings.forward_timeout_s)
        self._background = BackgroundLane(queue, self._held, stylizer, self._codecs, self._device, self._idle_device)
        self._waiting = WaitingJobs()
        self._stopping = False
        self._state = "warming up"
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None]

    # ---- the pipeline ---------------------------------------------------------------------------------------------

    async def _claim_jobs(self) -> None:
        """Claim: keep the pipeline fed until told to stop; then let it run empty, or give back what it cannot do."""
        orphans_looked_for_at = -float("inf")
        is_prepared = False
        while not self._stopping:
            try:
                if not is_prepared:
                    await self._queue.prepare()
                    await self._queue.heartbeat(self._worker_info())
                    is_prepared = True
                if monotonic() - orphans_looked_for_at > self._settings.heartbeat_s:
                    if count := await self._queue.reclaim():
                        log.warning("jobs of dead workers were put back", extra={"jobs": count})
                    if (suspect := await self._queue.claim_suspect()) is not None:
                        await self._run_alone(suspect)
                        continue
                    orphans_looked_for_at = monotonic()
                if (room := self._room()) <= 0:
                    await self._waiting.until(lambda: self._room() > 0)
                    continue
                for claim in await self._queue.claim(room):
                    self._accept(claim)
            except ServiceError:  # the client of Redis has logged it
                await asyncio.sleep(RETRY_S)
                is_prepared = False  # Redis may come back empty
        await self._drain()

    async def _do(self, claim: Claim) -> None:
        """Take one job through the pipeline: decode, wait for its batch to be run, encode, complete."""
        try:
            if (decoded := await self._decode(claim)) is None:
                return await self._held.drop(claim)
            if (forwarded := await self._waiting.join(claim, decoded)) is None:
                return await self._held.drop(claim)
            result = await self._codecs.result(claim, decoded, *forwarded)
        except ServiceError as err:
            result = Result(error=err)
        await self._held.complete(claim, result)

    async def _run_batches(self) -> None:
        """Batch and forward: keep the device busy, each time with what waits at that moment."""
        while True:
            await self._waiting.until(lambda: len(self._waiting) > 0)
            await self._waiting.until_full(self._device.limits, 0 if self._stopping else self._settings.max_wait_ms)
            async with self._device.lock:
                batch = await self._waiting.take(self._device.limits)
                if batch := await self._without_unwanted(batch):
                    await self._forward(batch)

    async def _forward(self, batch: list[Waiting]) -> None:
        """Run one forward pass; its outputs are encoded while the next batch runs."""
        started = monotonic()
        outcomes = await self._device.forward([job.decoded for job in batch])
        model_ms = (monotonic() - started) * 1000
        if len(outcomes) != len(batch):
            raise RuntimeError(f"{len(batch)} jobs went into the batch, {len(outcomes)} results came out of it")
        for job, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, ServiceError):
                job.forwarded.set_exception(outcome)
            else:
                job.forwarded.set_result(Forwarded(outcome, len(batch), model_ms))

    # ---- its steps ------------------------------------------------------------------------------------------------

    def _room(self) -> int:
        """Return how many jobs may be claimed now."""
        return AHEAD * self._device.limits.size - self._waiting.ahead

    def _accept(self, claim: Claim) -> None:
        self._held.add(claim)
        self._waiting.expect()
        self._spawn(self._do(claim))

    async def _decode(self, claim: Claim) -> Decoded | None:
        """Decode a job's images; ``None`` if it is not wanted any more."""
        try:
            async with self._codecs.room(claim):  # a job that waits for it has not begun
                self._held.require_time(claim)
                if await self._held.begin(claim):
                    return await self._codecs.decode(claim)
        except ServiceError:
            await self._waiting.given_up()
            raise
        await self._waiting.given_up()
        return None

    async def _without_unwanted(self, batch: list[Waiting]) -> list[Waiting]:
        """Take out the jobs of a batch that are cancelled or would be late: they are not computed."""
        try:
            wanted = await self._queue.still_wanted([job.claim for job in batch])
        except ServiceError:
            wanted = [True] * len(batch)  # it cannot be known; the result will be stored when Redis is back
        kept = []
        for job, is_wanted in zip(batch, wanted, strict=True):
            try:
                self._held.require_time(job.claim, len(batch) - 1)
            except DeadlinePassed as err:
                job.forwarded.set_exception(err)
            else:
                kept.append(job) if is_wanted else job.forwarded.set_result(None)
        return kept

    @asynccontextmanager
    async def _idle_device(self) -> AsyncIterator[None]:
        """Lock the device when no batch wants it: batches that come meanwhile wait, and go first afterwards."""
        while True:
            await self._waiting.until(lambda: len(self._waiting) == 0)
            async with self._device.lock:
                if len(self._waiting) == 0:  # the lock may have been waited for
                    yield
                    return

    async def _run_alone(self, claim: Claim) -> None:
        """Take a job that had begun when its worker died through an otherwise empty pipeline."""
        log.warning("a job's worker died: it runs alone", extra={**log_fields(claim), "deliveries": claim.deliveries})
        self._held.add(claim)  # so that its lease is renewed
        async with self._background.preempted():
            await self._held.until_alone(claim)
            self._accept(claim)
            await self._held.until_none()

    # ---- living and stopping --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until ``stop``.

        Raises:
            DeviceFailed: The process must end; jobs it held are redelivered.
        """
        self._failure = asyncio.get_running_loop().create_future()
        self._spawn(self._heartbeat())
        try:
            await self._device.run(lambda: self._stylizer.warm_up(self._settings.default_model))
            self._state = "ready"
            log.info("ready", extra={"device": str(self._stylizer.runtime.device), "models": self._stylizer.models})
            claiming = self._spawn(self._claim_jobs())
            self._spawn(self._run_batches())
            self._spawn(self._background.run())
            # Claiming ends when the worker has drained; anything else ends by a failure alone.
            await asyncio.wait([claiming, self._failure], return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                self._failure.result()
        finally:
            await end_tasks(self._tasks)
        with contextlib.suppress(ServiceError):
            await self._queue.leave()

    def stop(self) -> None:
        """Claim no more, finish what is claimed, then return from ``run``."""
        self._stopping = True
        self._state = "draining"
        self._background.stop()

    async def _drain(self) -> None:
        """Finish what is claimed; give back what does not finish in time."""
        log.info("draining", extra={"held": len(self._held.claims)})
        try:
            async with asyncio.timeout(self._settings.drain_timeout_s):
                await self._held.until_none()
                await self._background.has_ended.wait()
        except TimeoutError:
            await self._held.release_all()

    async def _heartbeat(self) -> None:
        """Tell Redis that this worker lives, and renew the leases of what it holds."""
        while True:
            with contextlib.suppress(ServiceError):  # the client of Redis has logged it
                await self._queue.extend([claim for claim in self._held.claims if not claim.is_late])
            with contextlib.suppress(ServiceError):  # leases are renewed whatever becomes of the heartbeat
                await self._queue.heartbeat(self._worker_info())
            await asyncio.sleep(self._settings.heartbeat_s)

    def _worker_info(self) -> dict[str, object]:
        runtime = self._stylizer.runtime
        return {
            "state": self._state,
            "host": platform.node(),
            "pid": os.getpid(),
            "device": str(runtime.device),
            "dtype": str(runtime.dtype).removeprefix("torch."),
            "models": self._stylizer.models,
            "problems": self._stylizer.problems,
            "held": len(self._held.claims),
        }

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start a task; the set keeps it from being collected."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)
        return task

    def _note_end(self, task: asyncio.Task[None]) -> None:
        """End the worker where a task failed: a job that is held and forgotten would be stuck for ever."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._failure.done():
            self._failure.set_exception(error)
