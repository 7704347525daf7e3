"""``BackgroundLane``: the one long job that a worker may hold beside its batches, and behind them, and take in steps.

    claim → decode → (idle device → one step → report) … → encode → complete

A step begins only when no batch wants the device, so an interactive job waits for one step at most, and a long job only
moves on where there is time left. Between two steps it is seen whether the job is still wanted, and whether it is
preempted, by the worker or by another job of the lane: then it goes back to its lane, with the picture so far, and
whoever claims it goes on from there. The picture is saved now and then besides, so that not all is lost with a worker
that dies.

A long job whose worker died is claimed like any other, not alone as interactive ones are: that would keep those waiting
for minutes. If it kills this worker too, they are redelivered, and run without it.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import monotonic

from model_store.gatys import prepare
from service.engine.stylizer import Stylizer
from service.errors import ServiceError
from service.queue.jobs import Claim, Result, Standing
from service.queue.queue import JobQueue
from service.worker.answering import RETRY_S, answer, begin, let_go, who
from service.worker.codecs import Codecs
from service.worker.decoding import Decoded
from service.worker.long_job import LongJob, Optimisation
from service.worker.tiled_job import TiledJob

REPORT_EVERY_S = 0.5
SAVE_EVERY_S = 20.0

log = logging.getLogger(__name__)


class BackgroundLane:
    """Claims the lane's jobs, one at a time, and takes their steps on a device that others use first."""

    def __init__(
        self,
        queue: JobQueue,
        stylizer: Stylizer,
        codecs: Codecs,
        idle_device: Callable[[], AbstractAsyncContextManager[None]],
        step: Callable[[Callable[[], None]], Awaitable[None]],
    ) -> None:
        """How to use the device is the worker's to say.

        Args:
            queue: Where the jobs are.
            stylizer: Paints them.
            codecs: For their images.
            idle_device: Waits until no batch wants the device, and keeps it so as long as it is held.
            step: Runs a call on the device; what the job is to be told of a failure is raised as a ``ServiceError``.
        """
        self._queue = queue
        self._stylizer = stylizer
        self._codecs = codecs
        self._idle_device = idle_device
        self._step = step
        self._may_claim = asyncio.Event()
        self._may_claim.set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_preempted = False
        self._stopping = False
        self.ended = asyncio.Event()
        self.held: Claim | None = None

    async def run(self) -> None:
        """One job after the other, until ``stop``; then the present one is given back."""
        while not self._stopping:
            await self._may_claim.wait()
            claim = await self._next()
            if claim is None:
                continue
            if self._is_preempted:  # while it waited for the claim
                await self._release(claim)
                continue
            self.held = claim
            self._is_idle.clear()
            await self._work(claim)
            self.held = None
            self._is_idle.set()
        self.ended.set()

    def stop(self) -> None:
        """Claim no more, and give back what is held after its present step."""
        self._stopping = self._is_preempted = True
        self._may_claim.set()

    @asynccontextmanager
    async def preempted(self) -> AsyncIterator[None]:
        """Holds no job meanwhile: the present one is given back after its present step."""
        self._is_preempted = True
        self._may_claim.clear()
        await self._is_idle.wait()
        try:
            yield
        finally:
            self._is_preempted = self._stopping
            self._may_claim.set()

    async def _next(self) -> Claim | None:
        """The oldest job that waits, if it comes within a moment."""
        try:
            return next(iter(await self._queue.claim(1, "background")), None)
        except ServiceError:  # whoever claims the interactive jobs logs it
            await asyncio.sleep(RETRY_S)
            return None

    async def _work(self, claim: Claim) -> None:
        """Decode, paint and answer; or give the job back, or drop it where nobody waits for it."""
        try:
            if not await begin(self._queue, claim):
                await let_go(self._queue, claim)
                return
            decoded = await self._codecs.decode(claim)
            job = await self._begin(claim, decoded)
            while not job.is_done:
                async with self._idle_device():
                    if not self._is_preempted and not claim.is_late:
                        await self._step(job.advance)
                if job.is_done:
                    break
                standing = await self._report(claim, job)
                if claim.is_late or standing is Standing.UNWANTED:
                    await let_go(self._queue, claim)
                    return
                if self._is_preempted or standing is Standing.PREEMPTED:
                    await self._give_back(claim, job)
                    return
            painted = await self._codecs.run(job.picture)
            result = await self._codecs.encode(claim, job.decoded, painted, 1, job.model_ms)
        except ServiceError as err:
            result = Result(error=err)
        await answer(self._queue, claim, result)

    async def _begin(self, claim: Claim, decoded: Decoded) -> LongJob:
        if decoded.parameters.method == "gatys":
            await self._codecs.run(prepare)
            return Optimisation(claim, decoded, self._stylizer)
        return TiledJob(decoded, self._stylizer)

    async def _report(self, claim: Claim, job: LongJob) -> Standing:
        """Now and then, report how far a job is; returns its standing, as far as is known."""
        if not job.has_begun or monotonic() - job.told_at < REPORT_EVERY_S:
            return Standing.WANTED
        saved = None
        if monotonic() - job.saved_at > SAVE_EVERY_S:
            saved = await self._codecs.run(job.saved)
            job.saved_at = monotonic()
        try:
            return await self._queue.report(claim, await self._codecs.run(job.progress), saved)
        except ServiceError as err:
            log.warning("a long job's progress is not told: %s", err.detail, extra=who(claim))
            return Standing.WANTED
        finally:
            job.told_at = monotonic()

    async def _give_back(self, claim: Claim, job: LongJob) -> None:
        log.info("a long job is given back", extra=who(claim))
        with contextlib.suppress(ServiceError):  # its lease ends by itself
            if job.has_begun:
                saved = await self._codecs.run(job.saved)
                await self._queue.report(claim, await self._codecs.run(job.progress), saved)
        await self._release(claim)

    async def _release(self, claim: Claim) -> None:
        with contextlib.suppress(ServiceError):  # its lease ends by itself
            await self._queue.release([claim])
