"""``evaluate``, ``export``, ``sheet`` and ``matrix``: from a training to a checkpoint for the service."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from model_store.catalog import read_catalog
from model_store.checkpoint import load, save
from model_store.network import AnyStyle
from model_store.runtime import Runtime, keep_freed_memory
from model_store.vgg import load_vgg
from train import export as exporting
from train.card import model_card
from train.cli.options import (
    FOLDER,
    SAMPLE,
    SHIPPED,
    VGG_HELP,
    DeviceOption,
    DtypeOption,
    StyleRootOption,
    StylesOption,
    one_line_errors,
    positive,
    runtime_of,
)
from train.evaluate import EvaluatedPair, distance_table, evaluate_pairs, save_grid
from train.matrix import paint_matrix
from train.recipe import SettingError
from train.sheet import contact_sheet
from train.style_images import export_style_images, read_origins
from train.tables import StyleFile, learned_pairs, read_pairs, read_references, read_styles

ReferenceOption = Annotated[
    Path | None, typer.Option(help="CSV of other systems' distances on --pairs: system, content, style, note.")
]


def evaluate(
    checkpoint: Annotated[Path, typer.Option(help="An exported .safetensors, or a training's state.pt.")],
    pairs: Annotated[Path, typer.Option(help="CSV with the columns name, content, style; paths relative to it.")],
    styles: StylesOption = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Id of a learned style to measure; all of them when not given.")
    ] = None,
    style_root: StyleRootOption = Path(),
    vgg: Annotated[str, typer.Option(help=f"The loss network that measures: {VGG_HELP}")] = "vgg16",
    size: Annotated[int, typer.Option(help="Side of the square in pixels; a multiple of 32.")] = 512,
    grid: Annotated[Path | None, typer.Option(help="Write the images here: content, style, output.")] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first so many pairs.")] = None,
    reference: ReferenceOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Print the content and style loss of a network's outputs (median over the pairs).

    A generator paints the content images of --pairs in the styles that it has learned, whose images --styles names.
    """
    with one_line_errors():
        runtime = runtime_of(device, dtype)
        references = read_references(reference) if reference else []
        trained = exporting.from_file(checkpoint)
        files = read_styles(styles, style_root) if styles else []
        evaluated = _evaluate(trained, pairs, files, vgg, size, limit, runtime, only or [])
        if grid:
            save_grid(evaluated, grid)
        Console().print(distance_table(str(checkpoint), evaluated, references, size))


def export(
    state: Annotated[Path, typer.Option(help="A training's state.pt, or an exported .safetensors to add styles to.")],
    out: Annotated[Path, typer.Option(help="The checkpoint; previews and card are written beside it.")] = SHIPPED,
    styles: StylesOption = None,
    style_root: StyleRootOption = Path(),
    paintings: Annotated[
        Path | None, typer.Option(help="CSV with file, origin: ship those of --styles that are in the public domain.")
    ] = None,
    preview_photo: Annotated[Path | None, typer.Option(help="Content image of the named styles' previews.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="Evaluate on these pairs, and store the result.")] = None,
    vgg: Annotated[str, typer.Option(help=f"The loss network for --pairs: {VGG_HELP}")] = "vgg16",
    size: Annotated[int, typer.Option(help="For --pairs: side of the square in pixels.")] = 512,
    reference: ReferenceOption = None,
    data_rights: Annotated[str, typer.Option(help="For the card: rights in the training's images.")] = "",
    note: Annotated[str, typer.Option(help="For the card: a note on the training.")] = "",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Write a checkpoint for the service, with previews, measured distances and model card.

    --styles become named styles of a network of any style; a generator compares its outputs with them, for --pairs.
    """
    with one_line_errors():
        runtime = runtime_of(device, dtype)
        references = read_references(reference) if reference else []
        trained = exporting.from_file(state, data_rights, note)
        files = read_styles(styles, style_root) if styles else []
        if files and isinstance(trained.network, AnyStyle):
            trained = exporting.with_styles(trained, files, runtime.device)
        measured = trained.metadata.measured
        if pairs:
            evaluated = _evaluate(trained, pairs, files, vgg, size, None, runtime)
            measured = exporting.measurement(evaluated, pairs, vgg, size, runtime, references)
        metadata = save(trained.network, out, replace(trained.metadata, measured=measured))
        out.with_suffix(".md").write_text(model_card(metadata, out.stem), encoding="utf-8")
        if preview_photo:
            exporting.paint_previews(trained, preview_photo, out.parent / "previews", runtime)
        if paintings:
            export_style_images(files, read_origins(paintings, style_root), out.parent / "paintings")
        typer.echo(f"{out}: {metadata.parameters:,} parameters, {len(metadata.styles)} styles")


def _evaluate(
    trained: exporting.Trained,
    table: Path,
    files: Sequence[StyleFile],
    vgg: str,
    size_px: int,
    limit: int | None,
    runtime: Runtime,
    only: Sequence[str] = (),
) -> list[EvaluatedPair]:
    if size_px < 32 or size_px % 32:
        raise SettingError(f"--size {size_px}: give a multiple of 32")
    keep_freed_memory()
    pairs = read_pairs(table)
    if not isinstance(trained.network, AnyStyle):
        pairs = learned_pairs([pair.content for pair in pairs], trained.metadata.styles, files, only)
    elif only:
        raise SettingError(f"--only {only[0]}: for a network of any style, --pairs names the style images")
    pairs = pairs[: positive("--limit", limit) if limit is not None else None]
    evaluating = evaluate_pairs(trained.network, load_vgg(vgg), pairs, size_px, runtime)
    console = Console(stderr=True)
    return list(track(evaluating, "pairs", len(pairs), console=console, disable=not console.is_terminal))


def sheet(
    out: Annotated[Path, typer.Option(help="The image file to write.")],
    checkpoints: Annotated[Path, typer.Option(help="A folder of exported checkpoints with their previews.")] = FOLDER,
    photo: Annotated[Path, typer.Option(help="The content image of the previews.")] = SAMPLE,
    style: Annotated[list[str] | None, typer.Option(help="Ids to show; all when not given.")] = None,
    columns: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Draw a contact sheet of the named styles of all networks."""
    with one_line_errors():
        catalog = read_catalog(checkpoints)
        styles = [catalog.style(name) for name in style] if style else catalog.styles
        contact_sheet(photo, styles, columns).save(out, quality=88)


def matrix(
    checkpoint: Annotated[Path, typer.Option(help="An exported network of any style.")],
    photo: Annotated[list[Path], typer.Option(help="A content image; may be repeated.")],
    painting: Annotated[list[Path], typer.Option(help="A style image; may be repeated.")],
    out: Annotated[Path, typer.Option(help="The image file to write.")],
    size: Annotated[int, typer.Option(help="Side of the stylized squares in pixels.", min=32)] = 512,
    cell: Annotated[int, typer.Option(help="Side of the squares in the image file.", min=32)] = 192,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Draw every content image in every style, as one grid."""
    with one_line_errors():
        runtime = runtime_of(device, dtype)
        grid = paint_matrix(load(checkpoint, AnyStyle), photo, painting, size, cell, runtime)
        out.parent.mkdir(parents=True, exist_ok=True)
        grid.save(out, quality=88)
