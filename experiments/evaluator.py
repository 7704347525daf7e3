"""``Evaluator``, the metric of ``train.evaluate`` for single outputs; and ``timed``, which times a method."""

from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

import torch
from torch import Tensor

from model_store.perceptual import STYLE_LAYERS
from model_store.vgg import load_vgg
from train.evaluate import Distances, distances

Output = TypeVar("Output")


class Evaluator:
    """A VGG in fp32 that computes the distances of an output."""

    def __init__(self, source: str, device: torch.device) -> None:
        """Load the VGG.

        Raises:
            WeightsError: The weights cannot be used.
        """
        self._vgg = load_vgg(source).to(device)

    @torch.no_grad()
    def __call__(self, result: Tensor, content: Tensor, style: Tensor) -> Distances:
        """Compute distances from (1, 3, H, W) in [0, 1] each; the style image may have another size."""
        return distances(*(self._vgg(image, STYLE_LAYERS) for image in (result, content, style)))


def timed(function: Callable[..., Output], *arguments: object, device: torch.device) -> tuple[Output, float]:
    """Call a function; returns its result, and the seconds until the device has finished it."""
    finish(device)
    started = perf_counter()
    output = function(*arguments)
    finish(device)
    return output, perf_counter() - started


def finish(device: torch.device) -> None:
    """Wait until a GPU has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
