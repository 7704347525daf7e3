"""``python -m experiments NAME``: reproduces the papers' evidence. Each takes about twenty minutes on two cores."""

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
"""The short recipes with one size of crops, set by the command line, and with the papers' losses."""

app = typer.Typer(
    help="Reproduce the papers' evidence with our own code.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

ResultsOption = Annotated[Path, typer.Option(help="Folder for the tables, plots and images.")]
PairsOption = Annotated[Path, typer.Option(help="Held-out pairs: CSV with name, content, style; paths relative to it.")]
LimitOption = Annotated[int, typer.Option(help="Use only the first so many pairs.")]
LossNetworkOption = Annotated[str, typer.Option("--vgg", help=f"The loss network: {VGG_HELP}")]
PaintingOption = Annotated[Path, typer.Option(help="Image of the style to learn.")]
PhotoOption = Annotated[Path, typer.Option(help="Content image of the image grid.")]
StepsOption = Annotated[int, typer.Option(help="Steps of each training.")]
CropOption = Annotated[int, typer.Option(help="Side of the crops in pixels.")]
BatchOption = Annotated[int, typer.Option(help="Images a step.")]
PeakOption = Annotated[float | None, typer.Option(help="Highest learning rate, instead of the recipe's.")]
SizeOption = Annotated[int, typer.Option(help="Side of the held-out squares in pixels; a multiple of 32.")]
RepeatsOption = Annotated[int, typer.Option(help="Number of timed runs, whose median is reported.")]

RESULTS = Path("docs/results")
PAINTING = Path("examples/painting.jpg")
LEARNED_STYLES = Path("train/styles/learned.csv")

GATYS_STEPS = [50, 100, 500]
METHODS_PX, METHODS_PAIRS = [256, 512], [3, 1]
"""Sizes and numbers of pairs. Few, because at 512 px, 500 steps of the optimisation take minutes a pair."""

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
    """Compare batch norm and instance norm in both generators, at several contrasts of the content image."""
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
        str, typer.Option(help="Id of the style in which they are pre-stylised.")
    ] = "hokusai-great-wave",
    vgg: LossNetworkOption = "vgg16",
    out: ResultsOption = RESULTS,
    photos: Annotated[int, typer.Option(help="Use only the first so many photos: each is pre-stylised.")] = 200,
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
    """Compare batch norm and instance norm on original, luminance-equalised and pre-stylised photos."""
    with one_line_errors():
        schedule = _schedule("generator", steps, crop, batch_size, peak_lr, seed, workers, device, dtype)
        taken = list_images(content)[: positive("--photos", photos)]
        side_px = _size("--photo-px", photo_px, multiple=1)
        inputs = why.Inputs(taken, style, painter, painter_style, side_px, vgg)
        publish(why.run(inputs, schedule), out, Console())


@app.command("decoder")
def decoder(
    content: ContentOption,
    style: Annotated[list[Path], typer.Option(help="Folder of style images; may be repeated.")],
    pairs: PairsOption,
    vgg: Annotated[str, typer.Option(help=f"Encoder and loss network: {VGG_HELP}")] = "vgg16",
    out: ResultsOption = RESULTS,
    photo: PhotoOption = SAMPLE,
    painting: Annotated[Path, typer.Option(help="Style image of the image grid.")] = PAINTING,
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
    """Compare AdaIN's decoder without norm and with each, and concatenation instead of AdaIN."""
    with one_line_errors():
        schedule = _schedule("adain", steps, crop, batch_size, peak_lr, seed, workers, device, dtype)
        folders = list_images(content), list_images(style)
        inputs = decoders.Inputs(*folders, _pairs(pairs, limit), photo, painting, vgg, _size("--size", size))
        publish(decoders.run(inputs, schedule), out, Console())


@app.command("methods")
def methods(
    pairs: PairsOption,
    styles: Annotated[Path, typer.Option(help="Table of the learned styles' images.")] = LEARNED_STYLES,
    style_root: StyleRootOption = Path(),
    checkpoints: Annotated[Path, typer.Option(help="Folder of the networks that take part.")] = FOLDER,
    vgg: LossNetworkOption = "vgg16",
    out: ResultsOption = RESULTS,
    photo: PhotoOption = SAMPLE,
    gatys_steps: Annotated[list[int], typer.Option(help="Steps of the optimisation; may be repeated.")] = GATYS_STEPS,
    size: Annotated[list[int], typer.Option(help="Side of the squares; may be repeated.")] = METHODS_PX,
    count: Annotated[list[int], typer.Option(help="Number of pairs at each --size.")] = METHODS_PAIRS,
    repeats: RepeatsOption = 5,
    seed: Annotated[int, typer.Option(help="Seed of the pyramid's noise.")] = 0,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Compare optimisation, generators, AdaIN and swift on the same pairs: distances and seconds."""
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
    style_id: Annotated[str, typer.Option(help="Id of one of its named styles.")] = "van-gogh-starry-night",
    painting: Annotated[Path, typer.Option(help="That style's image, for the evaluation.")] = PAINTING,
    vgg: LossNetworkOption = "vgg16",
    out: ResultsOption = RESULTS,
    photo: PhotoOption = SAMPLE,
    size: Annotated[list[int], typer.Option(help="Side of the squares; may be repeated.")] = RESOLUTIONS_PX,
    limit: LimitOption = 5,
    repeats: RepeatsOption = 5,
    seed: Annotated[int, typer.Option(help="Seed of the noise, for a network that uses noise.")] = 0,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Compare one network at several resolutions: outputs, distances and seconds."""
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
