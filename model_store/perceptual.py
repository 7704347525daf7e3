"""Distances between pictures, as VGG sees them. Pure functions of features; one number per image; lower is closer.

Content and style distance are relative, so that layers, styles and image sizes weigh alike (an unscaled style loss lets
the strongest style rule the training; arXiv 2104.10064).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from model_store.layers import instance_statistics, normalise

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""Where AdaIN's style loss looks (Huang & Belongie 2017, section 6.1)."""

CONTENT_LAYER = "relu4_1"


def content_distance(result: Tensor, content: Tensor) -> Tensor:
    """Mean squared error between instance-normalised features: what a change of style alone leaves at zero.

    Args:
        result: Features of the painted image, (B, C, H, W).
        content: Features of the photo, of the same shape.

    Returns:
        (B,), fp32: 0 for the same content, 2 for unrelated features.
    """
    return (normalise(result) - normalise(content)).square().mean(dim=(1, 2, 3))


def style_distance(result: Mapping[str, Tensor], style: Mapping[str, Tensor]) -> Tensor:
    """How far the feature statistics are from the style's: Σ over layers of ‖Δμ‖² + ‖Δσ‖², each relative to the style.

    Args:
        result: Features by layer of the painted image, each (B, C, H, W).
        style: The same layers of the style image; H and W may differ.

    Returns:
        (B,), fp32: mean over the layers of (‖Δμ‖² + ‖Δσ‖²) / (‖μₛ‖² + ‖σₛ‖²).
    """
    distances = []
    for layer, style_features in style.items():
        mean, deviation = instance_statistics(result[layer])
        style_mean, style_deviation = instance_statistics(style_features)
        moved = (mean - style_mean).square() + (deviation - style_deviation).square()
        size = style_mean.square() + style_deviation.square()
        distances.append(moved.sum(dim=(1, 2, 3)) / size.sum(dim=(1, 2, 3)))
    return torch.stack(distances).mean(dim=0)


def gram_matrix(features: Tensor) -> Tensor:
    """G = F·Fᵀ / (H·W), the correlations between channels (Gatys et al. 2016): (B, C, H, W) → (B, C, C), fp32."""
    flat = features.float().flatten(2)  # (B, C, H·W)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def gram_distance(result: Tensor, style: Tensor) -> Tensor:
    """Squared error between Gram matrices, relative to the style's: (B,), fp32."""
    style_gram = gram_matrix(style)
    moved = (gram_matrix(result) - style_gram).square().sum(dim=(1, 2))
    return moved / style_gram.square().sum(dim=(1, 2))


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference between neighbours, down and across (Johnson et al. 2016): (B, 3, H, W) → (B,), fp32."""
    images = images.float()
    down = (images[:, :, 1:] - images[:, :, :-1]).square().mean(dim=(1, 2, 3))
    across = (images[:, :, :, 1:] - images[:, :, :, :-1]).square().mean(dim=(1, 2, 3))
    return down + across
