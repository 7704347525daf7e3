"""AdaIN: arbitrary style transfer in one forward pass (Huang & Belongie 2017, arXiv 1703.06868).

    image = decode(restyle(encode(content), style))          restyle = AdaIN

The encoder is VGG up to relu4_1, frozen. The decoder mirrors it, with reflection padding, nearest upsampling in place
of pooling, and no normalisation layers, which would remove the style (paper, section 7.1).

Ours differs in one point: the decoder divides its input by ``FEATURE_SCALE``. The reference rescales VGG's weights
instead, so that features have a mean near one; either way the decoder's first layer gets inputs near one.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model_store.convolutions import UpsampledConv, pad_to_stride, padded_conv
from model_store.layers import StyledNorm
from model_store.network import AnyStyle, Stage
from model_store.statistics import Statistics
from model_store.style import Style
from model_store.vgg import BLOCK_CONVS, IMAGENET, VGG, WIDTH, InputConvention, block_channels

FEATURE_SCALE = 50.0
"""Typical size of an active relu4_1 feature of VGG-16 and VGG-19 with the authors' weights."""


MARGIN_PX = 32
"""Receptive-field radius of encoder and decoder, each, in pixels. A wrong border affects 4 places of relu4_1, with
VGG-16 and VGG-19 alike, and 26 or 30 pixels of the decoded image."""


class AdaIN(AnyStyle):
    """Encoder, adaptive instance norm, decoder, and the statistics of its named styles."""

    stride = 8
    norm = "adaptive"
    controls = ("style", "weights", "alpha")
    style_layers = ("relu4_1",)

    style_scales: Tensor
    style_shifts: Tensor

    def __init__(
        self,
        architecture: str = "vgg16",
        mean: tuple[float, float, float] = IMAGENET.mean,
        std: tuple[float, float, float] = IMAGENET.std,
        styles: int = 0,
        vgg_width: int = WIDTH,
    ) -> None:
        """Build the network without weights.

        Args:
            architecture: The encoder's, ``vgg16`` or ``vgg19``.
            mean: Mean of the encoder's input convention.
            std: Std of the encoder's input convention.
            styles: Number of named styles that are stored with the network, as rows of statistics.
            vgg_width: Channels of the encoder's first block; the decoder mirrors it.
        """
        super().__init__()
        convention = InputConvention(tuple(mean), tuple(std))  # type: ignore[arg-type]
        self.encoder = VGG(architecture, "relu4_1", convention, width=vgg_width)
        self.encoder.requires_grad_(False)
        self.restyle = StyledNorm(0, keeps_own=True)
        self.decoder = mirrored_decoder(architecture, vgg_width)
        self.register_buffer("style_scales", torch.ones(styles, block_channels(vgg_width)[3]))
        self.register_buffer("style_shifts", torch.zeros(styles, block_channels(vgg_width)[3]))

    def forward(self, content: Tensor, style: Style) -> Tensor:
        """Encode, give the features the style's statistics, decode: shapes as for ``StyleNetwork``."""
        return self.decode(self.restyle(self.encode(content), style))

    def encode(self, images: Tensor) -> Tensor:
        """Compute relu4_1: (B, 3, H, W), RGB in [0, 1] → (B, 512, H/8, W/8), rounded up."""
        return self.encoder(pad_to_stride(images, self.stride))["relu4_1"]  # type: ignore[no-any-return]

    def decode(self, features: Tensor) -> Tensor:
        """Decode features: (B, 512, H/8, W/8) → (B, 3, H, W), RGB, near [0, 1] but not clamped."""
        return self.decoder(features / FEATURE_SCALE)  # type: ignore[no-any-return]

    def style_from(self, statistics: Mapping[str, Statistics]) -> Style:
        """Take the style image's std as scale and its mean as shift: each (B, 512, 1, 1) → B rows."""
        mean, std = statistics["relu4_1"]
        return Style((std.flatten(1),), (mean.flatten(1),))

    def stored_style(self, row: int) -> Style:
        """Return the style that the checkpoint lists at this row."""
        return Style((self.style_scales[row : row + 1],), (self.style_shifts[row : row + 1],))

    def with_styles(self, rows: Style) -> None:
        """Store N rows as the network's named styles."""
        self.style_scales, self.style_shifts = rows[0]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The encoder; adaptive instance norm and the decoder."""

        def decode(_content: Tensor, features: Tensor | None, style: Style) -> Tensor:
            return self.decode(self.restyle(features, style))

        return (
            Stage(lambda content, *_: self.encode(content), layers=(), factor=8, margin_px=MARGIN_PX),
            Stage(decode, layers=(0,), factor=1, margin_px=MARGIN_PX),
        )


def mirrored_decoder(architecture: str, width: int = WIDTH) -> nn.Sequential:
    """Build the encoder backwards: 512→256, ×2, 256→256 …, 256→128, ×2, 128→128, 128→64, ×2, 64→64, 64→3.

    ReLU after every convolution but the last. VGG-16 has two convolutions 256→256 where VGG-19 has three.
    """
    first, second, third, fourth = block_channels(width)[:4]
    middle = BLOCK_CONVS[architecture][2] - 1
    convs: list[nn.Module] = [padded_conv(fourth, third), UpsampledConv(third, third)]
    convs += [padded_conv(third, third) for _ in range(middle - 1)]
    convs += [padded_conv(third, second), UpsampledConv(second, second), padded_conv(second, first)]
    convs += [UpsampledConv(first, first)]
    layers = [module for conv in convs for module in (conv, nn.ReLU(inplace=True))]
    decoder = nn.Sequential(*layers, padded_conv(first, 3))
    for module in decoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    begin_grey(decoder[-1])
    return decoder


@torch.no_grad()
def begin_grey(last: nn.Module) -> None:
    """Make a decoder's first outputs nearly grey: far out of range, they would have style losses of thousands."""
    last.weight.mul_(0.02)  # type: ignore[operator]
    last.bias.fill_(0.5)  # type: ignore[operator]
