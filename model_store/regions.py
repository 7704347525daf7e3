"""``Regions``: where in the picture each style of a mix applies. Soft masks, as shares that every layer can read.

    y = x · (1 + Σ mₖ · (gainₖ − 1)) + Σ mₖ · biasₖ      gainₖ = scaleₖ/σₖ,  biasₖ = shiftₖ − μₖ · gainₖ

The shares mₖ(place) of all styles sum to 1 at most; what is left keeps the content's own statistics. They are fractions
from edge to edge of a soft border, so gain and bias change as softly as the masks do, and there is no seam. Each region
is normalised by its own statistics: μₖ and σₖ are weighted by mₖ (``layers.instance_statistics``).
"""

from dataclasses import dataclass, field, replace
from itertools import accumulate

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Regions:
    """Of a batch of B images, each with up to K regions; one that is not there has a share of 0 everywhere.

    Attributes:
        shares: (B, K, H, W), fp32 from 0 to 1, of the images' size; over the regions they sum to 1 at most.
        fill: (B, K), sum 1: how the places without a style are shared among the styles, for networks that cannot leave
            features as they are (``filled``).
        whole: The images whose first style is everywhere, because nobody gave them masks.
    """

    shares: Tensor
    fill: Tensor
    whole: tuple[int, ...] = ()
    _grids: dict[tuple[int, int], Tensor] = field(default_factory=dict, init=False, repr=False)

    def at(self, height: int, width: int) -> Tensor:
        """The shares on a layer's grid, whose places average what lies in them: (B, K, height, width)."""
        if (height, width) not in self._grids:
            is_own = self.shares.shape[2:] == (height, width)
            grid = self.shares if is_own else torch.nn.functional.adaptive_avg_pool2d(self.shares, (height, width))
            self._grids[height, width] = grid
        return self._grids[height, width]

    def filled(self, height: int, width: int) -> Tensor:
        """As ``at``, but summing to 1 everywhere: places without a style take all styles, by their ``fill``."""
        shares = self.at(height, width)
        rest = 1 - shares.sum(dim=1, keepdim=True)
        return torch.addcmul(shares, rest, self.fill[..., None, None])

    @property
    def coverage(self) -> Tensor:
        """How much of any style there is at each place: (B, 1, H, W)."""
        return self.shares.sum(dim=1, keepdim=True)

    def to(self, device: torch.device) -> "Regions":
        """The same regions on another device."""
        return replace(
            self, shares=self.shares.to(device, non_blocking=True), fill=self.fill.to(device, non_blocking=True)
        )

    def with_count(self, count: int) -> "Regions":
        """With more regions, which are empty."""
        missing = count - self.shares.shape[1]
        shares = torch.nn.functional.pad(self.shares, (0, 0, 0, 0, 0, missing))
        return replace(self, shares=shares, fill=torch.nn.functional.pad(self.fill, (0, missing)))


def regions_of(masks: Tensor, weights: Tensor) -> Regions:
    """What masks and weights mean together.

    Args:
        masks: (B, K, H, W) from 0 (the style is not here) to 1.
        weights: (B, K), not negative. They decide where masks overlap, and nothing elsewhere; a style of weight 0 is
            nowhere.

    Returns:
        Their regions. How much style a place gets is the sum of its masks, up to 1, so that a soft mask of a single
        style fades to the content, and masks that are each other's complement share every place.
    """
    shares = mask_shares(masks, weights)
    return Regions(shares, fill_of(shares.sum(dim=(2, 3))))


def mask_shares(masks: Tensor, weights: Tensor) -> Tensor:
    """The shares alone, place by place: the masks may be a part of larger ones. Shapes as for ``regions_of``."""
    masks = masks.float() * (weights > 0)[..., None, None]
    coverage = masks.sum(dim=1, keepdim=True).clamp(max=1)
    shares = masks * weights.float()[..., None, None]
    total = shares.sum(dim=1, keepdim=True)
    return shares * (coverage / total.clamp(min=torch.finfo(total.dtype).tiny))


def fill_of(mass: Tensor) -> Tensor:
    """Who takes the places without a style: each style as much as it has elsewhere, (B, K) → (B, K) of sum 1."""
    return mass / mass.sum(dim=1, keepdim=True).clamp(min=torch.finfo(mass.dtype).tiny)


def everywhere(batch: int, height: int, width: int, device: torch.device) -> Regions:
    """One region for each image, which is the whole of it."""
    shares, fill = torch.ones(batch, 1, height, width, device=device), torch.ones(batch, 1, device=device)
    return Regions(shares, fill, tuple(range(batch)))


def stack_regions(regions: list[Regions]) -> Regions:
    """One batch of all, each with as many regions as the one that has most."""
    count = max(each.shares.shape[1] for each in regions)
    even = [each.with_count(count) for each in regions]
    starts = accumulate((len(each.fill) for each in even), initial=0)
    whole = tuple(start + row for start, each in zip(starts, even, strict=False) for row in each.whole)
    return Regions(torch.cat([each.shares for each in even]), torch.cat([each.fill for each in even]), whole)
