"""Batch norm against instance norm, in both generators (Ulyanov et al. 2016, arXiv 1607.08022, figures 2 and 5).

Four networks learn one style from the same crops, the same first weights and the same draws; only the norm differs.
Then each stylizes held-out content images at several contrasts: the output's contrast should not depend on theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from PIL import Image
from torch import Tensor

from experiments.plots import Line, Panel, draw
from experiments.results import Findings, Row
from experiments.training import TOTAL, Curve, Schedule, curve_panels, curve_rows, held_out
from model_store.pixels import to_images, to_tensor
from model_store.vgg import VGG
from train.data import StyleDraws
from train.generator import GeneratorTask, loss_network, new_network, style_images
from train.images import centre_square, fit_longer_side, read_image
from train.sheet import captioned_grid

VARIANTS = (("pyramid", "batch"), ("pyramid", "instance"), ("residual", "batch"), ("residual", "instance"))
CONTRASTS = (0.4, 0.7, 1.0, 1.5)
GRID_PX = 256


@dataclass(frozen=True)
class Inputs:
    """Images for training and evaluation.

    Attributes:
        content: Content images for training.
        style: The one style image.
        held_out: Content images for evaluation, of which squares of ``size_px`` are taken.
        photo: Content image of the image grid.
        vgg: The loss network, see ``load_vgg``.
        size_px: Side of the squares; a multiple of 32.
    """

    content: Sequence[Path]
    style: Path
    held_out: Sequence[Path]
    photo: Path
    vgg: str
    size_px: int


@dataclass(frozen=True)
class Variant:
    """A trained network and its learning curve."""

    label: str
    task: GeneratorTask
    curve: Curve

    def paint(self, photo: Tensor, seed: int) -> Tensor:
        """Stylize (1, 3, H, W) in [0, 1] → the same, in evaluation mode; ``seed`` is that of the pyramid's noise."""
        network = self.task.network.eval()
        with torch.no_grad():
            return network.paint(photo, network.stored_style(0).with_seed(seed)).float()


def run(inputs: Inputs, schedule: Schedule) -> Findings:
    """Train four networks and evaluate them.

    Raises:
        DataError: An image cannot be read.
        WeightsError: The loss network's weights cannot be used.
    """
    photos = [to_tensor([centre_square(read_image(path), inputs.size_px)]) for path in inputs.held_out]
    shown = read_image(inputs.photo)
    vgg = loss_network(inputs.vgg, schedule.recipe)
    styles = style_images([inputs.style])
    variants = [train_variant(network, norm, inputs, schedule, vgg, styles) for network, norm in VARIANTS]
    contrasts = [row for variant in variants for row in contrast_rows(variant, photos, schedule)]
    curves = [variant.curve for variant in variants]
    return Findings(
        name="batch-vs-instance",
        title="Batch norm and instance norm in both generators",
        settings={
            "style_image": inputs.style.stem,
            "photos": len(inputs.content),
            "held_out_photos": len(photos),
            "held_out_px": inputs.size_px,
            **schedule.settings(),
        },
        tables={
            "Losses on held-out photos": [final_row(variant, contrasts) for variant in variants],
            "Contrast of the photo changed": [*photo_rows(photos), *contrasts],
        },
        series={"curves": curve_rows(curves)},
        plots={
            "curves": draw(curve_panels(curves, ("content", "style", TOTAL)), columns=3),
            "contrast": draw(contrast_panels(contrasts), columns=2),
        },
        images={"pictures": image_grid(variants, fit_longer_side(shown, GRID_PX), schedule)},
    )


def train_variant(
    network: str, norm: str, inputs: Inputs, schedule: Schedule, vgg: VGG, styles: Sequence[Tensor]
) -> Variant:
    """Train one of the four networks."""
    label = f"{network}, {norm} norm"
    plan = new_network(network, {"norm": norm, "styles": 1}, None, schedule.seed)
    task = GeneratorTask(plan, vgg, schedule.recipe, styles)
    crops = StyleDraws(inputs.content, schedule.recipe, schedule.steps, schedule.seed)
    return Variant(label, task, schedule.train(label, task, crops))


def contrast_rows(variant: Variant, photos: Sequence[Tensor], schedule: Schedule) -> list[Row]:
    """Losses at every contrast, and the change of the output compared to that of the unchanged content image."""
    device, seed = schedule.runtime.device, schedule.seed
    unchanged = [variant.paint(photo.to(device), seed) for photo in photos]
    draws = torch.tensor([[0, seed]])
    rows: list[Row] = []
    for contrast in CONTRASTS:
        changed = [with_contrast(photo, contrast) for photo in photos]
        outputs = [variant.paint(photo.to(device), seed) for photo in changed]
        losses = held_out(variant.task, [(photo, draws) for photo in changed], schedule)
        rows.append({"network": variant.label, "contrast": contrast, **losses, "change": change(outputs, unchanged)})
    return rows


def final_row(variant: Variant, contrasts: Sequence[Row]) -> Row:
    """The losses on unchanged content images, those at the end of the training, and its duration."""
    held = next(row for row in contrasts if row["network"] == variant.label and row["contrast"] == 1.0)
    losses = {name: value for name, value in held.items() if name not in ("network", "contrast", "change")}
    ended = {f"training_{name}": variant.curve.end(name) for name in ("content", "style", TOTAL)}
    return {"network": variant.label, **losses, **ended, "training_s": variant.curve.seconds}


def photo_rows(photos: Sequence[Tensor]) -> list[Row]:
    """The change of the content images themselves."""
    nothing = {"content": None, "style": None, "tv": None, TOTAL: None}
    return [
        {
            "network": "the photo itself",
            "contrast": contrast,
            **nothing,
            "change": change([with_contrast(photo, contrast) for photo in photos], photos),
        }
        for contrast in CONTRASTS
    ]


def with_contrast(photo: Tensor, contrast: float) -> Tensor:
    """Scale the differences to the mean, then clip as a camera does: (1, 3, H, W) in [0, 1] → the same."""
    return torch.lerp(photo.mean(), photo, contrast).clamp(0, 1)


def change(images: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """Median distance of images from others, relative to the others' own contrast.

    Root of the mean squared difference over the std of the other's pixels. An image at contrast k has the distance
    |k − 1| from itself, apart from clipping.
    """
    pairs = zip(images, others, strict=True)
    return median(((one - other).square().mean().sqrt() / other.std(correction=0)).item() for one, other in pairs)


def contrast_panels(rows: Sequence[Row]) -> list[Panel]:
    """Plot change and style loss over the contrast, a line for each network."""
    panels = []
    for column, title in (("change", "change of the painting"), ("style", "style loss")):
        points: dict[str, list[float]] = {}
        for row in rows:
            points.setdefault(str(row["network"]), []).append(float(row[column] or 0))
        lines = [Line(label, CONTRASTS, values, marker="o") for label, values in points.items()]
        panels.append(Panel(title, "contrast of the photo", lines))
    return panels


def image_grid(variants: Sequence[Variant], photo: Image.Image, schedule: Schedule) -> Image.Image:
    """Draw a row for the content image and for each network, with a column for each contrast."""
    changed = [with_contrast(to_tensor([photo]), contrast) for contrast in CONTRASTS]
    cells = [
        (to_images(one)[0], f"photo, contrast × {contrast:g}") for one, contrast in zip(changed, CONTRASTS, strict=True)
    ]
    for variant in variants:
        for one, contrast in zip(changed, CONTRASTS, strict=True):
            output = variant.paint(one.to(schedule.runtime.device), schedule.seed)
            cells.append((to_images(output)[0], f"{variant.label}, × {contrast:g}"))
    return captioned_grid(cells, columns=len(CONTRASTS))
