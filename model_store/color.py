"""Whose colours a painting has: the style's, or the photo's (Gatys et al. 2016b, arXiv 1606.05897).

- ``match_colors``, before the network: the style image gets the photo's mean colour and colour covariance (there "color
  histogram matching"). The network then finds strokes in it, and no foreign colours.
- ``keep_chroma``, after the network: of the painting only the luminance is used, over the photo's chroma (there
  "luminance-only transfer"). It suits every network, since it never sees the style.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in the luminance Y (ITU-R BT.601)."""

MIN_EIGENVALUE = 1e-4
"""Of a matrix of correlations. What is below is the rounding to 8 bits in a picture that is grey, or has two colours:
to stretch it to the size of the photo's colours would make noise of it."""


@dataclass(frozen=True, eq=False)
class ColorStatistics:
    """Of a picture's pixels: mean colour (3,), and covariance of the channels (3, 3), fp64."""

    mean: Tensor
    covariance: Tensor

    @property
    def deviation(self) -> Tensor:
        """Of each channel: (3,)."""
        return self.covariance.diagonal().clamp(min=0).sqrt()

    @property
    def correlation(self) -> Tensor:
        """Covariance of the channels after each was brought to deviation 1; 0 for those that are constant: (3, 3)."""
        inverse = _inverse(self.deviation)
        return inverse[:, None] * self.covariance * inverse


def color_statistics(parts: Iterable[Tensor]) -> ColorStatistics:
    """Of one picture, given whole or in parts.

    Args:
        parts: (1, 3, H, W) each, RGB in [0, 1].
    """
    count, total, products = 0, torch.zeros(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    for part in parts:
        pixels = part[0].flatten(1).double()  # (3, H·W)
        count += pixels.shape[1]
        total += pixels.sum(dim=1).cpu()
        products += (pixels @ pixels.T).cpu()
    mean = total / count
    return ColorStatistics(mean, products / count - mean[:, None] * mean)


@dataclass(frozen=True, eq=False)
class ColorMatch:
    """What recolours a style image pixel by pixel, in whole or in parts: x → matrix · x + offset, fp64."""

    matrix: Tensor
    offset: Tensor

    def __call__(self, part: Tensor) -> Tensor:
        """(1, 3, H, W), RGB in [0, 1] → the same shape, fp32; some values may lie outside [0, 1]."""
        # In fp32 after matrix and offset were found in fp64: pixels are in [0, 1], so nothing is lost.
        matrix, offset = self.matrix.float().to(part.device), self.offset.float().to(part.device)
        return torch.einsum("ij,bjhw->bihw", matrix, part.float()) + offset.view(1, 3, 1, 1)


def match_colors(style: ColorStatistics, content: ColorStatistics) -> ColorMatch:
    """How to recolour a style image, so that its mean and covariance become the content's.

        x' = σ_c · C_c^½ · C_s^-½ · (x − μ_s) / σ_s + μ_c        C: the channels' correlations

    Where the style has no colours to spread (it is grey, or constant), the result has fewer than the content.

    Args:
        style: Of the style image.
        content: Of the photo.
    """
    turn = _power(content.correlation, 0.5) @ _power(style.correlation, -0.5)
    matrix = content.deviation[:, None] * turn * _inverse(style.deviation)  # (3, 3)
    return ColorMatch(matrix, content.mean - matrix @ style.mean)


def keep_chroma(content: Tensor, painted: Tensor) -> Tensor:
    """The painting's luminance with the content's chroma: R − Y, G − Y and B − Y are those of the content.

    Where there is no such colour in [0, 1], the chroma is as strong as it can be: hue and luminance are kept.

    Args:
        content: (B, 3, H, W), RGB in [0, 1].
        painted: Of the same shape.

    Returns:
        (B, 3, H, W) in [0, 1], fp32.
    """
    content = content.float()
    chroma = content - luminance(content)
    wanted = luminance(painted.float()).clamp(0, 1)  # (B, 1, H, W)
    # Y + s · chroma reaches 1 or 0 first where the chroma is largest, or smallest; it is 0 on average.
    tiny = torch.finfo(chroma.dtype).tiny
    up = (1 - wanted) / chroma.amax(dim=1, keepdim=True).clamp(min=tiny)
    down = wanted / chroma.amin(dim=1, keepdim=True).neg().clamp(min=tiny)
    strength = torch.minimum(up, down).clamp(max=1)
    return torch.addcmul(wanted, strength, chroma).clamp_(0, 1)


def luminance(images: Tensor) -> Tensor:
    """Y = .299 R + .587 G + .114 B: (B, 3, H, W) → (B, 1, H, W)."""
    weights = torch.tensor(LUMA, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def _inverse(deviation: Tensor) -> Tensor:
    """1/σ, and 0 where nothing deviates: a constant channel stays the constant that it becomes."""
    return torch.where(deviation > 1e-6, 1 / deviation.clamp(min=1e-6), 0.0)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Of a symmetric matrix without negative eigenvalues; where it is next to 0 it has no inverse, and keeps 0."""
    values, vectors = torch.linalg.eigh(matrix)
    least = MIN_EIGENVALUE if exponent < 0 else 0.0
    powers = torch.where(values > least, values.clamp(min=least) ** exponent, 0.0)
    return torch.einsum("ij,j,kj->ik", vectors, powers, vectors)
