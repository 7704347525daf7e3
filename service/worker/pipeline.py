"""The worker: claim → decode → batch → forward → encode → complete, as a pipeline on one device.

While the device runs one batch, threads decode the next and encode the last. The worker holds at most ``AHEAD`` batches
of jobs that have not run yet; the rest stays in Redis for other workers. Where no batch wants the device, the
``BackgroundLane`` takes a step of its job: a tile of a large picture, or a step of an optimisation.

A job may be fatal: a file that crashes a codec, a size that kills the process. So a job that had begun when its worker
died is run with nothing else in the pipeline (``_run_alone``): if it kills this worker too, it harms no other job's
count of deliveries. Other workers go on meanwhile.
"""

import asyncio
import contextlib
import logging
import os
import platform
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

import torch
from PIL import Image

from service.engine.stylizer import Stylizer
from service.errors import JobFailed, ServiceError
from service.queue.jobs import Claim, Result
from service.queue.queue import JobQueue
from service.queue.styles import StyleStore
from service.settings import Settings
from service.tasks import end_tasks
from service.worker.answering import RETRY_S, answer, begin, let_go, who
from service.worker.background import BackgroundLane
from service.worker.batching import BatchLimits, Shape, next_batch, wait_left_ms
from service.worker.codecs import Codecs
from service.worker.decoding import Decoded
from service.worker.registered import RegisteredStyles

AHEAD = 2
"""Batches that are claimed and not yet run: one decoded, one being decoded."""

NO_MEMORY = "the device has not enough memory for this size: ask for a smaller one"

T = TypeVar("T")
Outcome = Image.Image | ServiceError
log = logging.getLogger(__name__)


class DeviceFailed(Exception):
    """The device is in an unknown state: only a new process may use it again."""


@dataclass(frozen=True, eq=False)
class Waiting:
    """A claimed and decoded job; ``since`` is on the monotonic clock."""

    claim: Claim
    decoded: Decoded
    since: float

    @property
    def shape(self) -> Shape:
        """What it must share with the others of its batch."""
        return self.decoded.shape


class Worker:
    """One process's pipeline. ``run`` returns when it is told to stop and has drained."""

    def __init__(self, queue: JobQueue, stylizer: Stylizer, settings: Settings) -> None:
        """``stylizer`` has loaded nothing yet; it is warmed up by ``run``."""
        self._queue = queue
        self._stylizer = stylizer
        self._settings = settings
        self._limits = BatchLimits(settings.max_batch_size, settings.max_batch_pixels)
        self._held: dict[bytes, Claim] = {}
        self._suspect: Claim | None = None
        self._unstarted = 0
        self._waiting: list[Waiting] = []
        self._changed = asyncio.Condition()
        self._stopping = False
        self._state = "warming up"
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: asyncio.Future[None]
        self._device = ThreadPoolExecutor(1, "device")
        self._device_lock = asyncio.Lock()
        styles = RegisteredStyles(StyleStore(queue.redis, settings), stylizer)
        self._codecs = Codecs(stylizer, styles, settings)
        self._background = BackgroundLane(queue, stylizer, self._codecs, self._idle_device, self._take_step)

    async def run(self) -> None:
        """Work until ``stop``.

        Raises:
            DeviceFailed: The process must end; jobs it held are redelivered.
        """
        self._broken = asyncio.get_running_loop().create_future()
        heartbeat = asyncio.create_task(self._keep_alive(), name="heartbeat")
        await asyncio.get_running_loop().run_in_executor(
            self._device, self._stylizer.warm_up, self._settings.default_model
        )
        self._state = "ready"
        log.info("ready", extra={"device": str(self._stylizer.runtime.device), "models": self._stylizer.models})
        stages = [asyncio.create_task(stage()) for stage in (self._claim_jobs, self._run_batches)]
        background = self._spawn(self._background.run())
        ends: list[asyncio.Future[None]] = [*stages, heartbeat, self._broken]
        try:
            # Only claiming ends by itself: when the worker has drained.
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                if end.done():
                    end.result()
        finally:
            await end_tasks([*stages, background, heartbeat])
        with contextlib.suppress(ServiceError):
            await self._queue.leave()

    def stop(self) -> None:
        """Claim no more, finish what is claimed, then return from ``run``."""
        self._stopping = True
        self._state = "draining"
        self._background.stop()

    # ---- claim and decode -----------------------------------------------------------------------------------------

    async def _claim_jobs(self) -> None:
        """Keep the pipeline fed until told to stop; then wait for it to run empty, or give back what it cannot do."""
        reclaim_every_s = self._settings.heartbeat_s
        reclaimed_at = -float("inf")
        is_prepared = False
        while not self._stopping:
            try:
                if not is_prepared:
                    await self._queue.prepare()
                    await self._queue.heartbeat(self._about())
                    is_prepared = True
                if monotonic() - reclaimed_at > reclaim_every_s:
                    if count := await self._queue.reclaim():
                        log.warning("jobs of dead workers were put back", extra={"jobs": count})
                    if (suspect := await self._queue.claim_suspect()) is not None:
                        await self._run_alone(suspect)
                        continue
                    reclaimed_at = monotonic()
                room = AHEAD * self._limits.size - self._unstarted
                if room <= 0:
                    await self._until(lambda: self._unstarted < AHEAD * self._limits.size)
                    continue
                for claim in await self._queue.claim(room):
                    self._accept(claim)
            except ServiceError as err:
                log.warning("no jobs can be claimed: %s", err.detail)
                await asyncio.sleep(RETRY_S)
                is_prepared = False  # Redis may come back empty
        await self._drain()

    async def _run_alone(self, claim: Claim) -> None:
        """Take a job that had begun when its worker died through an otherwise empty pipeline."""
        log.warning("a job's worker died: it runs alone", extra={**who(claim), "deliveries": claim.deliveries})
        self._suspect = claim
        async with self._background.preempted():
            await self._until(lambda: not self._held)
            self._accept(claim)
            self._suspect = None
            await self._until(lambda: not self._held)

    def _accept(self, claim: Claim) -> None:
        self._held[claim.entry] = claim
        self._unstarted += 1
        self._spawn(self._decode(claim))

    async def _decode(self, claim: Claim) -> None:
        """Decode a job's images; it then waits for a batch."""
        try:
            async with self._codecs.decoders:  # a job that waits for a thread has not begun
                if not await begin(self._queue, claim):
                    await self._let_go(claim, started=False)
                    return
                decoded = await self._codecs.decode(claim)
        except ServiceError as err:
            await self._finish(claim, Result(error=err), started=False)
        else:
            async with self._changed:
                self._waiting.append(Waiting(claim, decoded, monotonic()))
                self._waiting.sort(key=lambda job: _arrival(job.claim))  # a small file decodes sooner
                self._changed.notify_all()

    # ---- batch and forward ----------------------------------------------------------------------------------------

    async def _run_batches(self) -> None:
        """Keep the device busy: one batch after the other, each of what waits at that moment."""
        while True:
            await self._until(lambda: bool(self._waiting))
            await self._let_batch_fill()
            async with self._device_lock:
                batch = next_batch(self._waiting, self._limits)
                async with self._changed:
                    self._waiting = [job for job in self._waiting if job not in batch]
                    self._unstarted -= len(batch)
                    self._changed.notify_all()
                if batch := await self._still_wanted(batch):
                    await self._run_batch(batch)

    async def _let_batch_fill(self) -> None:
        """With ``max_wait_ms``, an idle device gives the oldest job's batch that long to become full."""

        def left_ms() -> float:
            age_ms = (monotonic() - self._waiting[0].since) * 1000
            return (
                0.0 if self._stopping else wait_left_ms(self._waiting, age_ms, self._limits, self._settings.max_wait_ms)
            )

        while (wait_ms := left_ms()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_ms / 1000), self._changed:
                    await self._changed.wait()

    async def _still_wanted(self, batch: list[Waiting]) -> list[Waiting]:
        """Without the jobs that are late or cancelled: those are dropped, not computed."""
        try:
            wanted = await self._queue.still_wanted([job.claim for job in batch])
        except ServiceError:
            wanted = [True] * len(batch)  # it cannot be known; the result will be stored when Redis is back
        wanted = [is_wanted and not job.claim.is_late for job, is_wanted in zip(batch, wanted, strict=True)]
        for job, is_wanted in zip(batch, wanted, strict=True):
            if not is_wanted:
                self._spawn(self._let_go(job.claim))
        return [job for job, is_wanted in zip(batch, wanted, strict=True) if is_wanted]

    async def _run_batch(self, batch: list[Waiting]) -> None:
        """One forward pass; its results are encoded while the next batch runs."""
        started = monotonic()
        outcomes = await self._paint(batch)
        assert len(outcomes) == len(batch), f"{len(batch)} jobs went in, {len(outcomes)} results came out"
        model_ms = (monotonic() - started) * 1000
        for job, outcome in zip(batch, outcomes, strict=True):
            self._spawn(self._answer(job, outcome, len(batch), model_ms))

    async def _paint(self, batch: list[Waiting]) -> list[Outcome]:
        """Results in the batch's order. A batch that fails is tried one by one, so that one item fails alone.

        Raises:
            DeviceFailed: The device can no longer be trusted, or does not answer.
        """
        paintings = [job.decoded.painting for job in batch]
        try:
            return list(await self._on_device(lambda: self._stylizer.paint(batch[0].shape.model, paintings)))
        except DeviceFailed:
            raise
        except torch.OutOfMemoryError as err:
            return await self._paint_in_halves(batch, err)
        except ServiceError as err:  # of the checkpoint or a style: the stylizer has logged what is to be logged
            failure = err
        except Exception:
            log.exception("a batch failed", extra={"jobs": [who(job.claim) for job in batch]})
            failure = JobFailed("the picture could not be painted")
        if len(batch) == 1:
            return [failure]
        return [outcome for job in batch for outcome in await self._paint([job])]

    async def _paint_in_halves(self, batch: list[Waiting], err: Exception) -> list[Outcome]:
        """Out of memory: later batches are half as big, and so is this one."""
        self._limits = self._limits.halved()
        log.warning("out of memory: batches are halved", extra={"limits": str(self._limits), "batch": len(batch)})
        torch.cuda.empty_cache()
        if len(batch) == 1:
            return [JobFailed(NO_MEMORY)]
        half = (len(batch) + 1) // 2
        return await self._paint(batch[:half]) + await self._paint(batch[half:])

    # ---- the device -----------------------------------------------------------------------------------------------

    async def _on_device(self, call: Callable[[], T]) -> T:
        """Run in the device's thread.

        Raises:
            DeviceFailed: The device can no longer be trusted, or does not answer.
        """
        timeout_s = self._settings.forward_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._device, call)
        except TimeoutError as err:
            raise DeviceFailed(f"a forward pass took more than {timeout_s:g} s") from err
        except Exception as err:
            if _is_device_error(err):
                raise DeviceFailed(str(err)) from err
            raise

    @asynccontextmanager
    async def _idle_device(self) -> AsyncIterator[None]:
        """Hold the device when no batch wants it: batches that come meanwhile wait, and go first afterwards."""
        while True:
            await self._until(lambda: not self._waiting)
            async with self._device_lock:
                if not self._waiting:  # the lock may have been waited for
                    yield
                    return

    async def _take_step(self, step: Callable[[], None]) -> None:
        """A long job's step, on the device.

        Raises:
            ServiceError: What to answer to the job, which has failed.
            DeviceFailed: The device can no longer be trusted, or does not answer.
        """
        try:
            await self._on_device(step)
        except (DeviceFailed, ServiceError):
            raise
        except torch.OutOfMemoryError as err:
            torch.cuda.empty_cache()
            raise JobFailed(NO_MEMORY) from err
        except Exception as err:
            log.exception("a step of a long job failed")
            raise JobFailed("the picture could not be painted") from err

    # ---- encode and complete --------------------------------------------------------------------------------------

    async def _answer(self, job: Waiting, outcome: Outcome, batch_size: int, model_ms: float) -> None:
        """Encode a picture and answer its job."""
        if isinstance(outcome, ServiceError):
            result = Result(error=outcome)
        else:
            result = await self._codecs.encode(job.claim, job.decoded, outcome, batch_size, model_ms)
        await self._finish(job.claim, result)

    async def _finish(self, claim: Claim, result: Result, started: bool = True) -> None:
        await answer(self._queue, claim, result)
        await self._forget(claim, started)

    async def _let_go(self, claim: Claim, started: bool = True) -> None:
        await let_go(self._queue, claim)
        await self._forget(claim, started)

    async def _forget(self, claim: Claim, started: bool) -> None:
        async with self._changed:
            del self._held[claim.entry]
            if not started:
                self._unstarted -= 1
            self._changed.notify_all()

    # ---- living and stopping --------------------------------------------------------------------------------------

    async def _keep_alive(self) -> None:
        """Tell Redis that this worker lives, and renew the lease of what it holds."""
        while True:
            try:
                await self._queue.heartbeat(self._about())
                await self._queue.extend([claim for claim in self._claims() if not claim.is_late])
            except ServiceError as err:
                log.warning("no heartbeat: %s", err.detail)
            await asyncio.sleep(self._settings.heartbeat_s)

    def _about(self) -> dict[str, object]:
        runtime = self._stylizer.runtime
        return {
            "state": self._state,
            "host": platform.node(),
            "pid": os.getpid(),
            "device": str(runtime.device),
            "dtype": str(runtime.dtype).removeprefix("torch."),
            "models": self._stylizer.models,
            "problems": self._stylizer.problems,
            "held": len(self._claims()),
        }

    def _claims(self) -> list[Claim]:
        """All that this worker holds."""
        others = (self._suspect, self._background.held)
        return [*self._held.values(), *(claim for claim in others if claim is not None)]

    async def _drain(self) -> None:
        """Finish what is claimed; give back what does not finish in time."""
        log.info("draining", extra={"held": len(self._claims())})
        try:
            async with asyncio.timeout(self._settings.drain_timeout_s):
                await self._until(lambda: not self._held)
                await self._background.ended.wait()
        except TimeoutError:
            log.warning("giving back what could not be finished", extra={"held": len(self._claims())})
            with contextlib.suppress(ServiceError):  # their lease ends by itself
                await self._queue.release(self._claims())

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run beside the stages; the set keeps the task from being collected."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)
        return task

    def _note_end(self, task: asyncio.Task[None]) -> None:
        """What no stage expected ends the worker: a job that is held and forgotten would be stuck for ever."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._broken.done():
            self._broken.set_exception(error)


def _is_device_error(err: Exception) -> bool:
    """Errors after which every further call on the device fails too."""
    return isinstance(err, torch.AcceleratorError) or "CUDA error" in str(err)


def _arrival(claim: Claim) -> tuple[int, int]:
    """Stream entries are numbered by time: (ms, sequence)."""
    ms, _, sequence = claim.entry.partition(b"-")
    return int(ms), int(sequence)
