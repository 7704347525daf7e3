"""Colour control: the output keeps the content's colours (Gatys et al. 2016b, arXiv 1606.05897).

- ``match_colors``, before the network: the style image gets the content's mean colour and colour covariance (there
  "color histogram matching"). The network then takes strokes from it, and no foreign colours.
- ``keep_chroma``, after the network: only the output's luminance is used, with the content's chroma (there
  "luminance-only transfer"). It suits every network, since it does not change the style.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in the luminance Y (ITU-R BT.601)."""

MIN_EIGENVALUE = 1e-4
"""Smallest eigenvalue of a correlation matrix that is inverted. Smaller ones are rounding to 8 bits, in an image that
is grey or has two colours: scaled to the content's colours, the rounding would become noise."""


@dataclass(frozen=True, eq=False)
class ColorStatistics:
    """Mean colour (3,) of an image's pixels, and covariance of their channels (3, 3), fp64."""

    mean: Tensor
    covariance: Tensor

    @property
    def std(self) -> Tensor:
        """Std of each channel: (3,)."""
        return self.covariance.diagonal().clamp(min=0).sqrt()

    @property
    def correlation(self) -> Tensor:
        """Correlation matrix of the channels; 0 for constant ones: (3, 3)."""
        inverse = _inverse(self.std)
        return inverse[:, None] * self.covariance * inverse


def color_statistics(parts: Iterable[Tensor]) -> ColorStatistics:
    """Compute the statistics of one image, given whole or in parts.

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
    """Affine map of a style image's colours, applied to the whole or to parts: x → matrix · x + offset, fp64."""

    matrix: Tensor
    offset: Tensor

    def __call__(self, part: Tensor) -> Tensor:
        """Recolour (1, 3, H, W), RGB in [0, 1] → the same shape, fp32; some values may lie outside [0, 1]."""
        # In fp32, though matrix and offset were computed in fp64: pixels are in [0, 1], so it is exact enough.
        matrix, offset = self.matrix.float().to(part.device), self.offset.float().to(part.device)
        return torch.einsum("ij,bjhw->bihw", matrix, part.float()) + offset.view(1, 3, 1, 1)


def match_colors(style: ColorStatistics, content: ColorStatistics) -> ColorMatch:
    """Compute the map that gives a style image the content's mean and covariance.

        x' = σ_c · C_c^½ · C_s^-½ · (x − μ_s) / σ_s + μ_c        C: the channels' correlations

    If the style image has no spread of colours (it is grey, or constant), the result has fewer than the content.

    Args:
        style: Statistics of the style image.
        content: Statistics of the content image.
    """
    turn = _power(content.correlation, 0.5) @ _power(style.correlation, -0.5)
    matrix = content.std[:, None] * turn * _inverse(style.std)  # (3, 3)
    return ColorMatch(matrix, content.mean - matrix @ style.mean)


def keep_chroma(content: Tensor, output: Tensor) -> Tensor:
    """Combine the output's luminance with the content's chroma: R − Y, G − Y and B − Y are those of the content.

    If that colour lies outside [0, 1], its chroma is reduced until it fits: hue and luminance are kept.

    Args:
        content: (B, 3, H, W), RGB in [0, 1].
        output: Output of the network, of the same shape.

    Returns:
        (B, 3, H, W) in [0, 1], fp32.
    """
    content = content.float()
    chroma = content - luminance(content)
    wanted = luminance(output.float()).clamp(0, 1)  # (B, 1, H, W)
    # Y + s · chroma reaches 1 or 0 first where the chroma is largest, or smallest; it is 0 on average.
    tiny = torch.finfo(chroma.dtype).tiny
    up = (1 - wanted) / chroma.amax(dim=1, keepdim=True).clamp(min=tiny)
    down = wanted / chroma.amin(dim=1, keepdim=True).neg().clamp(min=tiny)
    strength = torch.minimum(up, down).clamp(max=1)
    return torch.addcmul(wanted, strength, chroma).clamp_(0, 1)


def luminance(images: Tensor) -> Tensor:
    """Compute Y = .299 R + .587 G + .114 B: (B, 3, H, W) → (B, 1, H, W)."""
    weights = torch.tensor(LUMA, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def _inverse(std: Tensor) -> Tensor:
    """Compute 1/σ, and 0 for σ = 0: a constant channel stays constant."""
    return torch.where(std > 1e-6, 1 / std.clamp(min=1e-6), 0.0)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Raise a positive semidefinite matrix to a power; for negative exponents, eigenvalues near 0 stay 0."""
    values, vectors = torch.linalg.eigh(matrix)
    least = MIN_EIGENVALUE if exponent < 0 else 0.0
    powers = torch.where(values > least, values.clamp(min=least) ** exponent, 0.0)
    return torch.einsum("ij,j,kj->ik", vectors, powers, vectors)
