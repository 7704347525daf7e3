"""``Style``: for each normalisation layer of a network a scale and a shift, for each image of a batch a row.

All of the papers' controls are arithmetic on it: ``mix`` blends styles, ``alpha`` goes back towards the content's own
statistics, ``stack`` puts requests with different styles into one forward pass.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor


@dataclass(frozen=True)
class Style:
    """What a style is to a network.

    Attributes:
        scales: One (B, C) tensor per normalisation layer; C differs from layer to layer.
        shifts: Like ``scales``.
        alpha: (B,), the strength from 0 (the content's own statistics) to 1 (this style); ``None`` means 1 throughout.
        seeds: One per image, for networks that take noise; ``None`` leaves it to chance.
    """

    scales: tuple[Tensor, ...]
    shifts: tuple[Tensor, ...]
    alpha: Tensor | None = None
    seeds: tuple[int, ...] | None = None

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
        )

    def with_alpha(self, alpha: float) -> "Style":
        """The same style at one strength for every row."""
        return replace(self, alpha=torch.full((len(self),), alpha, device=self.scales[0].device))

    def with_seed(self, seed: int) -> "Style":
        """The same style with the same noise for every row."""
        return replace(self, seeds=(seed,) * len(self))

    @property
    def strength(self) -> Tensor:
        """``alpha`` written out: (B,), fp32."""
        return torch.ones(len(self), device=self.scales[0].device) if self.alpha is None else self.alpha


def stack(styles: Iterable[Style]) -> Style:
    """One style with the rows of all: what a batch of requests with different styles and strengths needs.

    Raises:
        ValueError: Some of the styles have seeds and some have none, or they belong to different networks.
    """
    styles = list(styles)
    seeds = [style.seeds for style in styles if style.seeds is not None]
    if 0 < len(seeds) < len(styles):
        raise ValueError("some styles of the batch have a seed and some have none: give one to all")
    return Style(
        tuple(torch.cat(rows) for rows in zip(*(style.scales for style in styles), strict=True)),
        tuple(torch.cat(rows) for rows in zip(*(style.shifts for style in styles), strict=True)),
        torch.cat([style.strength for style in styles]),
        tuple(chain.from_iterable(seeds)) if seeds else None,
    )


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
