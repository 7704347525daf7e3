"""How far painted pictures are from their content and from their style, as a judge network in fp32 sees them.

The metric is the training's loss on whole pictures: ``content_distance`` on relu4_1 and ``style_distance`` on relu1_1
to relu4_1, of pictures resized and cropped to a square. A system's figure is the median over the pairs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from PIL import Image
from rich.table import Table
from torch import Tensor

from model_store.network import AnyStyle, StyleNetwork
from model_store.perceptual import CONTENT_LAYER, STYLE_LAYERS, content_distance, style_distance, style_summary
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
    """Of a result to its content and its style; lower is closer."""

    content: float
    style: float


@dataclass(frozen=True)
class JudgedPair:
    """A pair, painted and judged.

    Attributes:
        pictures: Content, style and result: (3, 3, H, W) in [0, 1].
        result: Distances of the painted picture.
        untouched: Distances of the content image itself: where every system starts.
    """

    pair: Pair
    pictures: Tensor
    result: Distances
    untouched: Distances


@torch.inference_mode()
def judge_pairs(
    network: StyleNetwork, judge: VGG, pairs: Iterable[Pair], size_px: int, runtime: Runtime
) -> Iterator[JudgedPair]:
    """Paint each pair in the runtime's type and judge it in fp32.

    Raises:
        DataError: A picture cannot be read, or is in a style that the network has not learned.
    """
    network = to_runtime(deepcopy(network), runtime)
    judge = judge.to(runtime.device, torch.float32)
    for pair in pairs:
        content, style = (
            to_tensor([centre_square(read_image(path), size_px)], runtime.device) for path in (pair.content, pair.style)
        )
        painted = network.paint(content, _style(network, pair, style)).float().clamp(0, 1)
        seen, style_seen, painted_seen = (judge(picture, STYLE_LAYERS) for picture in (content, style, painted))
        pictures = torch.cat([content, style, painted]).cpu()
        yield JudgedPair(pair, pictures, distances(painted_seen, seen, style_seen), distances(seen, seen, style_seen))


def _style(network: StyleNetwork, pair: Pair, picture: Tensor) -> Style:
    if pair.row is not None:
        return network.stored_style(pair.row).with_seed(0)
    if not isinstance(network, AnyStyle):
        raise DataError(f"{pair.style}: this network paints the styles that it has learned, and no other")
    return network.encode_style(picture)


def distances(result: Features, content: Features, style: Features) -> Distances:
    """Of one picture, from a judge's features of ``STYLE_LAYERS``; the style's may come from another size."""
    return Distances(
        content_distance(result[CONTENT_LAYER], content[CONTENT_LAYER]).item(),
        style_distance(style_summary(result), style_summary(style)).item(),
    )


def median_distances(judged: Sequence[Distances]) -> Distances:
    """Median of each over all pairs."""
    return Distances(median(one.content for one in judged), median(one.style for one in judged))


def distance_table(name: str, judged: Sequence[JudgedPair], references: Sequence[Reference], size_px: int) -> Table:
    """Our row and the untouched content's, next to the references'."""
    table = Table(title=f"Median over {len(judged)} pairs at {size_px} px; lower is better")
    table.add_column("system")
    table.add_column("content", justify="right")
    table.add_column("style", justify="right")
    table.add_column("note")
    ours = median_distances([one.result for one in judged])
    untouched = median_distances([one.untouched for one in judged])
    rows = [
        Reference(name, ours.content, ours.style, "this run"),
        Reference("content image itself", untouched.content, untouched.style, "this run: the same pairs, nothing done"),
        *references,
    ]
    for row in rows:
        table.add_row(row.system, f"{row.content:.3f}", f"{row.style:.3f}", row.note)
    return table


def save_grid(judged: Sequence[JudgedPair], path: Path) -> None:
    """One row a pair: content, style, result."""
    side = judged[0].pictures.shape[-1]
    grid = Image.new("RGB", (3 * side, len(judged) * side))
    for row, one in enumerate(judged):
        for column, picture in enumerate(to_images(one.pictures)):
            grid.paste(picture, (column * side, row * side))
    path.parent.mkdir(parents=True, exist_ok=True)
    grid.save(path, quality=90)
