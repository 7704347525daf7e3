"""Choice of the waiting jobs that run together. Pure: no clock, no I/O.

The oldest job leads, so none is overtaken for ever. Jobs of its shape join it in order of arrival, up to the limits. An
idle device takes what is there at once; what arrives while it is busy makes the next batch (``max_wait_ms`` can change
that).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True)
class Shape:
    """Network and size in pixels of an output: jobs that share a forward pass have the same."""

    model: str
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Pixels of one image."""
        return self.height * self.width


class Batchable(Protocol):
    """Anything with a shape."""

    @property
    def shape(self) -> Shape:
        """Shape, which all jobs of a batch share."""
        ...


Job = TypeVar("Job", bound=Batchable)


@dataclass(frozen=True)
class BatchLimits:
    """Most images and pixels of a batch. A single image may exceed ``pixels``: it runs alone."""

    size: int
    pixels: int

    def room(self, shape: Shape) -> int:
        """Return the most images of a shape in one batch, at least 1."""
        return max(1, min(self.size, self.pixels // shape.pixels))

    def halved(self) -> "BatchLimits":
        """Return the limits after the device ran out of memory."""
        return BatchLimits(max(1, self.size // 2), max(1, self.pixels // 2))


def next_batch(waiting: Sequence[Job], limits: BatchLimits) -> list[Job]:
    """Return the jobs to run next: the oldest, and the oldest others of its shape.

    Args:
        waiting: All jobs, in order of arrival; not changed.
        limits: Limits of the batch.

    Returns:
        At least one job unless nothing waits; in order of arrival.
    """
    if not waiting:
        return []
    shape = waiting[0].shape
    return [job for job in waiting if job.shape == shape][: limits.room(shape)]


def wait_left_ms(waiting: Sequence[Job], oldest_age_ms: float, limits: BatchLimits, max_wait_ms: int) -> float:
    """Return how much longer an idle device waits for the oldest job's batch to fill; 0 means run now."""
    if not waiting or len(next_batch(waiting, limits)) >= limits.room(waiting[0].shape):
        return 0.0
    return max(0.0, max_wait_ms - oldest_age_ms)
