"""Instance norm learns faster than batch norm: the reason (Huang & Belongie 2017, arXiv 1703.06868, figure 1).

The paper's argument: if instance norm only removed the photos' contrast, batch norm would catch up on photos of equal
luminance histograms, and it does not. It nearly does on photos that are in one style already: so what instance norm
removes is the photos' own style.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from experiments.painters import OneStyle
from experiments.plots import Panel, draw
from experiments.results import Findings, Row, log
from experiments.training import Curve, Schedule, curve_panels, curve_rows
from model_store.pixels import to_images, to_tensor
from train.data import StyleDraws, list_images
from train.generator import GeneratorTask, loss_network, new_network, style_images
from train.images import read_image

NORMS = ("batch", "instance")

Filter = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Inputs:
    """Images and settings of the trainings.

    Attributes:
        content: Content images for training.
        style: The style image to learn.
        painter: Checkpoint that pre-stylises the content images.
        painter_style: Id of the style in which they are pre-stylised, one of the checkpoint's.
        photo_px: Shorter side at which photos are equalised and pre-stylised, then trained on.
        vgg: The loss network, see ``load_vgg``.
    """

    content: Sequence[Path]
    style: Path
    painter: Path
    painter_style: str
    photo_px: int
    vgg: str


def run(inputs: Inputs, schedule: Schedule) -> Findings:
    """Run six trainings: three sets of the same photos, two norms.

    Raises:
        DataError: An image cannot be read, or the painter has no such style.
        CheckpointError: The painter cannot be used.
        WeightsError: The loss network's weights cannot be used.
    """
    painter = OneStyle(inputs.painter, inputs.painter_style, schedule.runtime, schedule.seed)
    filters: dict[str, Filter] = {
        "original": lambda photo: photo,
        "luminance equalised": with_equal_luminance,
        "pre-stylised": lambda photo: to_images(painter.paint(to_tensor([photo])))[0],
    }
    styles = style_images([inputs.style])
    vgg = loss_network(inputs.vgg, schedule.recipe)
    curves: dict[str, list[Curve]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, change in filters.items():
            log(f"photos: {name}")
            photos = filtered(inputs.content, change, inputs.photo_px, Path(folder) / name)
            curves[name] = []
            for norm in NORMS:
                plan = new_network("residual", {"norm": norm, "styles": 1}, None, schedule.seed)
                task = GeneratorTask(plan, vgg, schedule.recipe, styles)
                crops = StyleDraws(photos, schedule.recipe, schedule.steps, schedule.seed)
                curves[name].append(schedule.train(f"{norm} norm", task, crops))
    return Findings(
        name="why-instance",
        title="Batch norm and instance norm on photos of equal luminance, and of one style",
        settings=settings(inputs) | schedule.settings(),
        tables={"Losses at the end of the training": [set_row(name, *two) for name, two in curves.items()]},
        series={"curves": [{"content_set": name, **row} for name, two in curves.items() for row in curve_rows(two)]},
        plots={"curves": draw([panel(name, two) for name, two in curves.items()], columns=3, same_y=True)},
    )


def settings(inputs: Inputs) -> Row:
    """Images and their sizes."""
    return {
        "style_image": inputs.style.stem,
        "pre_stylised_in": inputs.painter_style,
        "photos": len(inputs.content),
        "photo_px": inputs.photo_px,
    }


def with_equal_luminance(photo: Image.Image) -> Image.Image:
    """Equalise the histogram of the luminance, and keep the colours."""
    luminance, blue, red = photo.convert("YCbCr").split()
    return Image.merge("YCbCr", (ImageOps.equalize(luminance), blue, red)).convert("RGB")


def filtered(photos: Sequence[Path], change: Filter, shorter_px: int, folder: Path) -> list[Path]:
    """Write the photos, resized and changed, as files into a new folder.

    Raises:
        DataError: A photo cannot be read.
    """
    folder.mkdir()
    for index, path in enumerate(photos):
        photo = read_image(path)
        ratio = shorter_px / min(photo.size)
        size = (round(photo.width * ratio), round(photo.height * ratio))
        change(photo.resize(size, Image.Resampling.BICUBIC)).save(folder / f"{index:05}.png", compress_level=1)
    return list_images([folder])


def set_row(name: str, batch: Curve, instance: Curve) -> Row:
    """Style and content losses of both norms, and the ratio of their style losses."""
    return {
        "content_set": name,
        "batch_style": batch.end("style"),
        "instance_style": instance.end("style"),
        "batch_over_instance": batch.end("style") / instance.end("style"),
        "batch_content": batch.end("content"),
        "instance_content": instance.end("content"),
        "batch_training_s": batch.seconds,
        "instance_training_s": instance.seconds,
    }


def panel(name: str, curves: Sequence[Curve]) -> Panel:
    """Plot the style loss of both norms on one set of photos."""
    (style,) = curve_panels(curves, ("style",))
    return Panel(f"{name}: {style.title}", style.x_label, style.lines, style.log)
