"""Instance statistics and the normalisation family: every style is a scale and a shift of normalised features.

    y = scale · (x − μ(x)) / σ(x) + shift          μ, σ over H×W of one image and one channel

Where (scale, shift) comes from is the only difference between the papers:

- instance norm (Ulyanov et al. 2016, arXiv 1607.08022): one learned pair per layer;
- conditional instance norm (Dumoulin et al. 2017, arXiv 1610.07629): a learned table, one row per style;
- predicted conditional instance norm (Ghiasi et al. 2017, arXiv 1705.06830): a row predicted from the style image;
- adaptive instance norm (Huang & Belongie 2017, arXiv 1703.06868): the statistics of the encoded style image;
- batch norm, the baseline: one learned pair, and μ, σ over the whole batch.

A layer knows its index in the network and takes scale and shift from ``style[index]``. Where μ and σ come from is the
``statistics`` hook of the style's context: the image itself, or for a tile the whole image.
"""

import torch
from torch import Tensor, nn

from model_store.statistics import EPSILON, Statistics, instance_statistics
from model_store.style import Style


def normalise(features: Tensor) -> Tensor:
    """Bring each feature map of each image to zero mean and unit std: (B, C, H, W) to fp32 of the same shape."""
    mean, std = instance_statistics(features)
    return (features.float() - mean) / std


def adaptive_instance_norm(
    features: Tensor,
    scale: Tensor,
    shift: Tensor,
    alpha: Tensor | None = None,
    mask_weights: Tensor | None = None,
    statistics: Statistics | None = None,
) -> Tensor:
    """Give each feature map a new std and a new mean (Huang & Belongie 2017, eq. 8).

    Args:
        features: (B, C, H, W).
        scale: New stds, (B, C), or (B, K, C) for K masks.
        shift: New means, of the shape of ``scale``.
        alpha: (B,), 0 keeps the features' own statistics and 1 takes the new ones. Because the output is linear in
            scale and shift, this equals the paper's blend of feature maps (eq. 14): ``(1 − α)·x + α·AdaIN(x, style)``.
        mask_weights: (B, K, H, W), see ``model_store.spatial_masks``. Where they sum to less than 1, the rest keeps the
            features' own statistics.
        statistics: The features' statistics, in the shapes of ``instance_statistics``, where the features are a part of
            larger ones.

    Returns:
        (B, C, H, W) in the type of ``features``.
    """
    mean, std = statistics if statistics is not None else instance_statistics(features, mask_weights)
    scale, shift = scale.float(), shift.float()
    if mask_weights is None:
        scale, shift = scale[..., None, None], shift[..., None, None]  # (B, C, 1, 1)
        if alpha is not None:
            alpha = alpha.float().view(-1, 1, 1, 1)
            scale, shift = torch.lerp(std, scale, alpha), torch.lerp(mean, shift, alpha)
        gain = scale / std
        bias = shift - mean * gain
    else:
        if alpha is not None:
            mask_weights = mask_weights * alpha.float().view(-1, 1, 1, 1)
        gain = scale / std  # (B, K, C)
        bias = _spread(mask_weights, shift - mean * gain)
        gain = 1 + _spread(mask_weights, gain - 1)  # (B, C, H, W)
    return torch.addcmul(bias, features, gain).to(features.dtype)


def _spread(mask_weights: Tensor, values: Tensor) -> Tensor:
    """Σₖ weightₖ · valueₖ at each place, channels last: (B, K, H, W), (B, K, C) → (B, C, H, W)."""
    terms = zip(mask_weights.unbind(1), values.unbind(1), strict=True)
    weight, value = next(terms)
    total = weight[..., None] * value[:, None, None]  # (B, H, W, C)
    for weight, value in terms:
        total.addcmul_(weight[..., None], value[:, None, None])  # adds an exact 0 where a mask is 0
    return total.permute(0, 3, 1, 2)


class StyledNorm(nn.Module):
    """Instance norm whose scale and shift are those of the style at the layer's index.

    Attributes:
        index: Place in the style's scales and shifts: the order in which a network's layers run.
        keeps_own: If true, the features keep their own statistics as far as the style's ``alpha`` is below 1, and where
            no mask applies (AdaIN). If false, such places take all masks' styles, and the layer ignores ``alpha``.
    """

    def __init__(self, index: int, keeps_own: bool = False) -> None:
        """Store the index; the layer has no weights of its own."""
        super().__init__()
        self.index = index
        self.keeps_own = keeps_own

    def statistics(self, features: Tensor, style: Style, mask_weights: Tensor | None) -> Statistics:
        """Return the mean and std that normalise the features: by default those that the style's context gives."""
        return style.context.statistics(self.index, features, mask_weights)

    def forward(self, features: Tensor, style: Style) -> Tensor:
        """Normalise each image, or what each of its masks covers, by its own statistics; then scale and shift.

        Args:
            features: (B, C, H, W).
            style: B rows.

        Returns:
            (B, C, H, W) in the type of ``features``.
        """
        scale, shift = style[self.index]
        alpha = style.alpha if self.keeps_own else None
        if style.masks is None:
            statistics = self.statistics(features, style, None)
            return adaptive_instance_norm(features, scale, shift, alpha, statistics=statistics)
        size = (features.shape[2], features.shape[3])
        own = style.masks.at(*size)
        weights = own if self.keeps_own else style.masks.filled(*size)
        statistics = self.statistics(features, style, own)
        styled = adaptive_instance_norm(features, scale, shift, alpha, weights, statistics)
        for row in style.masks.whole:  # bit for bit as in a batch without masks
            part = slice(row, row + 1)
            strength = alpha[part] if alpha is not None else None
            statistics = self.statistics(features[part], style, None)
            styled[part] = adaptive_instance_norm(
                features[part], scale[part, 0], shift[part, 0], strength, statistics=statistics
            )
        return styled


class StyledScale(StyledNorm):
    """The style's scale and shift without a normalisation before them."""

    def statistics(self, features: Tensor, style: Style, mask_weights: Tensor | None) -> Statistics:
        """Return mean 0 and std 1, whatever the features are."""
        return torch.zeros((), device=features.device), torch.ones((), device=features.device)


class InstanceNorm(StyledNorm):
    """Conditional instance norm with a learned table of N styles; N = 1 is the per-style instance norm.

    The table lives in the layer, but a call takes scale and shift from its ``Style``, so that a batch can use other
    rows, and mixes of rows, for every image.
    """

    def __init__(self, index: int, channels: int, styles: int = 1) -> None:
        """Start every style as the identity: scale 1, shift 0."""
        super().__init__(index)
        self.scale = nn.Parameter(torch.ones(styles, channels))
        self.shift = nn.Parameter(torch.zeros(styles, channels))


class BatchNorm(InstanceNorm):
    """Batch norm with the same table: μ and σ over the whole batch. It is the layer that instance norm replaced."""

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, index: int, channels: int, styles: int = 1) -> None:
        """Keep running statistics for evaluation."""
        super().__init__(index, channels, styles)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_variance", torch.ones(channels))

    def statistics(self, features: Tensor, style: Style, mask_weights: Tensor | None) -> Statistics:
        """Return mean 0 and std 1: ``forward`` has normalised the features already."""
        return torch.zeros((), device=features.device), torch.ones((), device=features.device)

    def forward(self, features: Tensor, style: Style) -> Tensor:
        """Normalise by the batch's statistics in training, by the running ones in evaluation; shapes as above."""
        normalised = nn.functional.batch_norm(
            features.float(), self.running_mean, self.running_variance, training=self.training, eps=EPSILON
        )
        return super().forward(normalised, style).to(features.dtype)
