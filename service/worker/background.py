"""``BackgroundLane``: the one long job that a worker may hold beside its batches, taken in small steps.

    claim → decode → (idle device → one step → report) … → encode → complete

A step begins only when no batch wants the device, so an interactive job waits for one step at most, and a long job only
moves on where there is time left. After each step the lane looks whether the job is still wanted, and whether it is
preempted, by the worker or by another job of the lane: then it goes back to its lane, with the output so far, and the
worker that claims it next goes on from there. The output is saved now and then besides, so that not all is lost with a
worker that dies.

A long job whose worker died is claimed like any other, not alone as interactive ones are: those would wait for minutes.
If it kills this worker too, they are redelivered, and run without it.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from time import monotonic

from service.engine.stylizer import Stylizer
from service.errors import ServiceError
from service.queue.jobs import Claim, Result, Standing
from service.queue.queue import JobQueue
from service.worker.codecs import Codecs
from service.worker.device import Device
from service.worker.held_jobs import RETRY_S, HeldJobs, log_fields
from service.worker.long_job import LongJob

REPORT_EVERY_S = 0.5
SAVE_EVERY_S = 20.0

log = logging.getLogger(__name__)


class BackgroundLane:
    """Claims the lane's jobs, one at a time, and takes their steps on a device that batches use first.

    Attributes:
        has_ended: Set once it claims no more and holds nothing, after ``stop``.
    """

    def __init__(
        self,
        queue: JobQueue,
        held: HeldJobs,
        stylizer: Stylizer,
        codecs: Codecs,
        device: Device,
        idle_device: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        """Nothing is claimed before ``run``; ``idle_device`` waits until no batch wants the device, and locks it."""
        self._queue = queue
        self._held = held
        self._stylizer = stylizer
        self._codecs = codecs
        self._device = device
        self._idle_device = idle_device
        self._may_claim = asyncio.Event()
        self._may_claim.set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_preempted = False
        self._stopping = False
        self.has_ended = asyncio.Event()

    async def run(self) -> None:
        """Do one job after the other, until ``stop``; then give the present one back."""
        while not self._stopping:
            await self._may_claim.wait()
            if (claim := await self._claim()) is None:
                continue
            self._held.add(claim)
            if self._is_preempted:  # while it waited for the claim
                await self._held.release(claim)
                continue
            self._is_idle.clear()
            await self._work(claim)
            self._is_idle.set()
        self.has_ended.set()

    def stop(self) -> None:
        """Claim no more, and give back the present job after its present step."""
        self._stopping = self._is_preempted = True
        self._may_claim.set()

    @asynccontextmanager
    async def preempted(self) -> AsyncIterator[None]:
        """Hold no job meanwhile: the present one is given back after its present step."""
        self._is_preempted = True
        self._may_claim.clear()
        await self._is_idle.wait()
        try:
            yield
        finally:
            self._is_preempted = self._stopping
            self._may_claim.set()

    async def _claim(self) -> Claim | None:
        """Claim the oldest job that waits, if it comes within a moment."""
        try:
            return next(iter(await self._queue.claim(1, "background")), None)
        except ServiceError:  # the client of Redis has logged it
            await asyncio.sleep(RETRY_S)
            return None

    async def _work(self, claim: Claim) -> None:
        """Take a job's steps and complete it; or give it back, or drop it if it is not wanted any more."""
        try:
            async with self._codecs.room(claim):
                if not await self._held.begin(claim):
                    return await self._held.drop(claim)
                decoded = await self._codecs.decode(claim)
            job = await self._codecs.run(partial(LongJob, claim, decoded, self._stylizer))
            while not job.is_done:
                async with self._idle_device():
                    if not self._is_preempted and not claim.is_late:
                        await self._device.step(job.advance)
                if job.is_done:
                    break
                standing = await self._report(claim, job)
                if claim.is_late or standing is Standing.UNWANTED:
                    return await self._held.drop(claim)
                if self._is_preempted or standing is Standing.PREEMPTED:
                    return await self._give_back(claim, job)
            output = await self._codecs.run(job.output)
            result = await self._codecs.result(claim, decoded, output, 1, job.model_ms)
        except ServiceError as err:
            result = Result(error=err)
        await self._held.complete(claim, result)

    async def _report(self, claim: Claim, job: LongJob) -> Standing:
        """Report a job's progress, and save it, each only now and then; return its standing, as far as is known."""
        if not job.has_begun or monotonic() - job.reported_at < REPORT_EVERY_S:
            return Standing.WANTED
        saved = None
        if monotonic() - job.saved_at > SAVE_EVERY_S:
            saved = await self._codecs.run(job.saved)
            job.saved_at = monotonic()
        try:
            return await self._queue.report(claim, await self._codecs.run(job.progress), saved)
        except ServiceError:  # the client of Redis has logged it
            return Standing.WANTED
        finally:
            job.reported_at = monotonic()

    async def _give_back(self, claim: Claim, job: LongJob) -> None:
        log.info("a long job is given back", extra=log_fields(claim))
        with contextlib.suppress(ServiceError):  # the next worker begins anew
            if job.has_begun:
                saved = await self._codecs.run(job.saved)
                await self._queue.report(claim, await self._codecs.run(job.progress), saved)
        await self._held.release(claim)
