"""OpenVINO on CPUs: the plain path of any network without noise, for all sizes and batches in one compiled graph.

The graph is made of the network at its first image, which ``Stylizer.warm_up`` paints before the worker is ready:
half a second of tracing, a third of compilation, so nothing is cached on disk. ``openvino.convert_model`` would do the
same, but passes its makers' telemetry.
"""

import logging
import warnings
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from model_store.network import StyleNetwork
from model_store.style import WHOLE_IMAGE, Style

log = logging.getLogger(__name__)


class OpenVinoForward:
    """A network's ``forward``: by OpenVINO where the path is plain, else, or once it has failed, by torch."""

    def __init__(self, network: StyleNetwork) -> None:
        """Nothing is compiled before the first call; calls come from one thread at a time."""
        self._network = network
        self._alpha_is_in_layers = any(layer.keeps_own for layer in network.norms)
        self._request: Any = None
        self.has_failed = False

    def __call__(self, content: Tensor, style: Style) -> Tensor:
        """Compute what ``StyleNetwork.forward`` does."""
        if self.has_failed or not self.is_plain(style):
            return self._network(content, style)  # type: ignore[no-any-return]
        try:
            return self._infer(content, style)
        except Exception:
            log.warning("OpenVINO failed: torch is used for this network", exc_info=True)
            self.has_failed = True
            return self._network(content, style)  # type: ignore[no-any-return]

    def is_plain(self, style: Style) -> bool:
        """Return whether scale and shift are all that the network's layers take of the style."""
        has_alpha = style.alpha is not None and self._alpha_is_in_layers
        return style.masks is None and style.context is WHOLE_IMAGE and not has_alpha

    def _infer(self, content: Tensor, style: Style) -> Tensor:
        inputs = [content.float(), *(row.float() for row in (*style.scales, *style.shifts))]
        if self._request is None:
            self._request = compiled(self._network, inputs).create_infer_request()
        (painted,) = self._request.infer([value.contiguous().numpy() for value in inputs], share_inputs=True).values()
        return torch.from_numpy(painted)


class _Plain(nn.Module):
    """A network as a function of tensors alone: content, all scales, all shifts."""

    def __init__(self, network: StyleNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, content: Tensor, *rows: Tensor) -> Tensor:
        layers = len(rows) // 2
        return self.network(content, Style(rows[:layers], rows[layers:]))  # type: ignore[no-any-return]


def compiled(network: StyleNetwork, inputs: list[Tensor]) -> Any:
    """Compile a network's ``forward`` for every batch and size.

    Args:
        network: Its number type, fp32 or bf16, is the one that is computed in.
        inputs: An example: the content (B, 3, H, W), then scales and shifts of all layers, each (B, C); fp32.

    Returns:
        An ``openvino.CompiledModel``.
    """
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    precision = {torch.float32: "f32", torch.bfloat16: "bf16"}[network.dtype]
    plain = _Plain(network if network.dtype == torch.float32 else deepcopy(network).float())
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)  # torch wishes for torch.export, which takes eleven seconds
        # AdaIN asks whether anything is left to pad: nothing ever is.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        example = tuple(value.clone() for value in inputs)
        traced = torch.jit.trace(plain, example, check_trace=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced, example_input=example)
        frontend = FrontEndManager().load_by_framework("pytorch")
        graph = frontend.convert(frontend.load(decoder))
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": precision,
        "ENABLE_CPU_PINNING": False,  # a pinned thread cannot leave a core that others use
    }
    return openvino.Core().compile_model(graph, "CPU", options)
