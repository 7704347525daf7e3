"""``Style``: for each normalisation layer of a network a scale and a shift, for each image of a batch a row.

All of the papers' controls are arithmetic on it: ``mix`` blends styles, ``alpha`` goes back towards the content's own
statistics, ``place`` gives each style its region, ``stack`` puts requests with different styles into one forward pass.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from model_store.regions import Regions, everywhere, stack_regions


@dataclass(frozen=True)
class Style:
    """What a style is to a network.

    Attributes:
        scales: One (B, C) tensor per normalisation layer; C differs from layer to layer. With regions (B, K, C).
        shifts: Like ``scales``.
        alpha: (B,), the strength from 0 (the content's own statistics) to 1 (this style); ``None`` means 1 throughout.
        seeds: One per image, for networks that take noise; ``None`` leaves it to chance.
        regions: Where each of an image's K styles applies; ``None`` where an image has one style, or one mix.
    """

    scales: tuple[Tensor, ...]
    shifts: tuple[Tensor, ...]
    alpha: Tensor | None = None
    seeds: tuple[int, ...] | None = None
    regions: Regions | None = None

    def __len__(self) -> int:
        """How many images the style is for."""
        return self.scales[0].shape[0]

    def to(self, device: torch.device) -> "Style":
        """The same style on another device."""
        return replace(
            self,
            scales=tuple(scale.to(device, non_blocking=True) for scale in self.scales),
            shifts=tuple(shift.to(device, non_blocking=True) for shift in self.shifts),
            alpha=None if self.alpha is None else self.alpha.to(device, non_blocking=True),
            regions=None if self.regions is None else self.regions.to(device),
        )

    def with_alpha(self, alpha: float) -> "Style":
        """The same style at one strength for every row."""
        return replace(self, alpha=torch.full((len(self),), alpha, device=self.device))

    def with_seed(self, seed: int) -> "Style":
        """The same style with the same noise for every row."""
        return replace(self, seeds=(seed,) * len(self))

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.scales[0].device

    @property
    def strength(self) -> Tensor:
        """``alpha`` written out: (B,), fp32."""
        return torch.ones(len(self), device=self.device) if self.alpha is None else self.alpha


def stack(styles: Iterable[Style]) -> Style:
    """One style with the rows of all: what a batch of requests with different styles and strengths needs.

    Where some have regions, all get as many: those of the others are one that is everywhere, and empty ones.

    Raises:
        ValueError: Some of the styles have seeds and some have none, or they belong to different networks.
    """
    styles = list(styles)
    seeds = [style.seeds for style in styles if style.seeds is not None]
    if 0 < len(seeds) < len(styles):
        raise ValueError("some styles of the batch have a seed and some have none: give one to all")
    regions = next((style.regions for style in styles if style.regions is not None), None)
    if regions is not None:
        styles = _with_regions(styles, *regions.shares.shape[2:])
    return Style(
        tuple(torch.cat(rows) for rows in zip(*(style.scales for style in styles), strict=True)),
        tuple(torch.cat(rows) for rows in zip(*(style.shifts for style in styles), strict=True)),
        torch.cat([style.strength for style in styles]),
        tuple(chain.from_iterable(seeds)) if seeds else None,
        stack_regions([style.regions for style in styles if style.regions is not None]) if regions else None,
    )


def _with_regions(styles: Sequence[Style], height: int, width: int) -> list[Style]:
    """The same styles, all with the same number of regions; those that they lack are empty."""
    placed = [
        style if style.regions is not None else place([style], everywhere(len(style), height, width, style.device))
        for style in styles
    ]
    count = max(style.scales[0].shape[1] for style in placed)

    def extended(table: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(torch.nn.functional.pad(rows, (0, 0, 0, count - rows.shape[1])) for rows in table)

    return [replace(style, scales=extended(style.scales), shifts=extended(style.shifts)) for style in placed]


def place(styles: Sequence[Style], regions: Regions) -> Style:
    """Each style in its own region.

    Args:
        styles: K, all for the same network and number of images. Strength and seeds are the first one's.
        regions: K, of as many images.

    Raises:
        ValueError: There are not as many regions as styles.
    """
    if len(styles) != regions.shares.shape[1]:
        raise ValueError(f"got {regions.shares.shape[1]} regions for {len(styles)} styles: give one for each")
    return replace(side_by_side(styles), regions=regions)


def side_by_side(styles: Sequence[Style]) -> Style:
    """The rows (B, C) of K styles as (B, K, C), for regions that are yet to come."""

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
    shares = [weight / sum(weights) for weight in weights]
    layers = range(len(styles[0].scales))

    def blend(tables: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        rows = [[share * table[layer] for share, table in zip(shares, tables, strict=True)] for layer in layers]
        return tuple(torch.stack(parts).sum(dim=0) for parts in rows)

    return Style(blend([style.scales for style in styles]), blend([style.shifts for style in styles]))
