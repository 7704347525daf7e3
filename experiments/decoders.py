"""The baselines of AdaIN's decoder (Huang & Belongie 2017, section 7.1), and how to train them. None is ever served."""

from collections.abc import Callable
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
from model_store.vgg import BLOCK_CHANNELS, VGG
from train.loop import Task

Join = Callable[[Tensor, Tensor], Tensor]
"""Content and style features, (B, 512, H/8, W/8) each → what the decoder gets."""


def restyled(content: Tensor, style: Tensor) -> Tensor:
    """AdaIN: the content's features with the style's statistics."""
    mean, std = instance_statistics(style)
    return adaptive_instance_norm(content, std.flatten(1), mean.flatten(1))


def concatenated(content: Tensor, style: Tensor) -> Tensor:
    """Both, side by side: 1024 channels."""
    return torch.cat([content, style], dim=1)


class OwnScaleAndShift(nn.Module):
    """A normalisation layer outside a generator: all images get the one row of its own table."""

    def __init__(self, norm: InstanceNorm) -> None:
        """Wrap the layer."""
        super().__init__()
        self.norm = norm

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        scale, shift = (table.expand(len(features), -1) for table in (self.norm.scale, self.norm.shift))
        return self.norm(features, Style((scale,), (shift,)))  # type: ignore[no-any-return]


def decoder_with(norm: type[InstanceNorm], architecture: str) -> nn.Sequential:
    """The mirrored decoder with a normalisation after each of its convolutions but the last."""
    *inner, last = mirrored_decoder(architecture)
    layers: list[nn.Module] = []
    for layer in inner:
        layers.append(layer)
        if not isinstance(layer, nn.ReLU):
            conv = layer.conv if isinstance(layer, UpsampledConv) else layer
            layers.append(OwnScaleAndShift(norm(0, conv.out_channels)))  # type: ignore[arg-type]
    return nn.Sequential(*layers, last)


def wide_decoder(architecture: str) -> nn.Sequential:
    """The mirrored decoder for features of content and style side by side."""
    decoder = mirrored_decoder(architecture)
    first = padded_conv(2 * BLOCK_CHANNELS[3], BLOCK_CHANNELS[2])
    nn.init.kaiming_normal_(first.weight, nonlinearity="relu")
    nn.init.zeros_(first.bias)  # type: ignore[arg-type]
    decoder[0] = first
    return decoder


DECODERS: dict[str, tuple[Join, Callable[[str], nn.Sequential]]] = {
    "AdaIN, no norm": (restyled, mirrored_decoder),
    "AdaIN, instance norm": (restyled, lambda architecture: decoder_with(InstanceNorm, architecture)),
    "AdaIN, batch norm": (restyled, lambda architecture: decoder_with(BatchNorm, architecture)),
    "concatenation": (concatenated, wide_decoder),
}


class DecoderTask(Task):
    """As ``AdaINTask``, for any decoder and any way to join the features."""

    name = "decoder"

    def __init__(self, network: nn.Sequential, join: Join, vgg: VGG) -> None:
        """``vgg`` encodes and judges, and stays as it is."""
        self.network = network
        self.arguments: dict[str, Any] = {}
        self._join = join
        self._vgg = vgg

    def to(self, device: torch.device) -> None:
        """Put decoder and VGG where they are used."""
        for module in (self.network, self._vgg):
            to_runtime(module, Runtime(device, torch.float32))

    def losses(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Content and style distance of the painted batch: (B, 3, H, W) in [0, 1] each → two scalars."""
        content, style = inputs
        with torch.no_grad():
            content_features, style_features = (self._vgg(images, STYLE_LAYERS) for images in (content, style))
        painted = self._decode(content_features[CONTENT_LAYER], style_features[CONTENT_LAYER])
        result = self._vgg(painted, STYLE_LAYERS)
        return {
            "content": content_loss(result[CONTENT_LAYER], content_features[CONTENT_LAYER]).mean(),
            "style": style_loss(style_targets(result), style_targets(style_features)).mean(),
        }

    @torch.no_grad()
    def sample_images(self, *inputs: Tensor) -> Tensor:
        """Rows of content, style, result."""
        content, style = inputs
        rows = torch.cat([content, style, self.paint(content, style)])
        return make_grid(rows, nrow=len(content))  # type: ignore[no-any-return]

    @torch.no_grad()
    def paint(self, content: Tensor, style: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] each, sides multiples of 8 → the same, fp32."""
        painted = self._decode(*(self._vgg(images)[CONTENT_LAYER] for images in (content, style)))
        return painted.float().clamp(0, 1)

    def _decode(self, content: Tensor, style: Tensor) -> Tensor:
        return self.network(self._join(content, style) / FEATURE_SCALE)  # type: ignore[no-any-return]
