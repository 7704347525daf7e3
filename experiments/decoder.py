"""AdaIN's decoder with and without norm, and concatenation (Huang & Belongie 2017, arXiv 1703.06868, figure 6).

The paper's argument: norm layers in the decoder remove the style that AdaIN has applied, instance norm every image's,
batch norm the batch's. And a decoder of concatenated content and style features, instead of restyled ones, does not
separate the style image's subject from its style.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from experiments.decoders import DECODERS, DecoderTask
from experiments.plots import draw
from experiments.results import Findings, Row
from experiments.training import TOTAL, Curve, Schedule, curve_panels, curve_rows, held_out
from model_store.pixels import to_images, to_tensor
from model_store.vgg import load_vgg
from train.data import PairCrops
from train.images import centre_square, read_image
from train.sheet import captioned_grid
from train.tables import Pair


@dataclass(frozen=True)
class Inputs:
    """Images for training and evaluation.

    Attributes:
        content: Content images for training.
        style: Style images for training.
        pairs: Held-out pairs, of which squares of ``size_px`` are taken.
        photo: Content image of the image grid.
        painting: Style image of the image grid.
        vgg: Encoder and loss network, see ``load_vgg``.
        size_px: Side of the squares; a multiple of 8.
    """

    content: Sequence[Path]
    style: Sequence[Path]
    pairs: Sequence[Pair]
    photo: Path
    painting: Path
    vgg: str
    size_px: int


def run(inputs: Inputs, schedule: Schedule) -> Findings:
    """Train four decoders and evaluate them.

    Raises:
        DataError: An image cannot be read.
        WeightsError: The VGG's weights cannot be used.
    """

    def square(path: Path) -> Tensor:
        return to_tensor([centre_square(read_image(path), inputs.size_px)])

    pairs = [(square(pair.content), square(pair.style)) for pair in inputs.pairs]
    shown = (square(inputs.photo), square(inputs.painting))
    vgg = load_vgg(inputs.vgg)
    curves: list[Curve] = []
    rows: list[Row] = []
    cells: list[tuple[Image.Image, str]] = [(to_images(shown[0])[0], "photo"), (to_images(shown[1])[0], "style")]
    for label, (join, build) in DECODERS.items():
        torch.manual_seed(schedule.seed)
        task = DecoderTask(build("vgg19" if "conv3_4" in vgg.convs else "vgg16", vgg.width), join, vgg)
        crops = PairCrops(inputs.content, schedule.recipe, schedule.steps, schedule.seed, style=inputs.style)
        curve = schedule.train(label, task, crops)
        curves.append(curve)
        rows.append(decoder_row(curve, task, held_out(task, pairs, schedule)))
        output = task.paint(*(image.to(schedule.runtime.device) for image in shown))
        cells.append((to_images(output)[0], label))
    return Findings(
        name="decoder",
        title="The decoder: without norm, with each norm, and concatenation instead of AdaIN",
        settings=settings(inputs) | schedule.settings(),
        tables={"Losses on held-out pairs": rows},
        series={"curves": curve_rows(curves)},
        plots={"curves": draw(curve_panels(curves, ("content", "style", TOTAL)), columns=3)},
        images={"pictures": captioned_grid(cells, columns=3)},
    )


def settings(inputs: Inputs) -> Row:
    """Numbers and sizes of the images."""
    return {
        "photos": len(inputs.content),
        "paintings": len(inputs.style),
        "held_out_pairs": len(inputs.pairs),
        "held_out_px": inputs.size_px,
    }


def decoder_row(curve: Curve, task: DecoderTask, losses: dict[str, float]) -> Row:
    """Losses on held-out pairs, those at the end of the training, and its duration."""
    return {
        "decoder": curve.label,
        **losses,
        **{f"training_{name}": curve.end(name) for name in ("content", "style", TOTAL)},
        "parameters": sum(parameter.numel() for parameter in task.network.parameters()),
        "training_s": curve.seconds,
    }
