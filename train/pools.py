"""Pools of training targets, which avoid computing them in every step.

The features of a content crop and the statistics of a style crop do not depend on the weights that are trained. So they
are computed once for each crop and kept; every step draws its batch from the pools, and a few crops are renewed. A step
then costs the trained network and the loss network on its output, and no pass over content and style images.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from model_store.perceptual import CONTENT_LAYER, STYLE_LAYERS
from model_store.pixels import from_bytes, shrunk
from model_store.statistics import mean_std
from model_store.vgg import VGG, block_channels
from train.data import Batch
from train.recipe import PoolSizes


class Drawn(NamedTuple):
    """A step's inputs.

    Attributes:
        content: Crops, (B, 3, H, W) in [0, 1], fp32.
        features: Their relu4_1, (B, 512, H/8, W/8), fp32; kept in bf16.
        own: Their statistics, (B, 1920), fp32: see ``statistics_row``.
        style: Statistics of 2·B style crops, (2·B, 1920): a style for each content, and another to mix it with.
        seen: Statistics of the same crops as the network encodes them, shrunk.
    """

    content: Tensor
    features: Tensor
    own: Tensor
    style: Tensor
    seen: Tensor


@dataclass(frozen=True)
class ContentTarget:
    """A content crop, uint8 (3, H, W), and the targets of its losses."""

    pixels: Tensor
    features: Tensor
    own: Tensor


class Pools:
    """Content targets by crop size, and style statistics; bounded, on the training's device."""

    def __init__(self, vgg: VGG, sizes: PoolSizes, device: torch.device) -> None:
        """Start empty.

        Args:
            vgg: The loss network, on the device.
            sizes: Bounds of the pools.
            device: Device of the targets.
        """
        self._vgg = vgg
        self._sizes = sizes
        self._device = device
        self._contents: dict[int, list[ContentTarget]] = {}
        self._styles: list[Tensor] = []

    def take(self, batch: Batch) -> None:
        """Compute the targets of new crops, and drop the oldest ones."""
        for crop in batch.content:
            pool = self._contents.setdefault(crop.shape[-1], [])
            pool.append(self._content_target(crop))
            del pool[: -self._sizes.content]
        for crop in batch.style:
            self._styles.append(self._style_target(crop))
        del self._styles[: -self._sizes.style]

    def draw(self, rng: random.Random, crop_px: int, count: int) -> Drawn:
        """Draw a batch of contents of one size, without repetition, and twice as many styles."""
        contents = [self._contents[crop_px][index] for index in _draw(rng, len(self._contents[crop_px]), count)]
        styles = [self._styles[index] for index in _draw(rng, len(self._styles), 2 * count)]
        pixels = torch.stack([one.pixels for one in contents])
        return Drawn(
            from_bytes(pixels).contiguous(memory_format=torch.channels_last),
            torch.stack([one.features for one in contents]).float(),
            torch.stack([one.own for one in contents]),
            *torch.stack(styles).unbind(1),
        )

    def state(self) -> dict[str, Any]:
        """Return the crops and statistics; ``restore`` computes the features again."""
        contents = {px: torch.stack([one.pixels for one in pool]) for px, pool in self._contents.items()}
        return {"contents": contents, "styles": torch.stack(self._styles)}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the result of ``state``."""
        self._contents = {px: [self._content_target(crop) for crop in crops] for px, crops in state["contents"].items()}
        self._styles = list(state["styles"].to(self._device).unbind())

    @torch.no_grad()
    def _content_target(self, crop: Tensor) -> ContentTarget:
        """Compute one crop's targets alone, so that a restored pool has the same numbers to the bit."""
        pixels = crop.to(self._device)
        features = self._vgg(_image(pixels), STYLE_LAYERS)
        return ContentTarget(pixels, features[CONTENT_LAYER][0].bfloat16(), statistics_row(features)[0])

    @torch.no_grad()
    def _style_target(self, crop: Tensor) -> Tensor:
        """Compute statistics of the crop, and of the crop as the network encodes it: (2, 1920)."""
        image = _image(crop.to(self._device))
        rows = [statistics_row(self._vgg(image, STYLE_LAYERS))]
        if (factor := self._sizes.style_shrink) > 1:
            rows.append(statistics_row(self._vgg(shrunk(image, factor), STYLE_LAYERS)))
        return torch.cat([rows[0], rows[-1]])


def statistics_row(features: dict[str, Tensor]) -> Tensor:
    """Join means and stds of all style layers to one row: (B, 1920), fp32."""
    return torch.cat([mean_std(features[layer]) for layer in STYLE_LAYERS], dim=1)


def by_layer(rows: Tensor) -> dict[str, Tensor]:
    """Reverse ``statistics_row``: (B, 1920) → by layer (B, 2·C), as ``perceptual.style_loss`` compares them."""
    shares = block_channels(1)[: len(STYLE_LAYERS)]
    parts = torch.split(rows, [rows.shape[1] // sum(shares) * share for share in shares], dim=1)
    return dict(zip(STYLE_LAYERS, parts, strict=True))


def _image(crop: Tensor) -> Tensor:
    return from_bytes(crop[None]).contiguous(memory_format=torch.channels_last)


def _draw(rng: random.Random, available: int, count: int) -> Sequence[int]:
    """Draw without repetition if there are enough."""
    return rng.sample(range(available), count) if count <= available else rng.choices(range(available), k=count)
