"""``swift``, ``adain``, ``generator`` and ``add-style``: the commands that train."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from model_store.checkpoint_metadata import read_metadata
from train.adain import AdaINTask
from train.cli.options import VGG_HELP, ContentOption, StyleRootOption, StylesOption
from train.cli.run import Run, training_command
from train.generator import new_network, with_new_row
from train.recipe import SettingError
from train.recipes import ADAIN_RECIPES, ADD_STYLE_RECIPES, GENERATOR_RECIPES, SWIFT_RECIPES
from train.swift import SwiftTask
from train.tables import StyleFile, read_styles, unnamed_style

LossNetworkOption = Annotated[str, typer.Option("--vgg", help=f"The loss network: {VGG_HELP}")]
StyleOption = Annotated[list[Path] | None, typer.Option(help="Image of a style; its name becomes the id. Repeat it.")]
PaintingsOption = Annotated[list[Path], typer.Option("--style", help="Folder of paintings; may be repeated.")]
EncoderOption = Annotated[
    str | None, typer.Option("--vgg", help=f"Encoder: {VGG_HELP} [default: vgg16, or that of --init]")
]
OnlyOption = Annotated[list[str] | None, typer.Option(help="Id of the table to train; all of them when not given.")]


@training_command(SWIFT_RECIPES, "runs/swift")
def swift(run: Run, content: ContentOption, style: PaintingsOption, vgg: EncoderOption = None) -> None:
    """Train swift: one small network for any style, fast on a CPU."""
    run.train_any_style(SwiftTask, content, style, vgg)


@training_command(ADAIN_RECIPES, "runs/adain")
def adain(run: Run, content: ContentOption, style: PaintingsOption, vgg: EncoderOption = None) -> None:
    """Train AdaIN: one network for any style."""
    run.train_any_style(AdaINTask, content, style, vgg)


@training_command(GENERATOR_RECIPES, "runs/generator")
def generator(
    run: Run,
    content: ContentOption,
    network: Annotated[str, typer.Option(help="residual, pyramid or another that learns its styles.")] = "residual",
    norm: Annotated[str, typer.Option(help="instance (one style), conditional or batch.")] = "conditional",
    style: StyleOption = None,
    styles: StylesOption = None,
    only: OnlyOption = None,
    style_root: StyleRootOption = Path(),
    vgg: LossNetworkOption = "vgg16",
    init_style: Annotated[str | None, typer.Option(help="Start every style as this one of --init's.")] = None,
) -> None:
    """Train a generator with learned styles: a fast network for a fixed set of styles."""
    files = _style_files(style or [], styles, only or [], style_root)
    arguments = {"norm": norm, "styles": len(files)}
    run.train_generator(
        lambda: new_network(network, arguments, run.init, run.seed, init_style), files, content, vgg, {}
    )


@training_command(ADD_STYLE_RECIPES, "runs/add-style", without=("init",))
def add_style(
    run: Run,
    content: ContentOption,
    model: Annotated[Path, typer.Option(help="An exported conditional generator.")],
    style: StyleOption = None,
    styles: StylesOption = None,
    only: OnlyOption = None,
    style_root: StyleRootOption = Path(),
    vgg: LossNetworkOption = "vgg16",
) -> None:
    """Train one more style of a conditional generator: its convolutions are frozen, only the new row is trained."""
    files = _style_files(style or [], styles, only or [], style_root)
    if len(files) != 1:
        raise SettingError(f"got {len(files)} styles: one is added at a time")
    known = read_metadata(model)
    if files[0].named.id in {named.id for named in known.styles}:
        raise SettingError(f"{model} has a style {files[0].named.id!r} already: rename {files[0].path}, or its row")
    plan = with_new_row(model)
    before = {"model": model.name, "sha256": known.sha256, "known": [asdict(named) for named in known.styles]}
    run.train_generator(lambda: plan, files, content, vgg, before)


def _style_files(images: Sequence[Path], table: Path | None, only: Sequence[str], root: Path) -> list[StyleFile]:
    if bool(images) == (table is not None):
        raise SettingError("give the styles either as --style, one or more, or as --styles with a table")
    if table is None:
        named = [unnamed_style(path) for path in images]
        for number, file in enumerate(named):
            if (other := next((one for one in named[:number] if one.named.id == file.named.id), None)) is not None:
                raise SettingError(f"{other.path} and {file.path} would both be {file.named.id!r}: rename one of them")
        return named
    files = {file.named.id: file for file in read_styles(table, root)}
    if unknown := [style_id for style_id in only if style_id not in files]:
        raise SettingError(f"--only {unknown[0]}: {table} has {', '.join(files)}")
    return [files[style_id] for style_id in only or files]
