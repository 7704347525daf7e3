"""Perceptual losses: functions of VGG features, one number per image, lower is closer. They train and they measure.

Content and style loss are relative, so that layers, styles and image sizes weigh alike.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from model_store.layers import normalise
from model_store.statistics import mean_std

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""Layers of AdaIN's style loss (Huang & Belongie 2017, section 6.1)."""

CONTENT_LAYER = "relu4_1"


def content_loss(result: Tensor, content: Tensor) -> Tensor:
    """Mean squared error between instance-normalised features: zero for a change of style alone.

    Args:
        result: Features of the output image, (B, C, H, W).
        content: Features of the content image, of the same shape.

    Returns:
        (B,), fp32: 0 for the same content, 2 for unrelated features.
    """
    return (normalise(result) - normalise(content)).square().mean(dim=(1, 2, 3))


def gram_matrix(features: Tensor) -> Tensor:
    """Compute G = F·Fᵀ / (H·W), the channels' correlations (Gatys et al. 2016): (B, C, H, W) → (B, C, C), fp32."""
    flat = features.float().flatten(2)  # (B, C, H·W)
    with torch.autocast(flat.device.type, enabled=False):
        return flat @ flat.transpose(1, 2) / flat.shape[2]


STYLE_TARGETS: dict[str, Callable[[Tensor], Tensor]] = {
    "statistics": mean_std,
    "gram": gram_matrix,
}
"""Kinds of targets of a style loss: AdaIN's channel statistics, or Gatys' correlations. Both mix linearly."""


def style_targets(features: Mapping[str, Tensor], kind: str = "statistics") -> dict[str, Tensor]:
    """Compute the targets of a style loss: features by layer → one of ``STYLE_TARGETS`` by layer."""
    return {layer: STYLE_TARGETS[kind](maps) for layer, maps in features.items()}


def style_loss(result: Mapping[str, Tensor], style: Mapping[str, Tensor]) -> Tensor:
    """Squared difference of the targets of outputs and style images, relative to the style's own size.

    Relative to each style and layer, because otherwise styles of strong contrast dominate a training of many
    (arXiv 2104.10064).

    Args:
        result: ``style_targets`` of the outputs, by layer.
        style: Those of the style images, of the same layers. They do not depend on the images' sizes.

    Returns:
        (B,), fp32: mean over the style's layers. With statistics, (‖Δμ‖² + ‖Δσ‖²) / (‖μₛ‖² + ‖σₛ‖²) a layer.
    """
    distances = []
    for layer, wanted in style.items():
        moved = (result[layer] - wanted).square().flatten(1).sum(dim=1)
        distances.append(moved / wanted.square().flatten(1).sum(dim=1))
    return torch.stack(distances).mean(dim=0)


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference between neighbours, down and across (Johnson et al. 2016): (B, 3, H, W) → (B,), fp32."""
    images = images.float()
    down = (images[:, :, 1:] - images[:, :, :-1]).square().mean(dim=(1, 2, 3))
    across = (images[:, :, :, 1:] - images[:, :, :, :-1]).square().mean(dim=(1, 2, 3))
    return down + across


LATTICE_PERIODS_PX = 4
"""Period of the patterns that upsampling by 2 and 4 causes, in pixels; they may also repeat after half of it."""

LATTICE_WINDOW_PX = 16


def lattice_amplitude(images: Tensor) -> Tensor:
    """Mean amplitude of patterns that are locked to a lattice of 2 or 4 pixels: dots, checkerboards, stripes.

    Networks that upsample fill flat areas with such patterns where the style has texture (Odena et al. 2016). Other
    texture changes its phase from place to place and is weak at exactly these frequencies.

    Args:
        images: (B, C, H, W) in [0, 1], at least 16 × 16.

    Returns:
        (B,), fp32: mean over places, channels and the 9 frequencies. A checkerboard of
        0 and 1 has 0.5 at one of them; waves of 4 px count half their amplitude.
    """
    frames = images.float().flatten(0, 1)[:, None]  # (B·C, 1, H, W)
    waves = lattice_waves().to(images.device)
    cosine, sine = nn.functional.conv2d(frames, waves, stride=LATTICE_WINDOW_PX // 2).chunk(2, dim=1)  # (B·C, F, …)
    amplitudes = (cosine.square() + sine.square() + 1e-8).sqrt()  # the summand keeps the gradient finite
    return amplitudes.view(len(images), -1).mean(dim=1)


def lattice_waves() -> Tensor:
    """Windowed cosines and sines of all frequencies whose period divides 4 px: (2·F, 1, 16, 16)."""
    window = torch.hann_window(LATTICE_WINDOW_PX)
    window = window[:, None] * window
    positions = torch.arange(LATTICE_WINDOW_PX) * (2 * math.pi / LATTICE_PERIODS_PX)
    # Of two conjugate frequencies one is enough.
    down_by_across = [
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 0),
        (2, 1),
        (2, 2),
    ]
    phases = torch.stack([down * positions[:, None] + across * positions for down, across in down_by_across])
    return (torch.cat([phases.cos(), phases.sin()]) * window / window.sum())[:, None]
