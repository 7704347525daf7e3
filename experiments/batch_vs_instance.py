"""Batch norm against instance norm, in both generators (Ulyanov et al. 2016, arXiv 1607.08022, figures 2 and 5).

Four networks learn one style from the same crops, the same first weights and the same draws; only the norm differs.
Then each paints held-out photos at several contrasts: the style's contrast should not depend on the photo's.
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
    """What the networks learn from, and what they are judged on.

    Attributes:
        content: Photos to train on.
        style: The one style's image.
        held_out: Photos to judge on, of which squares of ``size_px`` are taken.
        photo: The picture grid's.
        vgg: The judge, see ``load_vgg``.
        size_px: A multiple of 32.
    """

    content: Sequence[Path]
    style: Path
    held_out: Sequence[Path]
    photo: Path
    vgg: str
    size_px: int


@dataclass(frozen=True)
class Variant:
    """A trained network and how it trained."""

    label: str
    task: GeneratorTask
    curve: Curve

    def paint(self, photo: Tensor, seed: int) -> Tensor:
        """(1, 3, H, W) in [0, 1] → the same, in evaluation mode; the pyramid's noise is that of the seed."""
        network = self.task.network.eval()
        with torch.no_grad():
            return network.paint(photo, network.stored_style(0).with_seed(seed)).float()


def run(inputs: Inputs, schedule: Schedule) -> Findings:
    """Train four networks, judge them.

    Raises:
        DataError: A picture cannot be read.
        WeightsError: The judge's weights cannot be used.
    """
    photos = [to_tensor([centre_square(read_image(path), inputs.size_px)]) for path in inputs.held_out]
    shown = read_image(inputs.photo)
    vgg = loss_network(inputs.vgg, schedule.recipe)
    pictures = style_images([inputs.style])
    variants = [train_variant(network, norm, inputs, schedule, vgg, pictures) for network, norm in VARIANTS]
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
        pictures={"pictures": picture_grid(variants, fit_longer_side(shown, GRID_PX), schedule)},
    )


def train_variant(
    network: str, norm: str, inputs: Inputs, schedule: Schedule, vgg: VGG, pictures: Sequence[Tensor]
) -> Variant:
    """One of the four."""
    label = f"{network}, {norm} norm"
    plan = new_network(network, {"norm": norm, "styles": 1}, None, schedule.seed)
    task = GeneratorTask(plan, vgg, schedule.recipe, pictures)
    crops = StyleDraws(inputs.content, schedule.recipe, schedule.steps, schedule.seed)
    return Variant(label, task, schedule.train(label, task, crops))


def contrast_rows(variant: Variant, photos: Sequence[Tensor], schedule: Schedule) -> list[Row]:
    """Losses at every contrast, and how far the painting moves from that of the unchanged photo."""
    device, seed = schedule.runtime.device, schedule.seed
    unchanged = [variant.paint(photo.to(device), seed) for photo in photos]
    draws = torch.tensor([[0, seed]])
    rows: list[Row] = []
    for contrast in CONTRASTS:
        changed = [with_contrast(photo, contrast) for photo in photos]
        painted = [variant.paint(photo.to(device), seed) for photo in changed]
        losses = held_out(variant.task, [(photo, draws) for photo in changed], schedule)
        rows.append({"network": variant.label, "contrast": contrast, **losses, "change": change(painted, unchanged)})
    return rows


def final_row(variant: Variant, contrasts: Sequence[Row]) -> Row:
    """The losses on unchanged photos, at the end of the training, and what the training took."""
    held = next(row for row in contrasts if row["network"] == variant.label and row["contrast"] == 1.0)
    losses = {name: value for name, value in held.items() if name not in ("network", "contrast", "change")}
    ended = {f"training_{name}": variant.curve.end(name) for name in ("content", "style", TOTAL)}
    return {"network": variant.label, **losses, **ended, "training_s": variant.curve.seconds}


def photo_rows(photos: Sequence[Tensor]) -> list[Row]:
    """How far the photos themselves move."""
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
    """Differences to the mean scaled, then clipped as a camera does: (1, 3, H, W) in [0, 1] → the same."""
    return torch.lerp(photo.mean(), photo, contrast).clamp(0, 1)


def change(pictures: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """How far pictures are from others, relative to the others' own contrast: the median over all.

    Root of the mean squared difference over the deviation of the other's pixels. A photo at contrast k is |k − 1| away
    from itself, but for clipping.
    """
    pairs = zip(pictures, others, strict=True)
    return median(((one - other).square().mean().sqrt() / other.std(correction=0)).item() for one, other in pairs)


def contrast_panels(rows: Sequence[Row]) -> list[Panel]:
    """Change and style loss over the contrast, a line a network."""
    panels = []
    for column, title in (("change", "change of the painting"), ("style", "style loss")):
        points: dict[str, list[float]] = {}
        for row in rows:
            points.setdefault(str(row["network"]), []).append(float(row[column] or 0))
        lines = [Line(label, CONTRASTS, values, marker="o") for label, values in points.items()]
        panels.append(Panel(title, "contrast of the photo", lines))
    return panels


def picture_grid(variants: Sequence[Variant], photo: Image.Image, schedule: Schedule) -> Image.Image:
    """A row for the photo and for each network, a column a contrast."""
    changed = [with_contrast(to_tensor([photo]), contrast) for contrast in CONTRASTS]
    cells = [
        (to_images(one)[0], f"photo, contrast × {contrast:g}") for one, contrast in zip(changed, CONTRASTS, strict=True)
    ]
    for variant in variants:
        for one, contrast in zip(changed, CONTRASTS, strict=True):
            painted = variant.paint(one.to(schedule.runtime.device), schedule.seed)
            cells.append((to_images(painted)[0], f"{variant.label}, × {contrast:g}"))
    return captioned_grid(cells, columns=len(CONTRASTS))
