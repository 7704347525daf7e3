"""The residual generator (Johnson et al. 2016, arXiv 1603.08155; conditional: Dumoulin et al. 2017, arXiv 1610.07629).

    9×9, 32 → down to 64 → down to 128 → 5 residual blocks → up to 64 → up to 32 → 9×9, 3

Like today's variants and unlike the first code: reflection padding at every convolution instead of once at the start,
nearest upsampling + convolution instead of transposed convolutions, and, as in Dumoulin et al., a normalised last
convolution and a sigmoid.
"""

from functools import partial

import torch
from torch import Tensor, nn

from model_store.blocks import NormalisedConv, ResidualBlock, StyledSequential, norm_indices
from model_store.convolutions import UpsampledConv, padded_conv
from model_store.generator import Generator
from model_store.network import Stage
from model_store.style import Style


class ResidualGenerator(Generator):
    """One generator for all three norms; its layers are numbered in the order in which they run."""

    stride = 4

    def __init__(self, norm: str = "conditional", styles: int = 1, width: int = 32, blocks: int = 5) -> None:
        """Build the network with random convolutions; every style starts as the identity.

        Args:
            norm: ``instance`` (one style), ``conditional`` or ``batch``.
            styles: Number of learned styles.
            width: Channels at full size; 4 times as many in the residual blocks.
            blocks: Number of residual blocks.

        Raises:
            ValueError: An unknown norm, or a number of styles that it does not support.
        """
        super().__init__(norm, styles)
        channels = 4 * width
        self.down = StyledSequential(
            [
                NormalisedConv(padded_conv(3, width, 9, bias=False), self.norm_layer(width)),
                NormalisedConv(padded_conv(width, 2 * width, stride=2, bias=False), self.norm_layer(2 * width)),
                NormalisedConv(padded_conv(2 * width, channels, stride=2, bias=False), self.norm_layer(channels)),
            ]
        )
        self.body = StyledSequential(
            ResidualBlock(channels, self.norm_layer(channels), self.norm_layer(channels)) for _ in range(blocks)
        )
        self.up = StyledSequential(
            [
                NormalisedConv(UpsampledConv(channels, 2 * width, bias=False), self.norm_layer(2 * width)),
                NormalisedConv(UpsampledConv(2 * width, width, bias=False), self.norm_layer(width)),
                NormalisedConv(padded_conv(width, 3, 9, bias=False), self.norm_layer(3), activate=False),
            ]
        )

    def forward(self, content: Tensor, style: Style) -> Tensor:
        """Downsample, residual blocks, upsample: shapes as for ``StyleNetwork``; the output is in (0, 1)."""
        return self.enlarge(self.body(self.shrink(content, style), style), style)

    def shrink(self, content: Tensor, style: Style) -> Tensor:
        """Downsample: (B, 3, H, W) → (B, 4·width, H/4, W/4)."""
        return self.down(content.to(self.dtype), style)  # type: ignore[no-any-return]

    def enlarge(self, features: Tensor, style: Style) -> Tensor:
        """Upsample: (B, 4·width, H/4, W/4) → (B, 3, H, W) in (0, 1), fp32."""
        return torch.sigmoid(self.up(features, style).float())

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Downsampling, the residual blocks one by one, upsampling: each has a margin of 7 or 8 pixels."""

        def enlarge(_content: Tensor, features: Tensor | None, style: Style) -> Tensor:
            assert features is not None
            return self.enlarge(features, style)

        return (
            Stage(lambda content, _, style: self.shrink(content, style), norm_indices(self.down), 4, margin_px=8),
            *(Stage(partial(_through, block), norm_indices(block), 4, margin_px=8) for block in self.body),
            Stage(enlarge, norm_indices(self.up), 1, margin_px=8),
        )


def _through(block: nn.Module, _content: Tensor, features: Tensor | None, style: Style) -> Tensor:
    return block(features, style)  # type: ignore[no-any-return]
