"""The generator task: train a network for learned styles, with a frozen VGG as loss network (Johnson et al. 2016).

    L = w·content(x, c) + w·style(x, s) + w·tv(x)

The style loss compares with targets that are computed once from each style image, and is relative to them (see
``model_store.perceptual.style_loss``), so that each of N styles weighs the same.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.utils import make_grid

from model_store.checkpoint import NETWORKS, load
from model_store.checkpoint_metadata import CheckpointError, read_metadata
from model_store.generator import Generator
from model_store.perceptual import content_loss, style_loss, style_targets, total_variation
from model_store.pixels import from_bytes, to_tensor
from model_store.runtime import Runtime, to_runtime
from model_store.vgg import VGG, load_vgg
from train.data import Batch
from train.images import fit_longer_side, read_image
from train.loop import Task
from train.recipe import Recipe, SettingError

STYLE_PX = 384
"""Longer side at which the loss network sees style images; strokes are learned at this scale."""


@dataclass(frozen=True)
class Plan:
    """A network to train.

    Attributes:
        network: The network; parameters that are not trained are frozen already.
        name: Its name in ``NETWORKS``.
        arguments: Arguments that rebuild it.
        first_row: Row of its tables that belongs to the first style of this training.
    """

    network: Generator
    name: str
    arguments: dict[str, Any]
    first_row: int = 0


class GeneratorTask(Task):
    """Losses of a generator: content images and drawn styles in, the three terms out."""

    network: Generator

    def __init__(self, plan: Plan, loss_network: VGG, recipe: Recipe, styles: Sequence[Tensor]) -> None:
        """Train the plan's network.

        Args:
            plan: The network, and the arguments that rebuild it.
            loss_network: Computes all layers of the recipe's losses.
            recipe: Names the layers and weights of the losses.
            styles: The images of the styles to learn, (1, 3, H, W) in [0, 1] each, of any sizes.
        """
        self.network = plan.network
        self.name = plan.name
        self.arguments = plan.arguments
        self._first_row = plan.first_row
        self._loss_network = loss_network
        self._recipe = recipe
        self._styles = styles
        self._targets: dict[str, Tensor] = {}

    def to(self, device: torch.device) -> None:
        """Move the network and the loss network to the device, and compute the styles' targets."""
        for module in (self.network, self._loss_network):
            to_runtime(module, Runtime(device, torch.float32))
        targets = [self._style_targets(style.to(device)) for style in self._styles]
        self._targets = {
            layer: torch.cat([target[layer] for target in targets]) for layer in self._recipe.style_layers
        }  # (N, C, C) or (N, 2·C) each

    @torch.no_grad()
    def _style_targets(self, images: Tensor) -> dict[str, Tensor]:
        return style_targets(self._loss_network(images, self._recipe.style_layers), self._recipe.style_loss)

    def inputs(self, batch: Batch, device: torch.device) -> Sequence[Tensor]:
        """Move the content to the device; the draws stay on the host, where their numbers are needed."""
        return from_bytes(batch.content.to(device, non_blocking=True)), batch.style

    def losses(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Content loss, style loss and total variation: content (B, 3, H, W), draws (B, 2) → three scalars."""
        (content, style), recipe = inputs, self._recipe
        rows, columns = window(content.shape[2], content.shape[3], recipe.window, seed=style.tolist()[0][1])
        output = self._paint(content, style)[:, :, rows, columns]
        content = content[:, :, rows, columns]
        with torch.no_grad():
            wanted = self._loss_network(content, [recipe.content_layer])[recipe.content_layer]
        features = self._loss_network(output, {recipe.content_layer, *recipe.style_layers})
        found = style_targets({layer: features[layer] for layer in recipe.style_layers}, recipe.style_loss)
        targets = {layer: target[style[:, 0].to(target.device)] for layer, target in self._targets.items()}
        return {
            "content": content_loss(features[recipe.content_layer], wanted).mean(),
            "style": style_loss(found, targets).mean(),
            "tv": total_variation(output).mean(),
        }

    @torch.no_grad()
    def sample_images(self, *inputs: Tensor) -> Tensor:
        """Rows of content and output."""
        content, style = inputs
        rows = torch.cat([content, self._paint(content, style).float()])
        return make_grid(rows, nrow=len(content))  # type: ignore[no-any-return]

    def _paint(self, content: Tensor, style: Tensor) -> Tensor:
        learned = self.network.learned_styles(self._first_row + style[:, 0])
        return self.network.paint(content, replace(learned, seeds=tuple(seed for _, seed in style.tolist())))


def window(height: int, width: int, share: float, seed: int) -> tuple[slice, slice]:
    """Rows and columns of a part of an image, at a random place; of all of it where ``share`` is 1."""
    rng = random.Random(seed)
    sides = []
    for length in (height, width):
        side = round(share * length)
        start = rng.randrange(length - side + 1)
        sides.append(slice(start, start + side))
    return sides[0], sides[1]


def new_network(
    name: str, arguments: dict[str, Any], init: Path | None, seed: int, init_style: str | None = None
) -> Plan:
    """Build a generator with random weights, or with an exported checkpoint's.

    A checkpoint of as many styles gives its rows too; for another number, every row starts as the mean of its rows.

    Args:
        name: ``residual`` or ``pyramid``.
        arguments: Arguments of its class.
        init: The checkpoint.
        seed: Seed of the random weights.
        init_style: One of the checkpoint's styles: every row starts as its row.

    Raises:
        SettingError: No such network, or arguments that do not fit it.
        CheckpointError: The checkpoint cannot be used, or is of another network.
    """
    if name not in NETWORKS or not issubclass(NETWORKS[name], Generator):
        known = ", ".join(known for known, network in NETWORKS.items() if issubclass(network, Generator))
        raise SettingError(f"--network {name}: no network that learns its styles; known are {known}")
    torch.manual_seed(seed)
    try:
        network = NETWORKS[name](**arguments)
    except ValueError as err:
        raise SettingError(f"--norm {arguments['norm']}: {err}") from err
    assert isinstance(network, Generator)
    if init is not None:
        weights = load(init, type(network)).state_dict()
        try:
            network.load_state_dict(_with_tables_like(weights, network, init, init_style))
        except RuntimeError as err:
            raise CheckpointError(f"{init}: does not fit {name!r} of {arguments['norm']} norm: {err}") from err
    return Plan(network, name, arguments)


def _with_tables_like(
    weights: dict[str, Tensor], network: Generator, init: Path, init_style: str | None
) -> dict[str, Tensor]:
    """A checkpoint's weights, with its tables brought to the length of the network's."""
    tables = {name: tensor for name, tensor in network.state_dict().items() if _is_table(name)}
    row = None
    if init_style is not None:
        known = [style.id for style in read_metadata(init).styles]
        if init_style not in known:
            raise SettingError(f"--init-style {init_style}: {init} has {', '.join(known)}")
        row = known.index(init_style)

    def fitted(name: str, tensor: Tensor) -> Tensor:
        if name not in tables or (row is None and len(tensor) == len(tables[name])):
            return tensor
        return (tensor.mean(dim=0) if row is None else tensor[row]).expand_as(tables[name])

    return {name: fitted(name, tensor) for name, tensor in weights.items()}


def _is_table(name: str) -> bool:
    return name.endswith((".scale", ".shift"))


def with_new_row(path: Path) -> Plan:
    """Plan to train one more style of a conditional network, and nothing else.

    The convolutions are frozen, and the tables get a further row, at first the mean of the others (Dumoulin et al.
    2017, section 3.2). The other rows stay unchanged, because only the new one is drawn.

    Raises:
        CheckpointError: Not a usable checkpoint, or not one of a conditional generator.
    """
    metadata = read_metadata(path)
    trained = load(path, Generator)
    if trained.norm != "conditional":
        raise CheckpointError(f"{path}: of {metadata.norm} norm; only a conditional generator learns further styles")
    arguments = {**metadata.arguments, "styles": trained.styles + 1}
    network = NETWORKS[metadata.network](**arguments)
    assert isinstance(network, Generator)
    network.load_state_dict(
        {
            name: torch.cat([tensor, tensor.mean(dim=0, keepdim=True)]) if _is_table(name) else tensor
            for name, tensor in trained.state_dict().items()
        }
    )
    network.requires_grad_(False)
    for table in network.tables:
        table.requires_grad_(True)
    return Plan(network, metadata.network, arguments, first_row=trained.styles)


def loss_network(source: str | Path, recipe: Recipe) -> VGG:
    """Load the loss network: VGG up to the last layer that the recipe's losses need.

    Raises:
        WeightsError: The weights cannot be used, or end before that layer.
    """
    return load_vgg(source, max(recipe.content_layer, *recipe.style_layers))  # relu3_3 < relu4_1 as text, too


def style_images(paths: Sequence[Path]) -> list[Tensor]:
    """Read style images in the size that the loss network sees.

    Raises:
        DataError: One cannot be read.
    """
    return [to_tensor([fit_longer_side(read_image(path), STYLE_PX)]) for path in paths]
