"""Baselines of AdaIN's decoder (Huang & Belongie 2017, section 7.1) and their training task. None is served."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.utils import make_grid

from model_store.adain import FEATURE_SCALE, mirrored_decoder
from model_store.convolutions import UpsampledConv, padded_conv
from model_store.layers import BatchNorm, InstanceNorm, adaptive_instance_norm
from model_store.perceptual import CONTENT_LAYER, STYLE_LAYERS, content_loss, style_loss, style_targets
from model_store.runtime import Runtime, to_runtime
from model_store.statistics import instance_statistics
from model_store.style import Style
from model_store.vgg import VGG, WIDTH
from train.loop import Task

Join = Callable[[Tensor, Tensor], Tensor]
"""Content and style features, (B, 512, H/8, W/8) each → the decoder's input."""


def restyled(content: Tensor, style: Tensor) -> Tensor:
    """Apply AdaIN: the content's features get the style's statistics."""
    mean, std = instance_statistics(style)
    return adaptive_instance_norm(content, std.flatten(1), mean.flatten(1))


def concatenated(content: Tensor, style: Tensor) -> Tensor:
    """Concatenate both: 1024 channels."""
    return torch.cat([content, style], dim=1)


class OwnScaleAndShift(nn.Module):
    """A normalisation layer outside a generator: all images get the one row of its own table."""

    def __init__(self, norm: InstanceNorm) -> None:
        """Wrap the layer."""
        super().__init__()
        self.norm = norm

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (B, C, H, W) → (B, C, H, W)."""
        scale, shift = (table.expand(len(features), -1) for table in (self.norm.scale, self.norm.shift))
        return self.norm(features, Style((scale,), (shift,)))  # type: ignore[no-any-return]


def decoder_with(norm: type[InstanceNorm], architecture: str, width: int = WIDTH) -> nn.Sequential:
    """Build the mirrored decoder with a normalisation after each of its convolutions but the last."""
    *inner, last = mirrored_decoder(architecture, width)
    layers: list[nn.Module] = []
    for layer in inner:
        layers.append(layer)
        if not isinstance(layer, nn.ReLU):
            conv = layer.conv if isinstance(layer, UpsampledConv) else layer
            layers.append(OwnScaleAndShift(norm(0, conv.out_channels)))  # type: ignore[arg-type]
    return nn.Sequential(*layers, last)


def wide_decoder(architecture: str, width: int = WIDTH) -> nn.Sequential:
    """Build the mirrored decoder for concatenated features of content and style."""
    decoder = mirrored_decoder(architecture, width)
    first = padded_conv(16 * width, 4 * width)
    nn.init.kaiming_normal_(first.weight, nonlinearity="relu")
    nn.init.zeros_(first.bias)  # type: ignore[arg-type]
    decoder[0] = first
    return decoder


DECODERS: dict[str, tuple[Join, Callable[[str, int], nn.Sequential]]] = {
    "AdaIN, no norm": (restyled, mirrored_decoder),
    "AdaIN, instance norm": (restyled, partial(decoder_with, InstanceNorm)),
    "AdaIN, batch norm": (restyled, partial(decoder_with, BatchNorm)),
    "concatenation": (concatenated, wide_decoder),
}


class DecoderTask(Task):
    """Losses of AdaIN for any decoder and any way to join the features."""

    name = "decoder"

    def __init__(self, network: nn.Sequential, join: Join, vgg: VGG) -> None:
        """Train ``network``; ``vgg`` is encoder and loss network, and frozen."""
        self.network = network
        self.arguments: dict[str, Any] = {}
        self._join = join
        self._vgg = vgg

    def to(self, device: torch.device) -> None:
        """Move decoder and VGG to the device."""
        for module in (self.network, self._vgg):
            to_runtime(module, Runtime(device, torch.float32))

    def losses(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Compute content and style loss of the outputs: (B, 3, H, W) in [0, 1] each → two scalars."""
        content, style = inputs
        with torch.no_grad():
            content_features, style_features = (self._vgg(images, STYLE_LAYERS) for images in (content, style))
        output = self._decode(content_features[CONTENT_LAYER], style_features[CONTENT_LAYER])
        result = self._vgg(output, STYLE_LAYERS)
        return {
            "content": content_loss(result[CONTENT_LAYER], content_features[CONTENT_LAYER]).mean(),
            "style": style_loss(style_targets(result), style_targets(style_features)).mean(),
        }

    @torch.no_grad()
    def sample_images(self, *inputs: Tensor) -> Tensor:
        """Rows of content, style and output."""
        content, style = inputs
        rows = torch.cat([content, style, self.paint(content, style)])
        return make_grid(rows, nrow=len(content))  # type: ignore[no-any-return]

    @torch.no_grad()
    def paint(self, content: Tensor, style: Tensor) -> Tensor:
        """Stylize (B, 3, H, W) in [0, 1] each, sides multiples of 8 → the same, fp32."""
        output = self._decode(*(self._vgg(images)[CONTENT_LAYER] for images in (content, style)))
        return output.float().clamp(0, 1)

    def _decode(self, content: Tensor, style: Tensor) -> Tensor:
        return self.network(self._join(content, style) / FEATURE_SCALE)  # type: ignore[no-any-return]
