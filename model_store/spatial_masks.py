"""``SpatialMasks``: the places of an image where each style applies, as soft mask weights for every layer.

    y = x · (1 + Σ mₖ · (gainₖ − 1)) + Σ mₖ · biasₖ      gainₖ = scaleₖ/σₖ,  biasₖ = shiftₖ − μₖ · gainₖ

The weights mₖ(place) of all masks sum to 1 at most; the rest keeps the content's own statistics. Across a soft border
they are fractions, so gain and bias change as softly as the masks do, and there is no seam. The places of a mask are
normalised by their own statistics: μₖ and σₖ are weighted by mₖ (``statistics.instance_statistics``).
"""

from dataclasses import dataclass, field, replace
from itertools import accumulate

import torch
from torch import Tensor

from model_store.convolutions import pad_to_stride


@dataclass(frozen=True, eq=False)
class SpatialMasks:
    """Mask weights of a batch of B images, up to K each; a mask that an image lacks is 0 everywhere.

    Attributes:
        weights: (B, K, H, W), fp32 from 0 to 1, of the images' size; over the masks they sum to 1 at most.
        fill: (B, K), sum 1: weights of the styles at places without a mask, for networks that cannot leave features
            unchanged (``filled``).
        whole: Indices of the images that have no masks: their first style applies everywhere.
    """

    weights: Tensor
    fill: Tensor
    whole: tuple[int, ...] = ()
    _grids: dict[tuple[int, int], Tensor] = field(default_factory=dict, init=False, repr=False)

    def at(self, height: int, width: int) -> Tensor:
        """Average the weights over the places of a layer's grid: (B, K, height, width)."""
        if (height, width) not in self._grids:
            is_own = self.weights.shape[2:] == (height, width)
            grid = self.weights if is_own else torch.nn.functional.adaptive_avg_pool2d(self.weights, (height, width))
            self._grids[height, width] = grid
        return self._grids[height, width]

    def filled(self, height: int, width: int) -> Tensor:
        """Average like ``at``, but with a sum of 1 everywhere: places without a mask get all styles, by ``fill``."""
        weights = self.at(height, width)
        rest = 1 - weights.sum(dim=1, keepdim=True)
        return torch.addcmul(weights, rest, self.fill[..., None, None])

    @property
    def coverage(self) -> Tensor:
        """Sum of the weights of all masks at each place: (B, 1, H, W)."""
        return self.weights.sum(dim=1, keepdim=True)

    def to(self, device: torch.device) -> "SpatialMasks":
        """Copy to another device."""
        return replace(
            self, weights=self.weights.to(device, non_blocking=True), fill=self.fill.to(device, non_blocking=True)
        )

    def padded(self, stride: int) -> "SpatialMasks":
        """Extend to multiples of a network's stride, as ``pad_to_stride`` extends the images."""
        return replace(self, weights=pad_to_stride(self.weights, stride))

    def with_count(self, count: int) -> "SpatialMasks":
        """Add empty masks, up to ``count``."""
        missing = count - self.weights.shape[1]
        weights = torch.nn.functional.pad(self.weights, (0, 0, 0, 0, 0, missing))
        return replace(self, weights=weights, fill=torch.nn.functional.pad(self.fill, (0, missing)))


def spatial_masks(masks: Tensor, style_weights: Tensor) -> SpatialMasks:
    """Combine masks and style weights.

    Args:
        masks: (B, K, H, W) from 0 (the style does not apply) to 1.
        style_weights: (B, K), not negative. They matter only where masks overlap; a style of weight 0 applies nowhere.

    Returns:
        Mask weights that sum to the sum of the masks, up to 1: a soft mask of a single style fades to the content, and
        complementary masks divide every place among them.
    """
    weights = mask_weights(masks, style_weights)
    return SpatialMasks(weights, fill_of(weights.sum(dim=(2, 3))))


def mask_weights(masks: Tensor, style_weights: Tensor) -> Tensor:
    """Compute the weights alone, place by place: the masks may be parts of larger ones. Shapes as above."""
    masks = masks.float() * (style_weights > 0)[..., None, None]
    coverage = masks.sum(dim=1, keepdim=True).clamp(max=1)
    weights = masks * style_weights.float()[..., None, None]
    total = weights.sum(dim=1, keepdim=True)
    return weights * (coverage / total.clamp(min=torch.finfo(total.dtype).tiny))


def fill_of(mass: Tensor) -> Tensor:
    """Compute ``fill``: each style in proportion to its total weight, (B, K) → (B, K) of sum 1."""
    return mass / mass.sum(dim=1, keepdim=True).clamp(min=torch.finfo(mass.dtype).tiny)


def everywhere(batch: int, height: int, width: int, device: torch.device) -> SpatialMasks:
    """Make one mask for each image that is 1 everywhere."""
    weights, fill = torch.ones(batch, 1, height, width, device=device), torch.ones(batch, 1, device=device)
    return SpatialMasks(weights, fill, tuple(range(batch)))


def stack_masks(masks: list[SpatialMasks]) -> SpatialMasks:
    """Join to one batch, each with as many masks as the image that has most."""
    count = max(each.weights.shape[1] for each in masks)
    even = [each.with_count(count) for each in masks]
    starts = accumulate((len(each.fill) for each in even), initial=0)
    whole = tuple(start + row for start, each in zip(starts, even, strict=False) for row in each.whole)
    return SpatialMasks(torch.cat([each.weights for each in even]), torch.cat([each.fill for each in even]), whole)
