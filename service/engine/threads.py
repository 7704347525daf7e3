"""Waiting of torch's threads for one another, and memory of its libraries; to be set before torch is imported."""

import os

SPINS = 1000
"""Tens of microseconds, which covers the pause between two operations of one forward pass."""

REMEMBERED = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64", "LRU_CACHE_CAPACITY": "16"}
"""Operations that oneDNN keeps prepared, each for one shape: some three sizes of a network. By default each is 1024."""


def sleep_while_waiting() -> None:
    """Let OpenMP's threads sleep when there is nothing for them to do, unless the environment says how they wait.

    By default libgomp's threads spin for milliseconds at the end of each operation. Where anything else wants the cores
    (codecs, the API, another worker), they keep it from the very core that the operation waits for: on two busy cores a
    forward pass took up to fifteen times as long. libgomp reads the variables when torch is imported; other OpenMP
    libraries ignore them.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


def remember_few_shapes() -> None:
    """Have oneDNN keep few operations, unless the environment says how many.

    What it keeps lies between the large blocks of the forward passes that needed it, and keeps those from being used
    again: by ever new sizes a worker would grow by a gigabyte before its caches are full. To prepare an operation again
    takes less time than can be measured beside its forward pass. 0 is not possible.
    """
    for name, capacity in REMEMBERED.items():
        os.environ.setdefault(name, capacity)
