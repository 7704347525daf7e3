"""Backends, which carry out a network's ``forward``.

``torch`` is the reference, runs everything and needs nothing: the network itself. Another backend may take the plain
path (a whole image, one row per image, no masks) where it gives the same picture. A backend that is not installed or
fails is logged, and torch does the work; no request fails for it.

A backend for GPUs (CUDA graphs, ``torch.compile``) joins in ``forward_of``.
"""

import logging
from importlib.util import find_spec
from typing import Literal

from model_store.network import Forward, StyleNetwork
from model_store.runtime import Runtime

BackendName = Literal["auto", "torch", "openvino"]

log = logging.getLogger(__name__)


def usable_backend(asked: BackendName, runtime: Runtime) -> BackendName:
    """Return the backend that is asked for if it can run here, else torch, which is logged.

    ``auto`` is torch: OpenVINO was measured on AVX2 in fp32, where both spend their time in the same convolutions.
    """
    if asked != "openvino":
        return "torch"
    if find_spec("openvino") is None:
        problem = "it is not installed: pip install 'stylize-server[openvino]'"
    elif runtime.device.type != "cpu":
        problem = f"it is for CPUs, and the device is {runtime.device}"
    else:
        return "openvino"
    log.warning("torch is used instead of OpenVINO: %s", problem)
    return "torch"


def forward_of(network: StyleNetwork, backend: BackendName) -> Forward:
    """Return the function that carries out the network's ``forward``; ``backend`` comes from ``usable_backend``."""
    if backend == "openvino" and "seed" not in network.controls:  # a graph would repeat the noise that it was made with
        from service.engine.backends.openvino import OpenVinoForward

        return OpenVinoForward(network)
    return network
