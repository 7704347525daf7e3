"""Painted pictures judged as ``train.evaluate`` judges them, and painting timed."""

from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

import torch
from torch import Tensor

from model_store.perceptual import STYLE_LAYERS
from model_store.vgg import load_vgg
from train.evaluate import Distances, distances

Painted = TypeVar("Painted")


class Evaluator:
    """A VGG in fp32."""

    def __init__(self, source: str, device: torch.device) -> None:
        """Load it.

        Raises:
            WeightsError: The weights cannot be used.
        """
        self._vgg = load_vgg(source).to(device)

    @torch.no_grad()
    def __call__(self, result: Tensor, content: Tensor, style: Tensor) -> Distances:
        """Of (1, 3, H, W) in [0, 1]; the style may have another size."""
        return distances(*(self._vgg(picture, STYLE_LAYERS) for picture in (result, content, style)))


def timed(paint: Callable[..., Painted], *arguments: object, device: torch.device) -> tuple[Painted, float]:
    """What it returns, and the seconds until the device has finished it."""
    finish(device)
    started = perf_counter()
    painted = paint(*arguments)
    finish(device)
    return painted, perf_counter() - started


def finish(device: torch.device) -> None:
    """Wait for a GPU, which returns before it has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
