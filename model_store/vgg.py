"""VGG features by their papers' names: ``relu4_1`` of VGG-16 or VGG-19 (Simonyan & Zisserman 2014, arXiv 1409.1556).

A VGG owns the normalisation of its input, so callers give RGB in [0, 1] whatever convention the weights were trained
with. Convolutions pad by reflection (as in AdaIN's reference code), so that features have no border bands.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from model_store.convolutions import padded_conv

WIDTH = 64
"""Channels of the first block, in the paper."""

Pooling = Literal["max", "average"]
POOLINGS: dict[Pooling, type[nn.Module]] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}
BLOCK_CONVS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


@dataclass(frozen=True)
class InputConvention:
    """Normalisation of the input that weights expect: (RGB in [0, 1] − mean) / std."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = InputConvention((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CAFFE = InputConvention((0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255))

WEIGHTS = {
    # name: (architecture, torchvision's weights, their input convention)
    "vgg16": ("vgg16", "IMAGENET1K_V1", IMAGENET),
    "vgg16-features": ("vgg16", "IMAGENET1K_FEATURES", CAFFE),
    "vgg19": ("vgg19", "IMAGENET1K_V1", IMAGENET),
}


class WeightsError(Exception):
    """VGG weights that cannot be used: names the file and what is wrong with it."""


class VGG(nn.Module):
    """The convolutions of VGG up to one layer, with average or max pooling between the blocks."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        architecture: str = "vgg16",
        until: str = "relu4_1",
        convention: InputConvention = IMAGENET,
        pooling: Pooling = "max",
        width: int = WIDTH,
    ) -> None:
        """Build the network without weights.

        Args:
            architecture: ``vgg16`` or ``vgg19``.
            until: The last layer to compute, such as ``relu4_1``.
            convention: Input convention of the weights that will be loaded.
            pooling: Between the blocks: ``max``, as the weights were trained, or ``average``, which Gatys et al. (2016,
                section 2) prefer for optimisation.
            width: Channels of the first block; see ``block_channels``.
        """
        super().__init__()
        self.width = width
        self.pool = POOLINGS[pooling](2)
        self.register_buffer("mean", torch.tensor(convention.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(convention.std).view(1, 3, 1, 1), persistent=False)
        self.layers = layer_names(architecture, until)
        self.convs = nn.ModuleDict()
        in_channels = 3
        for layer in self.layers:
            out_channels = block_channels(width)[int(layer[4]) - 1]
            self.convs[conv_name(layer)] = padded_conv(in_channels, out_channels)
            in_channels = out_channels

    @property
    def stride(self) -> int:
        """Factor between the image and the grid of the last layer."""
        return 1 << (int(self.layers[-1][4]) - 1)

    def forward(self, images: Tensor, layers: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Compute the features of the named layers.

        Args:
            images: (B, 3, H, W), RGB in [0, 1].
            layers: Names such as ``("relu1_1", "relu4_1")``; by default the last one.

        Returns:
            By layer name, (B, C, H / 2ᵇ, W / 2ᵇ) with b the number of poolings before it.
        """
        wanted = set(layers) if layers is not None else {self.layers[-1]}
        features: dict[str, Tensor] = {}
        x = (images - self.mean) / self.std
        x = x.to(self.convs["conv1_1"].weight.dtype)  # type: ignore[arg-type]
        for layer in self.layers:
            if layer.endswith("_1") and layer != "relu1_1":
                x = self.pool(x)  # (B, C, H/2, W/2)
            x = nn.functional.relu_(self.convs[conv_name(layer)](x))
            if layer in wanted:
                features[layer] = x
        return features


def block_channels(width: int = WIDTH) -> tuple[int, ...]:
    """Channels of each block: 64, 128, 256, 512 and 512 in the paper, in proportion for another ``width``."""
    return (width, 2 * width, 4 * width, 8 * width, 8 * width)


def layer_names(architecture: str, until: str) -> tuple[str, ...]:
    """List ``relu1_1``, ``relu1_2``, … up to ``until``.

    Raises:
        ValueError: Unknown architecture or layer; names the known ones.
    """
    if architecture not in BLOCK_CONVS:
        raise ValueError(f"unknown architecture {architecture!r}: known are {', '.join(BLOCK_CONVS)}")
    names = tuple(
        f"relu{block}_{conv}"
        for block, convs in enumerate(BLOCK_CONVS[architecture], 1)
        for conv in range(1, convs + 1)
    )
    if until not in names:
        raise ValueError(f"{architecture} has no layer {until!r}: known are {', '.join(names)}")
    return names[: names.index(until) + 1]


def conv_name(layer: str) -> str:
    """Return the convolution of a layer: ``relu4_1`` → ``conv4_1``."""
    return layer.replace("relu", "conv")


def torchvision_keys(architecture: str) -> dict[str, str]:
    """Map ``conv1_1`` → ``features.0``, its name in torchvision's ``Sequential`` of convolution, ReLU and pooling."""
    keys, index = {}, 0
    for block, convs in enumerate(BLOCK_CONVS[architecture], 1):
        for conv in range(1, convs + 1):
            keys[f"conv{block}_{conv}"] = f"features.{index}"
            index += 2
        index += 1
    return keys


def load_vgg(source: str | Path, until: str = "relu4_1", pooling: Pooling = "max") -> VGG:
    """Load a frozen VGG with weights.

    Args:
        source: A name of ``WEIGHTS`` (fetched by torchvision, cached in its folder), or a ``.safetensors`` file with
            torchvision's names (``features.0.weight`` …) for VGG-16 or VGG-19 weights of the ImageNet input convention;
            a narrower network than the paper's is known by its first convolution.
        until: The last layer to compute.
        pooling: As for ``VGG``.

    Raises:
        WeightsError: No such name or file, or the file lacks a tensor of the network; names it.
    """
    if str(source) in WEIGHTS:
        architecture, weights_name, convention = WEIGHTS[str(source)]
        tensors = _from_torchvision(architecture, weights_name)
    else:
        tensors, convention = _from_file(Path(source)), IMAGENET
        # Only VGG-19 has a fourth convolution in block 3, which moves conv4_1, where channels double, from features.17
        # to features.19.
        doubling = tensors.get("features.19.weight", torch.empty(1, 1)).shape
        architecture = "vgg19" if doubling[0] == 2 * doubling[1] else "vgg16"
    width = len(tensors.get("features.0.bias", torch.empty(WIDTH)))
    vgg = VGG(architecture, until, convention, pooling, width)
    keys = torchvision_keys(architecture)
    state = {}
    for name, parameter in vgg.convs.state_dict().items():
        conv, _, kind = name.partition(".")
        key = f"{keys[conv]}.{kind}"
        if key not in tensors:
            raise WeightsError(
                f"{source}: {architecture} up to {until} needs the tensor {key} ({conv}), which is missing"
            )
        if tensors[key].shape != parameter.shape:
            raise WeightsError(
                f"{source}: {key} has shape {tuple(tensors[key].shape)}, {conv} needs {tuple(parameter.shape)}"
            )
        state[name] = tensors[key].float()
    vgg.convs.load_state_dict(state)
    return vgg.requires_grad_(False).eval()


def _from_torchvision(architecture: str, weights_name: str) -> dict[str, Tensor]:
    from torchvision import models  # heavy, and needed by this branch only

    weights = models.get_model_weights(architecture)[weights_name]
    try:
        return cast(dict[str, Tensor], weights.get_state_dict(progress=True, check_hash=True))
    except OSError as err:
        raise WeightsError(
            f"could not fetch {weights.url}: {err}; download it elsewhere or give a file's path"
        ) from err


def _from_file(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"{path}: no such file, and no known weights: give a path or one of {', '.join(WEIGHTS)}")
    try:
        return load_file(path)
    except SafetensorError as err:
        raise WeightsError(f"{path}: not a safetensors file ({err})") from err
