"""The pyramid generator of texture networks (Ulyanov et al. 2016, arXiv 1603.03417; with instance norm: 1607.08022).

The content enters at every scale from 1/32 to 1, each time with noise beside it. From coarse to fine, the features so
far are doubled and joined with the next scale's own. The noise varies strokes: another seed gives another output.

As in the paper's instance norm version: ReLU and replication padding (which a map of one pixel allows). Ours ends in a
sigmoid, like the residual generator.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.blocks import NormalisedConv, StyledSequential, norm_indices
from model_store.convolutions import doubled, padded_conv
from model_store.generator import Generator
from model_store.network import Stage
from model_store.style import Style

NOISE_BLOCK = 64
"""Side of the squares in which noise is drawn."""


class PyramidGenerator(Generator):
    """One generator for all three norms; ``style.seeds`` choose each image's noise."""

    def __init__(
        self, norm: str = "conditional", styles: int = 1, channels: int = 8, scales: int = 6, noise_channels: int = 3
    ) -> None:
        """Build the network with random convolutions; every style starts as the identity.

        Args:
            norm: ``instance`` (one style), ``conditional`` or ``batch``.
            styles: Number of learned styles.
            channels: Channels that each scale adds.
            scales: Number of scales, each half the size of the next.
            noise_channels: Channels of noise at every scale, beside the content's three.

        Raises:
            ValueError: An unknown norm, or a number of styles that it does not support.
        """
        super().__init__(norm, styles)
        self.controls = (*self.controls, "seed")
        self.stride = 2 ** (scales - 1)
        self.noise_channels = noise_channels
        self.scales = nn.ModuleList(
            PyramidScale(self, 3 + noise_channels, channels, joined=channels * index) for index in range(scales)
        )
        self.last = padded_conv(channels * scales, 3, 1)

    def forward(self, content: Tensor, style: Style) -> Tensor:
        """Compute scale by scale, from coarse to fine: shapes as for ``StyleNetwork``; the output is in (0, 1)."""
        features: Tensor | None = None
        for index in range(len(self.scales)):
            features = self.scale(index, content, features, style)  # (B, channels·(index + 1), H/factor, W/factor)
        return torch.sigmoid(self.last(features).float())

    def scale(self, index: int, content: Tensor, coarser: Tensor | None, style: Style) -> Tensor:
        """Compute one scale from content and noise at 1/factor of the size, and the coarser scales' features.

        Without seeds the noise is random.
        """
        factor, context = self.stride >> index, style.context
        content = nn.functional.avg_pool2d(content, factor)  # (B, 3, H/factor, W/factor)
        noise = self._noise(content, style.seeds, index, context.top // factor, context.left // factor)
        inputs = torch.cat([content, noise], dim=1).to(self.dtype)
        return self.scales[index](inputs, coarser, style)  # type: ignore[no-any-return]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The scales, from coarse to fine: each has at most four 3×3 convolutions, a margin of four places."""
        return tuple(self._stage(index) for index in range(len(self.scales)))

    def _stage(self, index: int) -> Stage:
        factor = self.stride >> index

        def run(content: Tensor, coarser: Tensor | None, style: Style) -> Tensor:
            features = self.scale(index, content, coarser, style)
            return features if factor > 1 else torch.sigmoid(self.last(features).float())

        return Stage(
            run, norm_indices(self.scales[index]), factor, margin_px=-(-4 * factor // self.stride) * self.stride
        )

    def _noise(self, content: Tensor, seeds: Sequence[int] | None, scale: int, top: int, left: int) -> Tensor:
        """Draw noise of the content's size at one scale, (B, noise_channels, H, W), fp32."""
        batch, _, height, width = content.shape
        if seeds is None:
            return torch.randn(batch, self.noise_channels, height, width, device=content.device)
        window = (top, left, height, width)
        return torch.stack([noise(seed, scale, self.noise_channels, window) for seed in seeds]).to(content.device)


class PyramidScale(nn.Module):
    """One scale: three convolutions of its own, then, except at the coarsest, three more over all features so far."""

    def __init__(self, generator: Generator, in_channels: int, channels: int, joined: int) -> None:
        """Build a scale; ``joined`` is the number of channels of the coarser scales: 0 at the coarsest."""
        super().__init__()
        self.own = convolutions(generator, in_channels, channels)
        self.norms = nn.ModuleList([generator.norm_layer(joined), generator.norm_layer(channels)] if joined else [])
        self.merge = convolutions(generator, joined + channels, joined + channels) if joined else StyledSequential()

    def forward(self, content: Tensor, coarser: Tensor | None, style: Style) -> Tensor:
        """Join content and noise (B, C_in, H, W) with coarser features (B, joined, H/2, W/2) → (B, all, H, W)."""
        features: Tensor = self.own(content, style)
        if coarser is None:
            return features
        joined, own = self.norms
        both = torch.cat([joined(doubled(coarser), style), own(features, style)], dim=1)
        return self.merge(both, style)  # type: ignore[no-any-return]


def convolutions(generator: Generator, in_channels: int, channels: int) -> StyledSequential:
    """Build three convolutions, 3×3, 3×3 and 1×1, each with norm and ReLU."""
    sizes = ((in_channels, 3), (channels, 3), (channels, 1))
    return StyledSequential(
        NormalisedConv(
            padded_conv(size, channels, kernel_px, bias=False, padding="replicate"), generator.norm_layer(channels)
        )
        for size, kernel_px in sizes
    )


def noise(seed: int, scale: int, channels: int, window: tuple[int, int, int, int]) -> Tensor:
    """Compute a part of an endless plane of normal noise, block by block: tiles get the same noise as the whole image.

    It depends on the arguments alone, so a seed gives the same noise alone, in any batch and on every device.

    Args:
        seed: Seed of the output.
        scale: Index of the scale; each has a plane of its own.
        channels: Number of channels.
        window: Top, left, height and width of the part.

    Returns:
        (channels, height, width), fp32, on the CPU.
    """
    top, left, height, width = window
    rows = range(top // NOISE_BLOCK, -(-(top + height) // NOISE_BLOCK))
    columns = range(left // NOISE_BLOCK, -(-(left + width) // NOISE_BLOCK))
    shape = (channels, NOISE_BLOCK, NOISE_BLOCK)

    def block(row: int, column: int) -> NDArray[np.float32]:
        return np.random.default_rng((seed, scale, row, column)).standard_normal(shape, np.float32)

    plane = np.block([[block(row, column) for column in columns] for row in rows])
    top, left = top - rows[0] * NOISE_BLOCK, left - columns[0] * NOISE_BLOCK
    return torch.from_numpy(plane[:, top : top + height, left : left + width].copy())
