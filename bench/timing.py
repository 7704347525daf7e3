"""Stopwatch, percentiles and the stages of a request, for all measurements."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import quantiles
from time import perf_counter


@dataclass(frozen=True)
class Stages:
    """Seconds of a request's stages."""

    decode_s: float
    model_s: float
    encode_s: float

    @property
    def total_s(self) -> float:
        """Sum of the stages."""
        return self.decode_s + self.model_s + self.encode_s


def percentile(values: Sequence[float], percent: int) -> float:
    """Compute a percentile by linear interpolation."""
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


class Watch:
    """Result of ``stopwatch``: the block's seconds, after its end."""

    seconds: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Watch]:
    """Time a block."""
    watch, started = Watch(), perf_counter()
    yield watch
    watch.seconds = perf_counter() - started
