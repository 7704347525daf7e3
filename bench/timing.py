"""What both the bare loop and the client of the service measure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles


@dataclass(frozen=True)
class Stages:
    """Seconds that a request's work took."""

    decode_s: float
    model_s: float
    encode_s: float

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.decode_s + self.model_s + self.encode_s


def percentile(values: Sequence[float], percent: int) -> float:
    """Between the values, by linear interpolation."""
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]
