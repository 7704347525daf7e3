"""Which waiting jobs run together. Pure: no clock, no I/O.

The oldest job leads, so none is overtaken for ever. Jobs of its shape join it in order of arrival, up to the limits. An
idle device takes what is there at once; what arrives while it is busy makes the next batch (``max_wait_ms`` can change
that).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True)
class Shape:
    """What jobs must have in common to share a forward pass. Height and width are of the network's input, in pixels."""

    model: str
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Of one image."""
        return self.height * self.width


class Batchable(Protocol):
    """A job, as far as batching is concerned."""

    @property
    def shape(self) -> Shape:
        """What it must share with the others of its batch."""
        ...


Job = TypeVar("Job", bound=Batchable)


@dataclass(frozen=True)
class BatchLimits:
    """How big a batch may become. A single image may exceed ``pixels``: it runs alone."""

    size: int
    pixels: int

    def room(self, shape: Shape) -> int:
        """Most images of a shape in one batch, at least 1."""
        return max(1, min(self.size, self.pixels // shape.pixels))

    def halved(self) -> "BatchLimits":
        """Limits after the device ran out of memory."""
        return BatchLimits(max(1, self.size // 2), max(1, self.pixels // 2))


def next_batch(waiting: Sequence[Job], limits: BatchLimits) -> list[Job]:
    """The jobs to run next: the oldest, and the oldest others of its shape.

    Args:
        waiting: In order of arrival; not changed.
        limits: Of the batch.

    Returns:
        At least one job unless nothing waits; in order of arrival.
    """
    if not waiting:
        return []
    shape = waiting[0].shape
    return [job for job in waiting if job.shape == shape][: limits.room(shape)]


def wait_left_ms(waiting: Sequence[Job], oldest_age_ms: float, limits: BatchLimits, max_wait_ms: int) -> float:
    """How much longer an idle device should wait for the oldest job's batch to fill; 0 means run now."""
    if not waiting or len(next_batch(waiting, limits)) >= limits.room(waiting[0].shape):
        return 0.0
    return max(0.0, max_wait_ms - oldest_age_ms)
