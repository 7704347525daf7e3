"""The residual generator (Johnson et al. 2016, arXiv 1603.08155; conditional: Dumoulin et al. 2017, arXiv 1610.07629).

    9×9, 32 → down to 64 → down to 128 → 5 residual blocks → up to 64 → up to 32 → 9×9, 3

As today's variants do, and unlike the first code: reflection padding at every convolution instead of once at the start,
nearest upsampling + convolution instead of transposed convolutions, and, as Dumoulin et al. have it, a normalised last
convolution and a sigmoid.
"""

from functools import partial

import torch
from torch import Tensor, nn

from model_store.generator import Generator, NormalisedConv, Rows, rows_of, run
from model_store.layers import InstanceNorm, UpsampledConv, padded_conv
from model_store.network import Stage, View
from model_store.style import Style


class ResidualGenerator(Generator):
    """One generator for all three norms; call it with a content batch and a ``Style`` of as many rows."""

    stride = 4

    def __init__(self, norm: str = "conditional", styles: int = 1, width: int = 32, blocks: int = 5) -> None:
        """Build the network with random convolutions; every style starts as the identity.

        Args:
            norm: ``instance`` (one style), ``conditional`` or ``batch``.
            styles: How many it learns.
            width: Channels at full size; 4 times as many in the residual blocks.
            blocks: How many residual blocks.

        Raises:
            ValueError: An unknown norm, or a number of styles that it does not take.
        """
        super().__init__(norm, styles)
        channels = 4 * width
        self.down = nn.ModuleList(
            [
                NormalisedConv(padded_conv(3, width, 9, bias=False), self.norm_layer(width)),
                NormalisedConv(padded_conv(width, 2 * width, stride=2, bias=False), self.norm_layer(2 * width)),
                NormalisedConv(padded_conv(2 * width, channels, stride=2, bias=False), self.norm_layer(channels)),
            ]
        )
        self.body = nn.ModuleList(
            ResidualBlock(channels, self.norm_layer(channels), self.norm_layer(channels)) for _ in range(blocks)
        )
        self.up = nn.ModuleList(
            [
                NormalisedConv(UpsampledConv(channels, 2 * width, bias=False), self.norm_layer(2 * width)),
                NormalisedConv(UpsampledConv(2 * width, width, bias=False), self.norm_layer(width)),
                NormalisedConv(padded_conv(width, 3, 9, bias=False), self.norm_layer(3), activate=False),
            ]
        )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Down, the residual blocks one by one, up: each sees 7 or 8 pixels far."""
        blocks = (Stage(partial(self._through, block), norms=2, factor=4, margin_px=8) for block in self.body)
        return (
            Stage(self._shrunk, norms=3, factor=4, margin_px=8),
            *blocks,
            Stage(self._enlarged, norms=3, factor=1, margin_px=8),
        )

    def _shrunk(self, photo: Tensor, _features: Tensor | None, style: Style, view: View) -> Tensor:
        weight = next(self.down.parameters())
        return run(self.down, photo.to(weight.dtype), rows_of(style, view))  # (B, 128, H/4, W/4)

    def _through(self, block: nn.Module, _photo: Tensor, features: Tensor | None, style: Style, view: View) -> Tensor:
        return block(features, rows_of(style, view))  # type: ignore[no-any-return]

    def _enlarged(self, _photo: Tensor, features: Tensor | None, style: Style, view: View) -> Tensor:
        assert features is not None
        return torch.sigmoid(run(self.up, features, rows_of(style, view)).float())  # (B, 3, H, W) in (0, 1)


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))): no ReLU after the sum."""

    def __init__(self, channels: int, first: InstanceNorm, second: InstanceNorm) -> None:
        """Two 3×3 convolutions, each with its norm."""
        super().__init__()
        self.first = NormalisedConv(padded_conv(channels, channels, bias=False), first)
        self.second = NormalisedConv(padded_conv(channels, channels, bias=False), second, activate=False)

    def forward(self, features: Tensor, rows: Rows) -> Tensor:
        """(B, C, H, W) → (B, C, H, W); takes two of ``rows``."""
        return features + run((self.first, self.second), features, rows)
