"""The baseline: AdaIN as its reference implementations compute it, in plain torch.

Eager fp32, contiguous NCHW, one ``nn.Sequential`` for the encoder and one for the decoder, ``ReflectionPad2d`` before
every convolution, content and style both encoded on every call. The weights are those of our checkpoint, so that both
must give the same output.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from model_store import checkpoint
from model_store.adain import FEATURE_SCALE, AdaIN
from model_store.vgg import BLOCK_CONVS, block_channels


class ReferencePainter:
    """AdaIN that encodes every style image on every call."""

    def __init__(self, path: Path, device: str) -> None:
        """Load the weights of a checkpoint."""
        network = checkpoint.load(path, AdaIN)
        self.device = torch.device(device)
        self._encoder, self._decoder = reference_networks(network)
        self._encoder.to(self.device)
        self._decoder.to(self.device)

    @torch.no_grad()
    def paint(self, contents: Sequence[Image.Image], styles: Sequence[Image.Image]) -> list[Image.Image]:
        """Stylize a batch of one size, one style image per content image; returns when the pixels are on the host."""
        content = self._encoder(_to_tensor(contents).to(self.device))
        style = self._encoder(_to_tensor(styles).to(self.device))
        return _to_images(self._decoder(_adaptive_instance_norm(content, style)).cpu())


def reference_networks(network: AdaIN) -> tuple[nn.Sequential, nn.Sequential]:
    """Build encoder to relu4_1 and decoder, with the weights of our network."""
    architecture = next(name for name, convs in BLOCK_CONVS.items() if sum(convs[:3]) + 1 == len(network.encoder.convs))
    encoder, decoder = _encoder(architecture, network.encoder.width), _decoder(architecture, network.encoder.width)
    # The first layer is the 1×1 convolution that normalises the input, as the reference's converted VGG has it.
    normalise, *convs = _convs(encoder)
    std, mean = network.encoder.std.flatten(), network.encoder.mean.flatten()
    normalise.weight.data = torch.diag(1 / std).view(3, 3, 1, 1)
    normalise.bias.data = -mean / std  # type: ignore[union-attr]
    _copy(network.encoder.modules(), convs)
    _copy(network.decoder.modules(), _convs(decoder))
    _convs(decoder)[0].weight.data /= FEATURE_SCALE  # the reference has it in VGG's weights
    return encoder.eval(), decoder.eval()


def _encoder(architecture: str, width: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 1)]
    in_channels = 3
    for block, channels in enumerate(block_channels(width)[:4]):
        if block > 0:
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
        for _ in range(BLOCK_CONVS[architecture][block] if block < 3 else 1):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(in_channels, channels, 3), nn.ReLU()]
            in_channels = channels
    return nn.Sequential(*layers)


def _decoder(architecture: str, width: int) -> nn.Sequential:
    """Build the encoder backwards; nearest upsampling in place of pooling; no ReLU at the end."""
    first, second, third, fourth = block_channels(width)[:4]
    middle = [third] * (BLOCK_CONVS[architecture][2] - 1)
    stages = ((fourth, third), (third, *middle, second), (second, second, first), (first, first, 3))
    layers: list[nn.Module] = []
    for stage, channels in enumerate(stages):
        if stage > 0:
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        for in_channels, out_channels in pairwise(channels):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(in_channels, out_channels, 3), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _convs(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def _copy(modules: Iterable[nn.Module], convs: Sequence[nn.Conv2d]) -> None:
    ours = [module for module in modules if isinstance(module, nn.Conv2d)]
    for source, target in zip(ours, convs, strict=True):
        target.load_state_dict(source.state_dict())


def _mean_std(features: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    batch, channels = features.shape[:2]
    std = (features.view(batch, channels, -1).var(dim=2) + eps).sqrt().view(batch, channels, 1, 1)
    mean = features.view(batch, channels, -1).mean(dim=2).view(batch, channels, 1, 1)
    return mean, std


def _adaptive_instance_norm(content: Tensor, style: Tensor) -> Tensor:
    size = content.shape
    style_mean, style_std = _mean_std(style)
    content_mean, content_std = _mean_std(content)
    normalised = (content - content_mean.expand(size)) / content_std.expand(size)
    return normalised * style_std.expand(size) + style_mean.expand(size)


def _to_tensor(images: Sequence[Image.Image]) -> Tensor:
    """Convert to (B, 3, H, W) in [0, 1], contiguous."""
    tensors = [torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float() / 255 for image in images]
    return torch.stack(tensors)


def _to_images(images: Tensor) -> list[Image.Image]:
    pixels = images.mul(255).add_(0.5).clamp_(0, 255).permute(0, 2, 3, 1).to(torch.uint8)
    return [Image.fromarray(np.ascontiguousarray(image)) for image in pixels.numpy()]
