"""The generator task: train a network to paint learned styles, with a frozen VGG as judge (Johnson et al. 2016).

    L = w·content(x, c) + w·style(x, s) + w·tv(x)

The style loss compares with what was computed once from each style image. It is relative to that (see
``model_store.perceptual.style_distance``), so that each of N styles weighs the same.
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
from model_store.perceptual import content_distance, style_distance, style_summary, total_variation
from model_store.pixels import from_bytes, to_tensor
from model_store.runtime import Runtime, to_runtime
from model_store.vgg import VGG, load_vgg
from train.data import Batch
from train.images import fit_longer_side, read_image
from train.loop import Task
from train.recipe import Recipe, SettingError

STYLE_PX = 384
"""Longer side at which style images are shown to the judge; strokes are learned at this scale."""


@dataclass(frozen=True)
class Plan:
    """A network to train.

    Attributes:
        network: What shall not learn is frozen already.
        name: Its name in ``NETWORKS``.
        arguments: Rebuild it.
        first_row: Of its tables: the row of the first style that is learned.
    """

    network: Generator
    name: str
    arguments: dict[str, Any]
    first_row: int = 0


class GeneratorTask(Task):
    """Photos and drawn styles in, the three terms of the loss out."""

    network: Generator

    def __init__(self, plan: Plan, judge: VGG, recipe: Recipe, styles: Sequence[Tensor]) -> None:
        """Train the plan's network.

        Args:
            plan: The network, and how to build it again.
            judge: Computes all layers of the recipe's losses.
            recipe: Says where the losses look.
            styles: The images of the styles to learn, (1, 3, H, W) in [0, 1] each, of any sizes.
        """
        self.network = plan.network
        self.name = plan.name
        self.arguments = plan.arguments
        self._first_row = plan.first_row
        self._judge = judge
        self._recipe = recipe
        self._styles = styles
        self._targets: dict[str, Tensor] = {}

    def to(self, device: torch.device) -> None:
        """Put network and judge where they are used, and judge the styles."""
        for module in (self.network, self._judge):
            to_runtime(module, Runtime(device, torch.float32))
        summaries = [self._summary(style.to(device)) for style in self._styles]
        self._targets = {
            layer: torch.cat([summary[layer] for summary in summaries]) for layer in self._recipe.style_layers
        }  # (N, C, C) or (N, 2·C) each

    @torch.no_grad()
    def _summary(self, images: Tensor) -> dict[str, Tensor]:
        return style_summary(self._judge(images, self._recipe.style_layers), self._recipe.style_loss)

    def inputs(self, batch: Batch, device: torch.device) -> Sequence[Tensor]:
        """Content on the device; the draws stay on the host, where their numbers are needed."""
        return from_bytes(batch.content.to(device, non_blocking=True)), batch.style

    def losses(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Content, style and smoothness of the painted batch: photos (B, 3, H, W), draws (B, 2) → three scalars."""
        (content, style), recipe = inputs, self._recipe
        rows, columns = window(content.shape[2], content.shape[3], recipe.window, seed=style.tolist()[0][1])
        painted = self._paint(content, style)[:, :, rows, columns]
        content = content[:, :, rows, columns]
        with torch.no_grad():
            wanted = self._judge(content, [recipe.content_layer])[recipe.content_layer]
        seen = self._judge(painted, {recipe.content_layer, *recipe.style_layers})
        summary = style_summary({layer: seen[layer] for layer in recipe.style_layers}, recipe.style_loss)
        targets = {layer: target[style[:, 0].to(target.device)] for layer, target in self._targets.items()}
        return {
            "content": content_distance(seen[recipe.content_layer], wanted).mean(),
            "style": style_distance(summary, targets).mean(),
            "tv": total_variation(painted).mean(),
        }

    @torch.no_grad()
    def pictures(self, *inputs: Tensor) -> Tensor:
        """Rows of content and result."""
        content, style = inputs
        rows = torch.cat([content, self._paint(content, style).float()])
        return make_grid(rows, nrow=len(content))  # type: ignore[no-any-return]

    def _paint(self, content: Tensor, style: Tensor) -> Tensor:
        learned = self.network.learned_styles(self._first_row + style[:, 0])
        return self.network.paint(content, replace(learned, seeds=tuple(seed for _, seed in style.tolist())))


def window(height: int, width: int, share: float, seed: int) -> tuple[slice, slice]:
    """Rows and columns of a part of a picture, at a random place; of all of it where ``share`` is 1."""
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
    """A generator at random, or with an exported checkpoint's convolutions.

    A checkpoint of as many styles gives its rows too; for another number, every row starts as the mean of its rows.

    Args:
        name: ``residual`` or ``pyramid``.
        arguments: Of its class.
        init: The checkpoint.
        seed: Of the random weights.
        init_style: One of its styles, as which every row shall start.

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
    """A checkpoint's weights, its tables as long as the network's."""
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
    """A conditional network that can learn one more style, and nothing else.

    Its convolutions are frozen, and its tables have a further row, at first the mean of the others (Dumoulin et al.
    2017, section 3.2). The rows that it has stay as they are, because only the new one is drawn.

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
    """The judge: VGG up to the last layer that the recipe's losses need.

    Raises:
        WeightsError: The weights cannot be used, or end before that layer.
    """
    return load_vgg(source, max(recipe.content_layer, *recipe.style_layers))  # relu3_3 < relu4_1 as text, too


def style_images(paths: Sequence[Path]) -> list[Tensor]:
    """Style images as the judge sees them.

    Raises:
        DataError: One cannot be read.
    """
    return [to_tensor([fit_longer_side(read_image(path), STYLE_PX)]) for path in paths]
