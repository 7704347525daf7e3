"""Small data and weights for the tests of model_store and train."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from model_store.adain import AdaIN
from model_store.checkpoint import NETWORKS, save
from model_store.checkpoint_metadata import CheckpointMetadata, NamedStyle
from model_store.generator import Generator
from model_store.swift import Swift
from model_store.vgg import BLOCK_CONVS, block_channels, torchvision_keys

WIDTH = 8
"""Of VGG's first block, an eighth of the real one: a pass takes a fiftieth of the time."""


def images(folder: Path, count: int, seed: int, side_px: int = 64) -> Path:
    """Blotches of random colours, one PNG each."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for index in range(count):
        blotches = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        blotches.resize((side_px * 4 // 3, side_px), Image.Resampling.BICUBIC).save(folder / f"{index:02}.png")
    return folder


def vgg_file(path: Path, architecture: str = "vgg16", leave_out: str = "", width: int = WIDTH) -> Path:
    """Random weights up to conv4_1 under torchvision's names."""
    torch.manual_seed(7)
    tensors, channels = {}, 3
    for conv, key in torchvision_keys(architecture).items():
        out = block_channels(width)[int(conv[4]) - 1]
        weight = torch.empty(out, channels, 3, 3)
        torch.nn.init.kaiming_normal_(weight, nonlinearity="relu")
        tensors |= {f"{key}.weight": weight.half(), f"{key}.bias": torch.zeros(out).half()}
        channels = out
        if conv == "conv4_1":
            break
    assert sum(BLOCK_CONVS[architecture][:3]) + 1 == len(tensors) // 2
    save_file({key: tensor for key, tensor in tensors.items() if key != leave_out}, path)
    return path


ADAIN: dict[str, int] = {"vgg_width": WIDTH}


def adain(styles: int = 0, seed: int = 0, width: int = WIDTH) -> AdaIN:
    """Random, with features of a size that fp32 compares well, and pictures of strong contrast."""
    torch.manual_seed(seed)
    network = AdaIN(vgg_width=width, styles=styles).requires_grad_(False).eval()
    torch.nn.init.kaiming_normal_(network.decoder[-1].weight, nonlinearity="relu")
    network.decoder[-1].bias.zero_()
    for name, parameter in network.encoder.named_parameters():
        if name.endswith("weight"):
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    return network


SWIFT: dict[str, int] = {"width": 8, "half_width": 4, "blocks": 1, "code": 8, "vgg_width": WIDTH}


def swift(styles: int = 0, seed: int = 0, **sizes: int) -> Swift:
    """Random, with rows that differ and pictures that are not the content."""
    torch.manual_seed(seed)
    network = Swift(**{**SWIFT, **sizes}, styles=styles).requires_grad_(False).eval()
    for name, parameter in network.encoder.named_parameters():
        if name.endswith("weight"):
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    torch.nn.init.normal_(network.last.weight, std=0.2)
    network.predictor.rows.weight.normal_(std=0.3)
    network.content_row.normal_(std=0.3)
    network.style_rows.normal_(std=0.5)
    return network


LEARNED: dict[str, dict[str, object]] = {
    "residual": {"width": 4, "blocks": 1},
    "pyramid": {"channels": 2, "scales": 3},
}


def learned(network: str = "residual", norm: str = "conditional", styles: int = 2, seed: int = 0) -> Generator:
    """Random, with styles that differ."""
    torch.manual_seed(seed)
    generator = NETWORKS[network](norm=norm, styles=styles, **LEARNED[network]).requires_grad_(False).eval()
    assert isinstance(generator, Generator)
    for layer in generator.tables:
        layer.scale.uniform_(0.5, 1.5)
        layer.shift.normal_()
    return generator


def add_painting(folder: Path, picture: Image.Image, *style_ids: str, origin: str = "A museum") -> Path:
    """Give styles of a folder of checkpoints their painting, and nothing to the others."""
    (folder / "paintings").mkdir(exist_ok=True)
    path = folder / "paintings" / f"{style_ids[0]}.webp"
    picture.save(path, "WEBP", quality=90)
    rows = [f'{style_id},{path.name},"{origin}"\n' for style_id in style_ids]
    (folder / "paintings" / "paintings.csv").write_text("".join(["style,file,origin\n", *rows]))
    return path


def learned_checkpoint(
    path: Path, *style_ids: str, network: str = "residual", norm: str = "conditional", seed: int = 0
) -> Path:
    """A checkpoint of such a network, whose styles have these ids."""
    generator = learned(network, norm, len(style_ids), seed)
    arguments = {"norm": norm, "styles": len(style_ids), **LEARNED[network]}
    styles = tuple(NamedStyle(id=name, title=name.title(), artist="", year=None, rights="") for name in style_ids)
    save(generator, path, CheckpointMetadata(network=network, arguments=arguments, styles=styles, licence="Apache-2.0"))
    return path
