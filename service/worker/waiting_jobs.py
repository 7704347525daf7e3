"""``WaitingJobs``: decoded jobs, in order of arrival, until a batch takes them and gives each its output."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

from PIL import Image

from service.queue.jobs import Claim
from service.worker.batching import BatchLimits, Shape, next_batch, wait_left_ms
from service.worker.codecs import Decoded


class Forwarded(NamedTuple):
    """A job's output, and the forward pass that it came from."""

    output: Image.Image
    batch_size: int
    model_ms: float


def _future() -> "asyncio.Future[Forwarded | None]":
    return asyncio.get_running_loop().create_future()


@dataclass(frozen=True, eq=False)
class Waiting:
    """A decoded job that waits for its batch; ``since`` is on the monotonic clock.

    ``forwarded`` becomes its output or its error, or ``None`` if it is dropped.
    """

    claim: Claim
    decoded: Decoded
    since: float = field(default_factory=monotonic)
    forwarded: "asyncio.Future[Forwarded | None]" = field(default_factory=_future)

    @property
    def shape(self) -> Shape:
        """Shape, which all jobs of a batch share."""
        return self.decoded.shape


class WaitingJobs:
    """The jobs between claim and forward pass.

    Attributes:
        ahead: Number of jobs that are claimed and not yet in a batch: being decoded, or waiting.
    """

    def __init__(self) -> None:
        self.ahead = 0
        self._jobs: list[Waiting] = []
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._jobs)

    def expect(self) -> None:
        """Count a job that is claimed, and will ``join`` or be ``given_up``."""
        self.ahead += 1

    async def given_up(self) -> None:
        """Count a job no longer: it could not be decoded."""
        async with self._changed:
            self.ahead -= 1
            self._changed.notify_all()

    async def join(self, claim: Claim, decoded: Decoded) -> Forwarded | None:
        """Wait for a batch and its forward pass; ``None`` if the job is late or cancelled.

        Raises:
            ServiceError: The job failed in the forward pass.
        """
        job = Waiting(claim, decoded)
        async with self._changed:
            self._jobs.append(job)
            self._jobs.sort(key=lambda job: job.claim.arrival)  # a small file decodes sooner
            self._changed.notify_all()
        return await job.forwarded

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on the jobs holds."""
        async with self._changed:
            await self._changed.wait_for(condition)

    async def until_full(self, limits: BatchLimits, max_wait_ms: int) -> None:
        """Wait until the oldest job's batch is full, or that job has waited for ``max_wait_ms``."""

        def left_ms() -> float:
            age_ms = (monotonic() - self._jobs[0].since) * 1000
            return wait_left_ms(self._jobs, age_ms, limits, max_wait_ms)

        while (wait_ms := left_ms()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_ms / 1000), self._changed:
                    await self._changed.wait()

    async def take(self, limits: BatchLimits) -> list[Waiting]:
        """Take out the next batch."""
        batch = next_batch(self._jobs, limits)
        async with self._changed:
            self._jobs = [job for job in self._jobs if job not in batch]
            self.ahead -= len(batch)
            self._changed.notify_all()
        return batch
