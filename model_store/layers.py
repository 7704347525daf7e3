"""Instance statistics and the normalisation family: every style is a scale and a shift of normalised features.

    y = scale · (x − μ(x)) / σ(x) + shift          μ, σ over H×W of one image and one channel

Where (scale, shift) comes from is the only difference between the papers:

- instance norm (Ulyanov et al. 2016, arXiv 1607.08022): one learned pair per layer;
- conditional instance norm (Dumoulin et al. 2017, arXiv 1610.07629): a learned table, one row per style;
- adaptive instance norm (Huang & Belongie 2017, arXiv 1703.06868): the statistics of the encoded style image;
- batch norm, the baseline: one learned pair, and μ, σ over the whole batch.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from model_store.regions import Regions

EPSILON = 1e-5
"""Added to the variance, as in the papers' code; keeps a constant feature map finite."""

Statistics = tuple[Tensor, Tensor]
"""Mean and deviation of feature maps, or of their regions: see ``instance_statistics``."""

Measure = Callable[[Tensor, Tensor | None], Statistics]
"""What gives a layer the statistics of its features, and of their regions by their shares: ``instance_statistics``, or
what a larger picture has, of which these features are a part."""


def instance_statistics(features: Tensor, shares: Tensor | None = None) -> Statistics:
    """Mean and standard deviation of each feature map, always in fp32; of each of its regions, if it has some.

    Args:
        features: (B, C, H, W), any float type.
        shares: (B, K, H, W), how much each place counts for each of K regions.

    Returns:
        Mean and deviation, fp32: each (B, C, 1, 1), or (B, K, C) with ``shares``.
    """
    features = features.float()
    if shares is None:
        variance, mean = torch.var_mean(features, dim=(2, 3), correction=0, keepdim=True)
    else:
        mass = shares.sum(dim=(2, 3)).clamp(min=torch.finfo(shares.dtype).tiny)[..., None]  # (B, K, 1)
        mean = weighted_sums(features, shares) / mass
        variance = weighted_sums(features, shares, mean) / mass
    return mean, (variance + EPSILON).sqrt()


def weighted_sums(features: Tensor, shares: Tensor, around: Tensor | None = None) -> Tensor:
    """Of each region and channel: Σ share · x, or Σ share · (x − around)².

    Region by region, so that others, in the same image or batch, do not change how one is rounded.

    Args:
        features: (B, C, H, W), fp32.
        shares: (B, K, H, W).
        around: (B, K, C).

    Returns:
        (B, K, C).
    """
    sums = []
    for region, share in enumerate(shares.unbind(1)):
        values = features if around is None else (features - around[:, region, :, None, None]).square_()
        sums.append((values * share[:, None]).sum(dim=(2, 3)))
    return torch.stack(sums, dim=1)


def normalise(features: Tensor) -> Tensor:
    """Each feature map of each image to zero mean and unit deviation: (B, C, H, W) to fp32 of the same shape."""
    mean, deviation = instance_statistics(features)
    return (features.float() - mean) / deviation


def adaptive_instance_norm(
    features: Tensor,
    scale: Tensor,
    shift: Tensor,
    alpha: Tensor | None = None,
    shares: Tensor | None = None,
    statistics: Statistics | None = None,
) -> Tensor:
    """Give each feature map a new deviation and a new mean (Huang & Belongie 2017, eq. 8).

    Args:
        features: (B, C, H, W).
        scale: New deviations, (B, C), or (B, K, C) for K regions.
        shift: New means, of the shape of ``scale``.
        alpha: (B,), 0 keeps the features' own statistics and 1 takes the new ones. Because the output is linear in
            scale and shift, this equals the paper's blend of feature maps (eq. 14): ``(1 − α)·x + α·AdaIN(x, style)``.
        shares: (B, K, H, W), of the K regions; see ``model_store.regions``. What they leave of a place keeps the
            features' own statistics.
        statistics: Of the features, in the shapes of ``instance_statistics``, where these are a part of larger ones.

    Returns:
        (B, C, H, W) in the type of ``features``.
    """
    mean, deviation = statistics if statistics is not None else instance_statistics(features, shares)
    scale, shift = scale.float(), shift.float()
    if shares is None:
        scale, shift = scale[..., None, None], shift[..., None, None]  # (B, C, 1, 1)
        if alpha is not None:
            alpha = alpha.float().view(-1, 1, 1, 1)
            scale, shift = torch.lerp(deviation, scale, alpha), torch.lerp(mean, shift, alpha)
        gain = scale / deviation
        bias = shift - mean * gain
    else:
        if alpha is not None:
            shares = shares * alpha.float().view(-1, 1, 1, 1)
        gain = scale / deviation  # (B, K, C)
        bias = _spread(shares, shift - mean * gain)
        gain = 1 + _spread(shares, gain - 1)  # (B, C, H, W)
    return torch.addcmul(bias, features.float(), gain).to(features.dtype)


def _spread(shares: Tensor, values: Tensor) -> Tensor:
    """Σₖ shareₖ · valueₖ at each place, channels last: (B, K, H, W), (B, K, C) → (B, C, H, W)."""
    terms = zip(shares.unbind(1), values.unbind(1), strict=True)
    share, value = next(terms)
    total = share[..., None] * value[:, None, None]  # (B, H, W, C)
    for share, value in terms:
        total.addcmul_(share[..., None], value[:, None, None])  # which adds an exact 0 where a region is not
    return total.permute(0, 3, 1, 2)


def style_regions(
    features: Tensor,
    scale: Tensor,
    shift: Tensor,
    regions: Regions,
    alpha: Tensor | None = None,
    measure: Measure = instance_statistics,
    is_filled: bool = False,
) -> Tensor:
    """Adaptive instance norm region by region, each with its own content statistics.

    Args:
        features: (B, C, H, W).
        scale: (B, K, C).
        shift: (B, K, C).
        regions: K for each image.
        alpha: (B,), as for ``adaptive_instance_norm``.
        measure: Where the content's statistics come from.
        is_filled: Whether places without a style take all styles, instead of keeping their features.

    Returns:
        (B, C, H, W) in the type of ``features``.
    """
    size = (features.shape[2], features.shape[3])
    shares = regions.filled(*size) if is_filled else regions.at(*size)
    styled = adaptive_instance_norm(features, scale, shift, alpha, shares, measure(features, regions.at(*size)))
    for row in regions.whole:  # bit for bit what it would be without the others
        part = slice(row, row + 1)
        strength = alpha[part] if alpha is not None else None
        own = measure(features[part], None)
        styled[part] = adaptive_instance_norm(features[part], scale[part, 0], shift[part, 0], strength, statistics=own)
    return styled


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

    def forward(
        self,
        features: Tensor,
        scale: Tensor,
        shift: Tensor,
        regions: Regions | None = None,
        measure: Measure = instance_statistics,
    ) -> Tensor:
        """Normalise each image, or each of its regions, by its own statistics.

        Args:
            features: (B, C, H, W).
            scale: (B, C), or (B, K, C) with regions.
            shift: Of the shape of ``scale``.
            regions: Where each of K styles applies; places without a style take all of them.
            measure: Where the statistics come from.

        Returns:
            (B, C, H, W).
        """
        if regions is None:
            return adaptive_instance_norm(features, scale, shift, statistics=measure(features, None))
        return style_regions(features, scale, shift, regions, measure=measure, is_filled=True)


class BatchNorm(InstanceNorm):
    """The same table of scales and shifts, but μ and σ over the whole batch: the layer that instance norm replaced."""

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, channels: int, styles: int = 1) -> None:
        """Keep running statistics for evaluation."""
        super().__init__(channels, styles)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_variance", torch.ones(channels))

    def forward(
        self,
        features: Tensor,
        scale: Tensor,
        shift: Tensor,
        regions: Regions | None = None,
        measure: Measure = instance_statistics,
    ) -> Tensor:
        """Normalise by the batch's statistics in training, by the running ones in evaluation.

        Shapes as for ``InstanceNorm``; ``measure`` is not asked.
        """
        normalised = nn.functional.batch_norm(
            features.float(), self.running_mean, self.running_variance, training=self.training, eps=EPSILON
        )
        done = (torch.zeros((), device=features.device), torch.ones((), device=features.device))
        return super().forward(normalised, scale, shift, regions, lambda *_: done).to(features.dtype)


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
