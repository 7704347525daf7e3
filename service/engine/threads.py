"""Waiting of torch's threads for one another; to be set before torch is imported."""

import os

SPINS = 1000
"""Tens of microseconds, which covers the pause between two operations of one forward pass."""


def sleep_while_waiting() -> None:
    """Let OpenMP's threads sleep when there is nothing for them to do, unless the environment says how they wait.

    By default libgomp's threads spin for milliseconds at the end of each operation. Where anything else wants the cores
    (codecs, the API, another worker), they keep it from the very core that the operation waits for: on two busy cores a
    forward pass took up to fifteen times as long. libgomp reads the variables when torch is imported; other OpenMP
    libraries ignore them.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
