"""``python -m experiments NAME``: the papers' evidence. The defaults take about twenty minutes each on two cores."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from experiments import batch_vs_instance as norms
from experiments import decoder as decoders
from experiments import methods as all_methods
from experiments import resolution as resolutions
from experiments import why_instance as why
from experiments.results import publish
from experiments.training import Schedule
from model_store.runtime import keep_freed_memory
from train.cli.options import (
    FOLDER,
    SAMPLE,
    SHIPPED,
    VGG_HELP,
    ContentOption,
    DeviceOption,
    DtypeOption,
    SeedOption,
    StyleRootOption,
    WorkersOption,
    one_line_errors,
    positive,
    runtime_of,
)
from train.data import list_images
from train.loop import training_runtime
from train.recipe import SettingError, Stage, customised
from train.recipes import ADAIN_RECIPES, GENERATOR_RECIPES
from train.tables import Pair, read_pairs, read_styles

RECIPES = {
    "generator": replace(GENERATOR_RECIPES["short"], stages=(Stage(1.0, 128, 4, (144, 320)),)),
    "adain": replace(
        ADAIN_RECIPES["short"],
        stages=(Stage(1.0, 128, 4, (144, 320)),),
        weights={name: ADAIN_RECIPES["short"].weights[name] for name in ("content", "style")},
    ),
}
"""The short recipes on small crops from beginning to end, with the papers' losses; the command line says how small."""

app = typer.Typer(
    help="The papers' evidence, reproduced with our own code.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

ResultsOption = Annotated[Path, typer.Option(help="Folder for the tables, plots and pictures.")]
PairsOption = Annotated[Path, typer.Option(help="Held out: CSV with name, content, style; paths relative to it.")]
LimitOption = Annotated[int, typer.Option(help="The first so many pairs only.")]
LossNetworkOption = Annotated[str, typer.Option("--vgg", help=f"The loss network: {VGG_HELP}")]
PaintingOption = Annotated[Path, typer.Option(help="Image of the style to learn.")]
PhotoOption = Annotated[Path, typer.Option(help="What the picture grid shows.")]
StepsOption = Annotated[int, typer.Option(help="Of each training.")]
CropOption = Annotated[int, typer.Option(help="Side of the crops in pixels.")]
BatchOption = Annotated[int, typer.Option(help="Images a step.")]
PeakOption = Annotated[float | None, typer.Option(help="Highest learning rate, instead of the recipe's.")]
SizeOption = Annotated[int, typer.Option(help="Side of the held-out squares in pixels; a multiple of 32.")]
RepeatsOption = Annotated[int, typer.Option(help="Runs that a time is the median of.")]

RESULTS = Path("docs/results")
PAINTING = Path("examples/painting.jpg")
LEARNED_STYLES = Path("train/styles/learned.csv")

GATYS_STEPS = [50, 100, 500]
METHODS_PX, METHODS_PAIRS = [256, 512], [3, 1]
"""Few pairs: at 512 px, 500 steps of the optimisation take minutes a picture."""

RESOLUTIONS_PX = [512, 1080]


@app.callback()
def prepare() -> None:
    """Reproduce the papers' evidence: tables, CSV and plots."""
    keep_freed_memory()


@app.command("batch-vs-instance")
def batch_vs_instance(
    content: ContentOption,
    pairs: PairsOption,
    style: PaintingOption = PAINTING,
    vgg: LossNetworkOption = "vgg16",
    out: ResultsOption = RESULTS,
    photo: PhotoOption = SAMPLE,
    steps: StepsOption = 400,
    crop: CropOption = 128,
    batch_size: BatchOption = 4,
    peak_lr: PeakOption = None,
    size: SizeOption = 256,
    limit: LimitOption = 8,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Batch norm and instance norm in both generators, and what the photo's contrast does to them."""
    with one_line_errors():
        schedule = _schedule("generator", steps, crop, batch_size, peak_lr, seed, workers, device, dtype)
        held_out = [pair.content for pair in _pairs(pairs, limit)]
        inputs = norms.Inputs(list_images(content), style, held_out, photo, vgg, _size("--size", size))
        publish(norms.run(inputs, schedule), out, Console())


@app.command("why-instance")
def why_instance(
    content: ContentOption,
    style: PaintingOption = PAINTING,
    painter: Annotated[Path, typer.Option(help="The exported checkpoint that pre-stylises the photos.")] = SHIPPED,
    painter_style: Annotated[
        str, typer.Option(help="In which other style: an id of --painter.")
    ] = "hokusai-great-wave",
    vgg: LossNetworkOption = "vgg16",
    out: ResultsOption = RESULTS,
    photos: Annotated[int, typer.Option(help="The first so many photos only: each is pre-stylised.")] = 200,
    photo_px: Annotated[int, typer.Option(help="Shorter side of the photos.")] = 256,
    steps: StepsOption = 450,
    crop: CropOption = 96,
    batch_size: BatchOption = 4,
    peak_lr: PeakOption = None,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Batch norm and instance norm on photos as they are, of equal luminance, and pre-stylised."""
    with one_line_errors():
        schedule = _schedule("generator", steps, crop, batch_size, peak_lr, seed, workers, device, dtype)
        taken = list_images(content)[: positive("--photos", photos)]
        side_px = _size("--photo-px", photo_px, multiple=1)
        inputs = why.Inputs(taken, style, painter, painter_style, side_px, vgg)
        publish(why.run(inputs, schedule), out, Console())


@app.command("decoder")
def decoder(
    content: ContentOption,
    style: Annotated[list[Path], typer.Option(help="Folder of paintings; may be repeated.")],
    pairs: PairsOption,
    vgg: Annotated[str, typer.Option(help=f"Encoder and loss network: {VGG_HELP}")] = "vgg16",
    out: ResultsOption = RESULTS,
    photo: PhotoOption = SAMPLE,
    painting: Annotated[Path, typer.Option(help="The picture grid's style.")] = PAINTING,
    steps: StepsOption = 350,
    crop: CropOption = 128,
    batch_size: BatchOption = 4,
    peak_lr: PeakOption = None,
    size: SizeOption = 256,
    limit: LimitOption = 8,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """AdaIN's decoder without norm and with each, and concatenation instead of AdaIN."""
    with one_line_errors():
        schedule = _schedule("adain", steps, crop, batch_size, peak_lr, seed, workers, device, dtype)
        folders = list_images(content), list_images(style)
        inputs = decoders.Inputs(*folders, _pairs(pairs, limit), photo, painting, vgg, _size("--size", size))
        publish(decoders.run(inputs, schedule), out, Console())


@app.command("methods")
def methods(
    pairs: PairsOption,
    styles: Annotated[Path, typer.Option(help="Table of the learned styles' pictures.")] = LEARNED_STYLES,
    style_root: StyleRootOption = Path(),
    checkpoints: Annotated[Path, typer.Option(help="Folder of the networks that take part.")] = FOLDER,
    vgg: LossNetworkOption = "vgg16",
    out: ResultsOption = RESULTS,
    photo: PhotoOption = SAMPLE,
    gatys_steps: Annotated[list[int], typer.Option(help="Of the optimisation; repeat it.")] = GATYS_STEPS,
    size: Annotated[list[int], typer.Option(help="Side of the squares; repeat it.")] = METHODS_PX,
    count: Annotated[list[int], typer.Option(help="How many pairs at each --size.")] = METHODS_PAIRS,
    repeats: RepeatsOption = 5,
    seed: Annotated[int, typer.Option(help="Of the pyramid's noise.")] = 0,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Optimisation, generators, AdaIN and swift on the same pairs: distances and seconds."""
    with one_line_errors():
        runtime = runtime_of(device, dtype)
        if len(size) != len(count):
            raise SettingError(f"got {len(size)} --size and {len(count)} --count: give one count for each size")
        pairs_at = {_size("--size", one): positive("--count", many) for one, many in zip(size, count, strict=True)}
        inputs = all_methods.Inputs(
            [pair.content for pair in read_pairs(pairs)],
            read_styles(styles, style_root),
            checkpoints,
            [positive("--gatys-steps", one) for one in gatys_steps],
            pairs_at,
            positive("--repeats", repeats),
            photo,
            vgg,
            seed,
        )
        publish(all_methods.run(inputs, runtime), out, Console())


@app.command("resolution")
def resolution(
    pairs: PairsOption,
    checkpoint: Annotated[Path, typer.Option(help="An exported network.")] = SHIPPED,
    style_id: Annotated[str, typer.Option(help="Of its named styles.")] = "van-gogh-starry-night",
    painting: Annotated[Path, typer.Option(help="That style's image, to measure with.")] = PAINTING,
    vgg: LossNetworkOption = "vgg16",
    out: ResultsOption = RESULTS,
    photo: PhotoOption = SAMPLE,
    size: Annotated[list[int], typer.Option(help="Side of the squares; repeat it.")] = RESOLUTIONS_PX,
    limit: LimitOption = 5,
    repeats: RepeatsOption = 5,
    seed: Annotated[int, typer.Option(help="Of the noise, for a network that takes any.")] = 0,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """One network at several resolutions: pictures, distances and seconds."""
    with one_line_errors():
        runtime = runtime_of(device, dtype)
        inputs = resolutions.Inputs(
            checkpoint,
            style_id,
            painting,
            [pair.content for pair in _pairs(pairs, limit)],
            [_size("--size", one, multiple=8) for one in size],
            positive("--repeats", repeats),
            photo,
            vgg,
            seed,
        )
        publish(resolutions.run(inputs, runtime), out, Console())


def _schedule(
    recipe: str,
    steps: int,
    crop_px: int,
    batch_size: int,
    peak_lr: float | None,
    seed: int,
    workers: int | None,
    device: str,
    dtype: str,
) -> Schedule:
    runtime = training_runtime(device, dtype)
    loaders = workers if workers is not None else (8 if runtime.device.type == "cuda" else 1)
    numbers = customised(RECIPES, recipe, crop_px, batch_size, peak_lr)
    return Schedule(numbers, positive("--steps", steps), seed, runtime, loaders)


def _pairs(path: Path, limit: int) -> list[Pair]:
    return read_pairs(path)[: positive("--limit", limit)]


def _size(option: str, size_px: int, multiple: int = 32) -> int:
    if size_px < 32 or size_px % multiple:
        raise SettingError(f"{option} {size_px}: give a multiple of {multiple}, at least 32")
    return size_px


if __name__ == "__main__":
    app()
