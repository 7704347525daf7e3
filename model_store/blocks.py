"""Blocks of convolution and normalisation that take a style, the parts of the feed-forward generators."""

from torch import Tensor, nn

from model_store.convolutions import padded_conv
from model_store.layers import StyledNorm
from model_store.style import Style


class NormalisedConv(nn.Module):
    """Convolution, normalisation and, by default, ReLU.

    The convolution needs no bias: the normalisation would remove it.
    """

    def __init__(self, conv: nn.Module, norm: StyledNorm, activate: bool = True) -> None:
        """Store the layers."""
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.activate = activate

    def forward(self, features: Tensor, style: Style) -> Tensor:
        """Compute (B, C_in, H, W) → (B, C_out, H', W'), in the convolution's type."""
        normalised: Tensor = self.norm(self.conv(features), style)
        return normalised.relu_() if self.activate else normalised


class ResidualBlock(nn.Module):
    """Residual block x + norm(conv(relu(norm(conv(x))))), without a ReLU after the sum (Johnson et al. 2016)."""

    def __init__(self, channels: int, first: StyledNorm, second: StyledNorm) -> None:
        """Build two 3×3 convolutions, each with its norm."""
        super().__init__()
        self.first = NormalisedConv(padded_conv(channels, channels, bias=False), first)
        self.second = NormalisedConv(padded_conv(channels, channels, bias=False), second, activate=False)

    def forward(self, features: Tensor, style: Style) -> Tensor:
        """Compute (B, C, H, W) → (B, C, H, W)."""
        return features + self.second(self.first(features, style), style)  # type: ignore[no-any-return]


class StyledSequential(nn.ModuleList):
    """Blocks one after the other, each of which takes the style."""

    def forward(self, features: Tensor, style: Style) -> Tensor:
        """Run all blocks."""
        for block in self:
            features = block(features, style)
        return features


def norm_indices(module: nn.Module) -> tuple[int, ...]:
    """Indices of a module's normalisation layers, in the order in which they run."""
    return tuple(sorted(layer.index for layer in module.modules() if isinstance(layer, StyledNorm)))
