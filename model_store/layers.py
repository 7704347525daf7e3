"""Instance statistics and the normalisation family: every style is a scale and a shift of normalised features.

    y = scale · (x − μ(x)) / σ(x) + shift          μ, σ over H×W of one image and one channel

Where (scale, shift) comes from is the only difference between the papers:

- instance norm (Ulyanov et al. 2016, arXiv 1607.08022): one learned pair per layer;
- conditional instance norm (Dumoulin et al. 2017, arXiv 1610.07629): a learned table, one row per style;
- adaptive instance norm (Huang & Belongie 2017, arXiv 1703.06868): the statistics of the encoded style image;
- batch norm, the baseline: one learned pair, and μ, σ over the whole batch.
"""

from typing import Literal

import torch
from torch import Tensor, nn

EPSILON = 1e-5
"""Added to the variance, as in the papers' code; keeps a constant feature map finite."""


def instance_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature map, always in fp32.

    Args:
        features: (B, C, H, W), any float type.

    Returns:
        Mean and deviation, each (B, C, 1, 1), fp32.
    """
    variance, mean = torch.var_mean(features.float(), dim=(2, 3), correction=0, keepdim=True)
    return mean, (variance + EPSILON).sqrt()


def normalise(features: Tensor) -> Tensor:
    """Each feature map of each image to zero mean and unit deviation: (B, C, H, W) to fp32 of the same shape."""
    mean, deviation = instance_statistics(features)
    return (features.float() - mean) / deviation


def adaptive_instance_norm(features: Tensor, scale: Tensor, shift: Tensor, alpha: Tensor | None = None) -> Tensor:
    """Give each feature map a new deviation and a new mean (Huang & Belongie 2017, eq. 8).

    Args:
        features: (B, C, H, W).
        scale: New deviations, (B, C), or (B, C, H, W) for a style that differs from place to place.
        shift: New means, of the shape of ``scale``.
        alpha: (B,), 0 keeps the features' own statistics and 1 takes the new ones. Because the output is linear in
            scale and shift, this equals the paper's blend of feature maps (eq. 14): ``(1 − α)·x + α·AdaIN(x, style)``.

    Returns:
        (B, C, H, W) in the type of ``features``.
    """
    if scale.dim() == 2:
        scale, shift = scale[..., None, None], shift[..., None, None]  # (B, C, 1, 1)
    mean, deviation = instance_statistics(features)
    scale, shift = scale.float(), shift.float()
    if alpha is not None:
        alpha = alpha.float().view(-1, 1, 1, 1)
        scale, shift = torch.lerp(deviation, scale, alpha), torch.lerp(mean, shift, alpha)
    gain = scale / deviation
    return torch.addcmul(shift - mean * gain, features.float(), gain).to(features.dtype)


class InstanceNorm(nn.Module):
    """Conditional instance norm with a learned table of N styles; N = 1 is the per-style instance norm.

    The table lives in the layer, but a call names its scale and shift, so that a batch can use other rows, and mixes of
    rows, for every image.
    """

    def __init__(self, channels: int, styles: int = 1) -> None:
        """Start every style as the identity: scale 1, shift 0."""
        super().__init__()
        self.scale = nn.Parameter(torch.ones(styles, channels))
        self.shift = nn.Parameter(torch.zeros(styles, channels))

    def forward(self, features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Normalise each image by its own statistics: (B, C, H, W), rows (B, C) → (B, C, H, W)."""
        return adaptive_instance_norm(features, scale, shift)


class BatchNorm(InstanceNorm):
    """The same table of scales and shifts, but μ and σ over the whole batch: the layer that instance norm replaced."""

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, channels: int, styles: int = 1) -> None:
        """Keep running statistics for evaluation."""
        super().__init__(channels, styles)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_variance", torch.ones(channels))

    def forward(self, features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Normalise by the batch's statistics in training, by the running ones in evaluation."""
        normalised = nn.functional.batch_norm(
            features.float(), self.running_mean, self.running_variance, training=self.training, eps=EPSILON
        )
        return torch.addcmul(shift[..., None, None], normalised, scale[..., None, None]).to(features.dtype)


def padded_conv(
    in_channels: int,
    out_channels: int,
    kernel_px: int = 3,
    stride: int = 1,
    bias: bool = True,
    padding: Literal["reflect", "replicate"] = "reflect",
) -> nn.Conv2d:
    """A convolution to H/stride × W/stride that pads with the picture itself, so that borders get no dark band.

    Reflection shows the better borders, but needs maps larger than the padding; replication takes any.
    """
    return nn.Conv2d(
        in_channels, out_channels, kernel_px, stride, padding=kernel_px // 2, bias=bias, padding_mode=padding
    )


class UpsampledConv(nn.Module):
    """Nearest upsampling, then a convolution: twice the size without the checkerboard of transposed convolutions."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        """A 3×3 convolution after a doubling of H and W."""
        super().__init__()
        self.conv = padded_conv(in_channels, out_channels, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C_in, H, W) → (B, C_out, 2H, 2W)."""
        return self.conv(doubled(features))  # type: ignore[no-any-return]


def doubled(features: Tensor) -> Tensor:
    """Nearest upsampling: (B, C, H, W) → (B, C, 2H, 2W)."""
    return nn.functional.interpolate(features, scale_factor=2, mode="nearest")


def pad_to_stride(images: Tensor, stride: int) -> Tensor:
    """Extend H and W to multiples of a network's stride at the bottom and right.

    By reflection, or, where an image is smaller than what it lacks, by its border.
    """
    bottom, right = -images.shape[2] % stride, -images.shape[3] % stride
    if not bottom and not right:
        return images
    reflects = bottom < images.shape[2] and right < images.shape[3]
    return nn.functional.pad(images, (0, right, 0, bottom), mode="reflect" if reflects else "replicate")
