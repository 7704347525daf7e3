"""``Style``: a scale and a shift for each normalisation layer of a network, with a row for each image of a batch.

All of the papers' controls are arithmetic on it: ``mix`` blends styles, ``alpha`` goes back towards the content's own
statistics, ``place`` gives each style its mask, ``stack`` puts requests with different styles into one forward pass.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from model_store.spatial_masks import SpatialMasks, everywhere, stack_masks
from model_store.statistics import Statistics, instance_statistics

StatisticsHook = Callable[[int, Tensor, Tensor | None], Statistics]
"""(layer's index, features, mask weights or ``None``) → the mean and std that normalise them."""


def own_statistics(_index: int, features: Tensor, mask_weights: Tensor | None) -> Statistics:
    """Compute the features' own statistics, which normalise a whole image."""
    return instance_statistics(features, mask_weights)


@dataclass(frozen=True)
class Context:
    """The part of an image that a network is given, and the statistics hook of its layers.

    Attributes:
        statistics: Hook that gives the normalisation layers the content's statistics.
        top: Offset of the part in the image, in pixels; a multiple of the network's stride.
        left: Like ``top``.
    """

    statistics: StatisticsHook = own_statistics
    top: int = 0
    left: int = 0


WHOLE_IMAGE = Context()


@dataclass(frozen=True)
class Style:
    """Scale and shift of every normalisation layer, and how they apply.

    Attributes:
        scales: One (B, C) tensor per normalisation layer; C differs from layer to layer. With masks (B, K, C).
        shifts: Like ``scales``.
        alpha: (B,), the strength from 0 (the content's own statistics) to 1 (this style); ``None`` means 1 throughout.
        seeds: One per image, for networks that take noise; ``None`` draws them.
        masks: Places where each of an image's K styles applies; ``None`` if each image has one style, or one mix.
        context: Statistics hook and tile offset; by default those of a whole image.
    """

    scales: tuple[Tensor, ...]
    shifts: tuple[Tensor, ...]
    alpha: Tensor | None = None
    seeds: tuple[int, ...] | None = None
    masks: SpatialMasks | None = None
    context: Context = WHOLE_IMAGE

    def __getitem__(self, layer: int) -> tuple[Tensor, Tensor]:
        """Scale and shift of one layer."""
        return self.scales[layer], self.shifts[layer]

    def __len__(self) -> int:
        """Number of images that the style is for."""
        return self.scales[0].shape[0]

    def to(self, device: torch.device) -> "Style":
        """Copy to another device."""
        return replace(
            self,
            scales=tuple(scale.to(device, non_blocking=True) for scale in self.scales),
            shifts=tuple(shift.to(device, non_blocking=True) for shift in self.shifts),
            alpha=None if self.alpha is None else self.alpha.to(device, non_blocking=True),
            masks=None if self.masks is None else self.masks.to(device),
        )

    def with_alpha(self, alpha: float) -> "Style":
        """Set one strength for every row."""
        return replace(self, alpha=torch.full((len(self),), float(alpha), device=self.device))

    def with_seed(self, seed: int) -> "Style":
        """Set the same seed of the noise for every row."""
        return replace(self, seeds=(seed,) * len(self))

    @property
    def device(self) -> torch.device:
        """Device of the style's tensors."""
        return self.scales[0].device

    @property
    def strength(self) -> Tensor:
        """``alpha`` written out: (B,), fp32."""
        return torch.ones(len(self), device=self.device) if self.alpha is None else self.alpha


def stack(styles: Iterable[Style]) -> Style:
    """Join the rows of all, for a batch of requests with different styles and strengths.

    If some have masks, all get the same number: the others get one that is 1 everywhere, and empty ones.

    Raises:
        ValueError: Some of the styles have seeds and some have none, or they belong to different networks.
    """
    styles = list(styles)
    seeds = [style.seeds for style in styles if style.seeds is not None]
    if 0 < len(seeds) < len(styles):
        raise ValueError("some styles of the batch have a seed and some have none: give one to all")
    masks = next((style.masks for style in styles if style.masks is not None), None)
    if masks is not None:
        styles = _with_masks(styles, *masks.weights.shape[2:])
    is_weakened = any(style.alpha is not None for style in styles)
    return Style(
        tuple(torch.cat(rows) for rows in zip(*(style.scales for style in styles), strict=True)),
        tuple(torch.cat(rows) for rows in zip(*(style.shifts for style in styles), strict=True)),
        torch.cat([style.strength for style in styles]) if is_weakened else None,
        tuple(chain.from_iterable(seeds)) if seeds else None,
        stack_masks([style.masks for style in styles if style.masks is not None]) if masks is not None else None,
    )


def _with_masks(styles: Sequence[Style], height: int, width: int) -> list[Style]:
    """Give all styles the same number of masks; missing ones are empty."""
    placed = [
        style if style.masks is not None else place([style], everywhere(len(style), height, width, style.device))
        for style in styles
    ]
    count = max(style.scales[0].shape[1] for style in placed)

    def extended(table: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(torch.nn.functional.pad(rows, (0, 0, 0, count - rows.shape[1])) for rows in table)

    return [replace(style, scales=extended(style.scales), shifts=extended(style.shifts)) for style in placed]


def place(styles: Sequence[Style], masks: SpatialMasks) -> Style:
    """Give each style its mask.

    Args:
        styles: K, all for the same network and number of images. Strength and seeds are the first one's.
        masks: K masks, of as many images.

    Raises:
        ValueError: There are not as many masks as styles.
    """
    if len(styles) != masks.weights.shape[1]:
        raise ValueError(f"got {masks.weights.shape[1]} masks for {len(styles)} styles: give one for each")
    return replace(side_by_side(styles), masks=masks)


def side_by_side(styles: Sequence[Style]) -> Style:
    """Join the rows (B, C) of K styles to (B, K, C), for masks that are added later."""

    def joined(tables: Iterable[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        return tuple(torch.stack(rows, dim=1) for rows in zip(*tables, strict=True))

    scales, shifts = joined(style.scales for style in styles), joined(style.shifts for style in styles)
    return replace(styles[0], scales=scales, shifts=shifts)


def mix(styles: Sequence[Style], weights: Sequence[float]) -> Style:
    """Blend styles row by row: Σ wₖ·scaleₖ and Σ wₖ·shiftₖ, the weights normalised to sum 1.

    For AdaIN this is exactly the paper's interpolation of feature maps (Huang & Belongie 2017, eq. 15).

    Args:
        styles: At least one; all for the same network and number of images, none with an ``alpha`` yet.
        weights: One per style, not negative, not all zero.

    Raises:
        ValueError: The weights do not fit the styles.
    """
    if len(styles) != len(weights) or min(weights, default=-1.0) < 0 or sum(weights) <= 0:
        raise ValueError(
            f"got weights {list(weights)} for {len(styles)} styles: give one per style, none negative, some positive"
        )
    parts = [weight / sum(weights) for weight in weights]
    layers = range(len(styles[0].scales))

    def blend(tables: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        rows = [[part * table[layer] for part, table in zip(parts, tables, strict=True)] for layer in layers]
        return tuple(torch.stack(terms).sum(dim=0) for terms in rows)

    return Style(blend([style.scales for style in styles]), blend([style.shifts for style in styles]))
