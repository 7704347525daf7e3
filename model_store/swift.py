"""``swift``: any style in one small pass, with predicted conditional instance norm (Ghiasi et al. 2017, 1705.06830).

    style  = predict(statistics of the style image in VGG)      scale and shift of every layer
    output = sigmoid(paint(content, style) + style's scale and shift of logit(content))

The body is Dumoulin's residual generator made small: half-resolution stem and head, quarter-resolution residual blocks.
At 512 × 512 it takes 17 GFLOP, AdaIN with VGG-16 takes 252; VGG is needed for style images only.

Ours differs from Ghiasi et al. in three points. The style image is encoded by VGG's means and stds instead of an
Inception network that is trained with it. The network starts as the identity (``paint`` is zero, the content's scale is
one): without that, trainings inverted brightness. And strength mixes a style's row with one that reproduces the
content: its last layers are fixed so that ``paint`` is zero, the others are learned.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from model_store.blocks import NormalisedConv, ResidualBlock, StyledSequential, norm_indices
from model_store.convolutions import doubled, padded_conv
from model_store.layers import StyledNorm, StyledScale
from model_store.network import AnyStyle, Stage
from model_store.statistics import Statistics
from model_store.style import Style
from model_store.vgg import IMAGENET, VGG, WIDTH, InputConvention, block_channels

PIXEL_MEAN, PIXEL_STD = 0.45, 0.25
"""Typical mean and std of a photo's pixels, for the first convolution's input."""

DARKEST = 0.02
"""Distance from black and white to which pixels are clamped before their logit, which would be infinite there."""

PIXEL_CHANNELS = 8
"""Channels at full resolution, before the last convolution."""

MARGIN_PX = 8
"""Receptive-field radius in pixels: each stage's is 6 to 8."""


class Swift(AnyStyle):
    """The residual network, the predictor of its rows, and the rows of its named styles."""

    stride = 4
    norm = "predicted"
    controls = ("style", "weights", "alpha")
    style_layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")

    style_rows: Tensor

    def __init__(
        self,
        width: int = 64,
        half_width: int = 32,
        blocks: int = 5,
        code: int = 256,
        architecture: str = "vgg16",
        mean: tuple[float, float, float] = IMAGENET.mean,
        std: tuple[float, float, float] = IMAGENET.std,
        styles: int = 0,
        style_shrink: int = 1,
        vgg_width: int = WIDTH,
    ) -> None:
        """Build the network: the encoder without weights, the rest as the identity.

        Args:
            width: Channels at a quarter of the resolution.
            half_width: Channels at half the resolution.
            blocks: Number of residual blocks.
            code: Width of the predictor's hidden layers.
            architecture: The style encoder's, ``vgg16`` or ``vgg19``.
            mean: Mean of the encoder's input convention.
            std: Std of the encoder's input convention.
            styles: Number of named styles that are stored with the network.
            style_shrink: Factor by which style images are made smaller before VGG encodes them. At 2, encoding a new
                style costs about as much as a forward pass; at 1, seven times as much.
            vgg_width: Channels of the style encoder's first block.
        """
        super().__init__()
        self.style_shrink = style_shrink
        convention = InputConvention(tuple(mean), tuple(std))  # type: ignore[arg-type]
        self.encoder = VGG(architecture, "relu4_1", convention, width=vgg_width)
        self.encoder.requires_grad_(False)
        head = 4 * PIXEL_CHANNELS
        self.widths = (half_width, width, *[width] * (2 * blocks), half_width, head, 3)
        self.predictor = StylePredictor(2 * sum(block_channels(vgg_width)[:4]), code, 2 * sum(self.widths))
        self._add_layers(width, half_width, blocks)
        self.register_buffer("style_rows", torch.zeros(styles, 2 * sum(self.widths)))
        self.content_row = nn.Parameter(torch.zeros(2 * sum(self.widths[:-2])))

    def _add_layers(self, width: int, half_width: int, blocks: int) -> None:
        """Add the layers that a style restyles; the last one's weights are zero, so that the content is reproduced."""
        head = 4 * PIXEL_CHANNELS
        norm = iter(StyledNorm(index) for index in range(4 + 2 * blocks))
        self.stem = NormalisedConv(padded_conv(12, half_width, bias=False), next(norm))
        self.down = NormalisedConv(padded_conv(half_width, width, stride=2, bias=False), next(norm))
        self.body = StyledSequential(ResidualBlock(width, next(norm), next(norm)) for _ in range(blocks))
        self.up = NormalisedConv(padded_conv(width, half_width, bias=False), next(norm))
        self.head = NormalisedConv(padded_conv(half_width, head, bias=False), next(norm))
        self.last = padded_conv(PIXEL_CHANNELS, 3, bias=False)
        self.content = StyledScale(4 + 2 * blocks)
        nn.init.zeros_(self.last.weight)

    def forward(self, content: Tensor, style: Style) -> Tensor:
        """Add stem, residual blocks and head to the content: shapes as for ``StyleNetwork``; output in (0, 1)."""
        stem = self.stem(halved(content, self.dtype), style)  # (B, 32, H/2, W/2)
        features = self.body(self.down(stem, style), style)  # (B, 64, H/4, W/4)
        return self.finer(content, stem, features, style)

    def finer(self, content: Tensor, stem: Tensor, features: Tensor, style: Style) -> Tensor:
        """Upsample to full resolution: (B, 64, H/4, W/4) → (B, 3, H, W) in (0, 1), fp32."""
        features = self.up(doubled(features), style) + stem  # (B, 32, H/2, W/2)
        features = nn.functional.pixel_shuffle(self.head(features, style), 2)  # (B, 8, H, W)
        return torch.sigmoid(self.last(features).float() + self.content(logit(content), style))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Downsampling, the residual blocks one by one, upsampling; the last computes the cheap stem once more."""

        def first(content: Tensor, _: Tensor | None, style: Style) -> Tensor:
            return self.down(self.stem(halved(content, self.dtype), style), style)  # type: ignore[no-any-return]

        def last(content: Tensor, features: Tensor | None, style: Style) -> Tensor:
            assert features is not None
            return self.finer(content, self.stem(halved(content, self.dtype), style), features, style)

        return (
            Stage(first, (*norm_indices(self.stem), *norm_indices(self.down)), 4, MARGIN_PX),
            *(Stage(partial(_through, block), norm_indices(block), 4, MARGIN_PX) for block in self.body),
            Stage(last, (*norm_indices(self.up), *norm_indices(self.head)), 1, MARGIN_PX),
        )

    # ---- styles ---------------------------------------------------------------------------------------------------

    def style_from(self, statistics: Mapping[str, Statistics]) -> Style:
        """Predict the row of all layers from a style image's statistics, each (B, C, 1, 1) → B rows."""
        return self.style_of_rows(
            self.predictor([torch.cat(statistics[name], 1).flatten(1) for name in self.style_layers])
        )

    def style_of_rows(self, rows: Tensor) -> Style:
        """Split predicted rows, (B, 2 · Σ widths), differences from scale 1 and shift 0 → a style of B rows."""
        scales, shifts = [], []
        for part in torch.split(rows.float(), [2 * width for width in self.widths], dim=1):
            scale, shift = part.chunk(2, dim=1)
            scales.append(1 + scale)
            shifts.append(shift)
        return Style(tuple(scales), tuple(shifts))

    def rows_of_style(self, style: Style) -> Tensor:
        """Reverse ``style_of_rows``."""
        parts = zip(style.scales, style.shifts, strict=True)
        return torch.cat([part for scale, shift in parts for part in (scale - 1, shift)], dim=1)

    def stored_style(self, row: int) -> Style:
        """Return the style that the checkpoint lists at this row."""
        return self.style_of_rows(self.style_rows[row : row + 1])

    def with_styles(self, rows: Style) -> None:
        """Store N rows as the network's named styles."""
        self.style_rows = self.rows_of_style(rows)

    # ---- strength and masks ---------------------------------------------------------------------------------------

    @property
    def content_style(self) -> Style:
        """The row that reproduces any content: one row."""
        return self.style_of_rows(self.rows_of_content)

    @property
    def rows_of_content(self) -> Tensor:
        """``content_style`` as (1, 2 · Σ widths): the head's scale and shift are zero, the content's the identity."""
        head, content = self.widths[-2:]
        fixed = torch.zeros(2 * (head + content), device=self.content_row.device)
        fixed[:head] = -1
        return torch.cat([self.content_row, fixed])[None]

    def weakened(self, style: Style) -> Style:
        """Mix rows: (1 − α) · the row that reproduces the content + α · the style's (Ghiasi et al. 2017, section 4)."""
        if style.alpha is None:
            return style
        whole = self.content_style

        def mixed(content: Tensor, rows: Tensor) -> Tensor:
            """Interpolate between (1, C) and (B, C), or with masks (B, K, C)."""
            alpha = style.strength.view(-1, *[1] * (rows.dim() - 1))
            return torch.lerp(content.expand_as(rows), rows, alpha)

        return replace(
            style,
            scales=tuple(map(mixed, whole.scales, style.scales)),
            shifts=tuple(map(mixed, whole.shifts, style.shifts)),
        )

    def finish(self, content: Tensor, output: Tensor, style: Style) -> Tensor:
        """Keep the content where no mask applies."""
        return output if style.masks is None else torch.lerp(content.float(), output.float(), style.masks.coverage)


class StylePredictor(nn.Module):
    """Small perceptron, in fp32: from VGG statistics of a style image to the scale and shift of every layer."""

    statistics_mean: Tensor
    statistics_std: Tensor

    def __init__(self, statistics: int, code: int, rows: int) -> None:
        """Build a predictor that predicts the identity: scale 1, shift 0.

        Args:
            statistics: Number of inputs: mean and std of every channel of the style layers.
            code: Width of the two hidden layers.
            rows: Number of outputs.
        """
        super().__init__()
        self.register_buffer("statistics_mean", torch.zeros(statistics))
        self.register_buffer("statistics_std", torch.ones(statistics))
        self.first = nn.Linear(statistics, code)
        self.second = nn.Linear(code, code)
        self.rows = nn.Linear(code, rows)
        nn.init.zeros_(self.rows.bias)
        self.rows.weight.data.mul_(0.1)

    def forward(self, statistics: list[Tensor]) -> Tensor:
        """Predict rows.

        Args:
            statistics: By layer, (B, 2·C): means, then stds.

        Returns:
            (B, rows), fp32.
        """
        # Relative to the layer's size, so that deep layers, whose numbers are large, do not dominate.
        sizes = [layer.square().mean(dim=1, keepdim=True).mul(2).sqrt() for layer in statistics]
        inputs = torch.cat([layer / size for layer, size in zip(statistics, sizes, strict=True)], dim=1)
        code = nn.functional.relu(self.first((inputs - self.statistics_mean) / self.statistics_std))
        return self.rows(nn.functional.relu(self.second(code))).float()  # type: ignore[no-any-return]


def _through(block: nn.Module, _content: Tensor, features: Tensor | None, style: Style) -> Tensor:
    return block(features, style)  # type: ignore[no-any-return]


def halved(content: Tensor, dtype: torch.dtype) -> Tensor:
    """Move 2 × 2 pixels to channels: (B, 3, H, W) → (B, 12, H/2, W/2), roughly of mean 0 and std 1."""
    return nn.functional.pixel_unshuffle(((content - PIXEL_MEAN) / PIXEL_STD).to(dtype), 2)


def logit(content: Tensor) -> Tensor:
    """Compute log(p / (1 − p)) of pixels in [0, 1]: any shape, fp32. Not every exporter supports ``torch.logit``."""
    pixels = content.float().clamp(DARKEST, 1 - DARKEST)
    return torch.log(pixels / (1 - pixels))
