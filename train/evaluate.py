"""Evaluation: content and style loss of a network's outputs, computed by a VGG in fp32 that is called the evaluator.

The metric is the training's loss on whole images: ``content_loss`` on relu4_1 and ``style_loss`` on relu1_1 to
relu4_1, of images resized and cropped to a square. A system's figure is the median over the pairs. Dots and stripes of
the network's own upsampling change these little, so their amplitude is a third figure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from statistics import median

import torch
from PIL import Image
from rich.table import Table
from torch import Tensor

from model_store.network import AnyStyle, StyleNetwork
from model_store.perceptual import (
    CONTENT_LAYER,
    STYLE_LAYERS,
    content_loss,
    lattice_amplitude,
    style_loss,
    style_targets,
)
from model_store.pixels import to_images, to_tensor
from model_store.runtime import Runtime, to_runtime
from model_store.style import Style
from model_store.vgg import VGG
from train.data import DataError
from train.images import centre_square, read_image
from train.tables import Pair, Reference

Features = Mapping[str, Tensor]


@dataclass(frozen=True)
class Distances:
    """Content and style loss of an output; lower is closer."""

    content: float
    style: float


@dataclass(frozen=True)
class EvaluatedPair:
    """A pair with its output and its distances.

    Attributes:
        images: Content image, style image and output: (3, 3, H, W) in [0, 1].
        result: Distances of the output.
        untouched: Distances of the content image itself: where every system starts.
    """

    pair: Pair
    images: Tensor
    result: Distances
    untouched: Distances

    @property
    def lattices(self) -> tuple[float, float]:
        """Amplitude of upsampling patterns of the output, and of the content image itself."""
        content, _, output = lattice_amplitude(self.images).tolist()
        return output, content


@torch.inference_mode()
def evaluate_pairs(
    network: StyleNetwork, evaluator: VGG, pairs: Iterable[Pair], size_px: int, runtime: Runtime
) -> Iterator[EvaluatedPair]:
    """Paint each pair in the runtime's type and evaluate the output in fp32.

    Raises:
        DataError: An image cannot be read, or its style is one that the network has not learned.
    """
    network = to_runtime(deepcopy(network), runtime)
    evaluator = evaluator.to(runtime.device, torch.float32)
    for pair in pairs:
        content, style = (
            to_tensor([centre_square(read_image(path), size_px)], runtime.device) for path in (pair.content, pair.style)
        )
        output = network.paint(content, _style(network, pair, style)).float().clamp(0, 1)
        of_content, of_style, of_output = (evaluator(image, STYLE_LAYERS) for image in (content, style, output))
        result, untouched = (distances(features, of_content, of_style) for features in (of_output, of_content))
        yield EvaluatedPair(pair, torch.cat([content, style, output]).cpu(), result, untouched)


def _style(network: StyleNetwork, pair: Pair, image: Tensor) -> Style:
    if pair.row is not None:
        return network.stored_style(pair.row).with_seed(0)
    if not isinstance(network, AnyStyle):
        raise DataError(f"{pair.style}: this network paints in the styles that it has learned, and in no other")
    return network.encode_style(image)


def distances(result: Features, content: Features, style: Features) -> Distances:
    """Compute the distances of one output from features of ``STYLE_LAYERS``; the style image may have another size."""
    return Distances(
        content_loss(result[CONTENT_LAYER], content[CONTENT_LAYER]).item(),
        style_loss(style_targets(result), style_targets(style)).item(),
    )


def median_distances(evaluated: Sequence[Distances]) -> Distances:
    """Medians over all pairs."""
    return Distances(median(one.content for one in evaluated), median(one.style for one in evaluated))


def median_lattices(evaluated: Sequence[EvaluatedPair]) -> tuple[float, float]:
    """Medians of the upsampling patterns over all pairs: of the outputs, and of the content images."""
    outputs, contents = zip(*(one.lattices for one in evaluated), strict=True)
    return median(outputs), median(contents)


def distance_table(
    name: str, evaluated: Sequence[EvaluatedPair], references: Sequence[Reference], size_px: int
) -> Table:
    """Tabulate this run, the untouched content images, and the references."""
    table = Table(title=f"Median over {len(evaluated)} pairs at {size_px} px; lower is better")
    table.add_column("system")
    table.add_column("content", justify="right")
    table.add_column("style", justify="right")
    table.add_column("lattice ‰", justify="right")
    table.add_column("note")
    ours = median_distances([one.result for one in evaluated])
    untouched = median_distances([one.untouched for one in evaluated])
    rows = [
        Reference(name, ours.content, ours.style, "this run"),
        Reference("content image itself", untouched.content, untouched.style, "this run: the same pairs, nothing done"),
        *references,
    ]
    lattices = [f"{1000 * amplitude:.1f}" for amplitude in median_lattices(evaluated)]
    for row, lattice in zip_longest(rows, lattices):
        table.add_row(row.system, f"{row.content:.3f}", f"{row.style:.3f}", lattice, row.note)
    return table


def save_grid(evaluated: Sequence[EvaluatedPair], path: Path) -> None:
    """Save a grid: one row a pair, with content image, style image and output."""
    side = evaluated[0].images.shape[-1]
    grid = Image.new("RGB", (3 * side, len(evaluated) * side))
    for row, one in enumerate(evaluated):
        for column, image in enumerate(to_images(one.images)):
            grid.paste(image, (column * side, row * side))
    path.parent.mkdir(parents=True, exist_ok=True)
    grid.save(path, quality=90)
