"""``python -m train``: one command per recipe, and the way from a training to the service."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from model_store.adain import AdaIN
from model_store.catalog import CatalogError, CheckpointError, default_folder, read_catalog
from model_store.checkpoint import save
from model_store.runtime import Runtime, choose_runtime, keep_freed_memory
from model_store.vgg import WeightsError, load_vgg
from train import export as exporting
from train.adain import AdaINTask
from train.card import model_card
from train.data import DataError, PairCrops, folder_counts, list_images
from train.distributed import Rank, process_group
from train.evaluate import JudgedPair, distance_table, judge_pairs, save_grid
from train.loop import Training, training_runtime
from train.recipes import ADAIN_RECIPES, SettingError, check_processes, customised
from train.sheet import contact_sheet
from train.state import StateError, check_continues, load_state
from train.tables import read_pairs, read_references, read_styles

app = typer.Typer(
    help="Train the networks that the service serves, measure them, export them.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
DtypeOption = Annotated[str, typer.Option(help="Number type of the forward pass: auto, float32, bfloat16 or float16.")]
VGG_HELP = "vgg16, vgg16-features or vgg19 (fetched by torchvision), or the path of a .safetensors file."

SHIPPED = default_folder() / "adain.safetensors"
SAMPLE = default_folder() / "sample.jpg"

WRONG_DATA, WRONG_OPTION = 1, 2
"""Exit codes; the second is also that of an option that does not exist."""


@app.command()
def adain(
    content: Annotated[list[Path], typer.Option(help="Folder of photos; may be repeated.")],
    style: Annotated[list[Path], typer.Option(help="Folder of paintings; may be repeated.")],
    vgg: Annotated[str | None, typer.Option(help=f"Encoder: {VGG_HELP} [default: vgg16, or that of --init]")] = None,
    out: Annotated[Path, typer.Option(help="Folder for state.pt and TensorBoard's files.")] = Path("runs/adain"),
    recipe: Annotated[str, typer.Option(help=f"{' or '.join(ADAIN_RECIPES)}: sizes and schedule.")] = "short",
    steps: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    crop: Annotated[int | None, typer.Option(help="Side of the crops in pixels, instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs a step over all processes.")] = None,
    peak_lr: Annotated[float | None, typer.Option(help="Highest learning rate, instead of the recipe's.")] = None,
    seed: Annotated[int, typer.Option(help="Of the crops and of the decoder's first weights.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes that decode images [default: 1, for a GPU 8]")] = None,
    save_minutes: Annotated[float, typer.Option(help="Between two saved states.")] = 5.0,
    max_minutes: Annotated[float | None, typer.Option(help="Stop after so long; --resume goes on.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on exactly where the state in --out ends.")] = False,
    init: Annotated[Path | None, typer.Option(help="Start from an exported checkpoint's weights.")] = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Train AdaIN: any style, one network."""
    with _one_line_errors():
        rank = Rank.from_environment()
        runtime = training_runtime(rank.device_name(device), dtype)
        numbers = customised(ADAIN_RECIPES, recipe, crop, batch_size, peak_lr)
        check_processes(numbers, rank.world_size)
        total = _positive("--steps", numbers.steps if steps is None else steps)
        data = {"content": folder_counts(content), "style": folder_counts(style), "seed": seed}
        state_path = out / "state.pt"
        if state_path.exists() and not resume:
            raise SettingError(f"{state_path} exists: add --resume to go on with it, or give another --out")
        if resume and init:
            raise SettingError("--resume and --init exclude each other: a state has its own weights")
        state = load_state(state_path, "adain") if resume else None
        if state is not None:
            check_continues(state, state_path, numbers, total, data)
        task = AdaINTask.start(vgg, init, seed)
        crops = PairCrops(list_images(content), list_images(style), numbers, total, seed, rank.index, rank.world_size)
        loaders = workers if workers is not None else (8 if runtime.device.type == "cuda" else 1)
        keep_freed_memory()
        with process_group(runtime.device) as rank:
            Training(
                task, numbers, crops, runtime, out, rank, loaders, 60 * save_minutes, max_minutes, data, state
            ).run()


@app.command()
def evaluate(
    checkpoint: Annotated[Path, typer.Option(help="An exported .safetensors, or a training's state.pt.")],
    pairs: Annotated[Path, typer.Option(help="CSV with the columns name, content, style; paths relative to it.")],
    vgg: Annotated[str, typer.Option(help=f"The judge: {VGG_HELP}")] = "vgg16",
    size: Annotated[int, typer.Option(help="Side of the square in pixels; a multiple of 8.")] = 512,
    grid: Annotated[Path | None, typer.Option(help="Write the pictures here: content, style, result.")] = None,
    limit: Annotated[int | None, typer.Option(help="The first so many pairs only.")] = None,
    reference: Annotated[Path | None, typer.Option(help="CSV of other systems: system, content, style, note.")] = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Print how far painted pictures are from content and style (median over the pairs)."""
    with _one_line_errors():
        runtime = _runtime(device, dtype)
        references = read_references(reference) if reference else []
        network = exporting.from_file(checkpoint).network
        judged = _judge(network, pairs, vgg, size, limit, runtime)
        if grid:
            save_grid(judged, grid)
        Console().print(distance_table(str(checkpoint), judged, references, size))


@app.command()
def export(
    state: Annotated[Path, typer.Option(help="A training's state.pt, or an exported .safetensors to add styles to.")],
    out: Annotated[Path, typer.Option(help="The checkpoint; previews/ and the model card go beside it.")] = SHIPPED,
    styles: Annotated[Path | None, typer.Option(help="CSV: id, file, title, artist, year, rights.")] = None,
    style_root: Annotated[Path, typer.Option(help="What the CSV's files are relative to.")] = Path(),
    preview_photo: Annotated[Path | None, typer.Option(help="Paint this in every named style, as its preview.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="Measure on these pairs, and note it in the header.")] = None,
    vgg: Annotated[str, typer.Option(help=f"The judge for --pairs: {VGG_HELP}")] = "vgg16",
    size: Annotated[int, typer.Option(help="For --pairs: side of the square in pixels.")] = 512,
    data_rights: Annotated[str, typer.Option(help="For the card: what holds for the training's images.")] = "",
    note: Annotated[str, typer.Option(help="For the card: what else there is to say of the training.")] = "",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Write what the service serves: checkpoint, previews, measured distances, model card."""
    with _one_line_errors():
        runtime = _runtime(device, dtype)
        trained = exporting.from_file(state, data_rights, note)
        if styles:
            trained = exporting.with_styles(trained, read_styles(styles, style_root), runtime.device)
        header = trained.header
        if pairs:
            judged = _judge(trained.network, pairs, vgg, size, None, runtime)
            header = replace(header, measured=exporting.measurement(judged, pairs, vgg, size, runtime))
        header = save(trained.network, out, header)
        out.with_suffix(".md").write_text(model_card(header, out.stem), encoding="utf-8")
        if preview_photo:
            exporting.paint_previews(trained, preview_photo, out.parent / "previews", runtime)
        typer.echo(f"{out}: {header.parameters:,} parameters, {len(header.styles)} styles")


def _judge(
    network: AdaIN, pairs: Path, vgg: str, size_px: int, limit: int | None, runtime: Runtime
) -> list[JudgedPair]:
    if size_px < 32 or size_px % network.stride:
        raise SettingError(f"--size {size_px}: give a multiple of {network.stride}, at least 32")
    keep_freed_memory()
    wanted = read_pairs(pairs)[: _positive("--limit", limit) if limit is not None else None]
    judging = judge_pairs(network, load_vgg(vgg), wanted, size_px, runtime)
    console = Console(stderr=True)
    return list(track(judging, "pairs", len(wanted), console=console, disable=not console.is_terminal))


def _runtime(device: str, dtype: str) -> Runtime:
    try:
        return choose_runtime(device, dtype)
    except ValueError as err:
        raise SettingError(str(err)) from err


def _positive(option: str, value: int) -> int:
    if value < 1:
        raise SettingError(f"{option} {value}: give at least 1")
    return value


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What a user can put right is said in one line; anything else is a bug and keeps its traceback."""
    try:
        yield
    except SettingError as err:
        code, message = WRONG_OPTION, str(err)
    except (DataError, StateError, WeightsError, CheckpointError, CatalogError, FloatingPointError) as err:
        # An error from a loader process arrives with that process's traceback in its text, the error itself last.
        code, message = WRONG_DATA, str(err).rstrip().splitlines()[-1].removeprefix("train.data.DataError: ")
    else:
        return
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(code)


@app.command()
def sheet(
    out: Annotated[Path, typer.Option(help="The picture to write.")],
    checkpoint: Annotated[Path, typer.Option(help="An exported checkpoint with previews beside it.")] = SHIPPED,
    photo: Annotated[Path, typer.Option(help="What the previews show.")] = SAMPLE,
    style: Annotated[list[str] | None, typer.Option(help="Ids to show; all when not given.")] = None,
    columns: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """A contact sheet of the named styles."""
    with _one_line_errors():
        catalog = read_catalog(checkpoint.parent)
        styles = [catalog.style(name) for name in style] if style else catalog.model(checkpoint.stem).styles
        contact_sheet(photo, styles, columns).save(out, quality=88)


if __name__ == "__main__":
    app()
