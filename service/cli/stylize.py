"""``stylize``: paint files, folders and pipes, in this process or by a running service."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli.files import FilePair, plan
from service.cli.look import Look, read_mix
from service.cli.progress import ProgressDisplay
from service.cli.terminal import EXIT_FAILED, Key, Server, clear_errors, console, say, say_error
from service.errors import InvalidField
from service.http.schemas import MAX_SEED
from service.optimisation import checked_method
from service.settings import load_settings

Color = Literal["style", "match", "luminance"]
Method = Literal["feedforward", "gatys"]


def stylize(
    photos: Annotated[list[str], typer.Argument(help="Files, folders with all that is below them, or - for stdin.")],
    style: Annotated[list[str], typer.Option(help="An image file or a style's id; up to four.")],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="A file for one photo, a folder for several, - for stdout.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Of several styles, in their order, such as 3,1.")] = None,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Strength of the style.")] = 1.0,
    color: Annotated[Color, typer.Option(help="Whose colours; match and luminance keep the photo's.")] = "style",
    mask: Annotated[
        list[Path] | None,
        typer.Option(help="Grey image: where a style applies; one for each.", exists=True, dir_okay=False),
    ] = None,
    style_size: Annotated[
        int | None, typer.Option(help="Longer side of the paintings, in pixels: the size of their strokes.")
    ] = None,
    size: Annotated[str, typer.Option(help="Longer side in pixels, or `original`.")] = "512",
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_SEED, help="For styles that take noise: the same seed paints the same again."),
    ] = None,
    format: Annotated[str | None, typer.Option(help="jpeg, png, webp or avif; else as the output's name ends.")] = None,
    quality: Annotated[int | None, typer.Option(min=1, max=100, help="Of lossy formats.")] = None,
    model: Annotated[str | None, typer.Option(help="The network; chosen by the styles when not given.")] = None,
    method: Annotated[Method, typer.Option(help="gatys optimises the picture: minutes, and paintings only.")] = (
        "feedforward"
    ),
    steps: Annotated[int | None, typer.Option(help="Of gatys: more take longer and come closer.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Paint also what is in the folder already.")] = False,
    server: Server = None,
    api_key: Key = None,
    in_flight: Annotated[int, typer.Option(min=1, max=64, help="Photos that the service is sent at once.")] = 4,
) -> None:
    """Paint files: in this process, or by a running service."""
    with clear_errors():
        checked_method(method, steps)
        pairs = plan(photos, out, format)
        left = pairs if overwrite else _unfinished(pairs, out)
        mix = read_mix(style, weights, mask or ())
        look = Look(
            styles=mix.styles,
            style_ids=mix.style_ids,
            weights=mix.weights,
            masks=mix.masks,
            alpha=alpha,
            color=color,
            style_size=style_size,
            size=size,
            seed=seed,
            format=format,
            quality=quality,
            model=model,
            method=method,
            steps=steps,
        )
        with ProgressDisplay(console, len(left), draws_seeds=seed is None) as display:
            _paint(left, look, server, api_key, in_flight, display)
    _conclude(display, len(pairs) - len(left))


def _unfinished(pairs: list[FilePair], out: str | None) -> list[FilePair]:
    """What is in a folder already was painted before; a file that is named itself shall be painted now."""
    if any(pair.output is None for pair in pairs):
        if sys.stdout.isatty():
            raise InvalidField("a picture is nothing for a terminal: name a file with --out, or a pipe", "out")
        return pairs
    is_folder = out is not None and [pair.output for pair in pairs] != [Path(out)]
    return [pair for pair in pairs if pair.output and not (is_folder and pair.output.exists())]


def _paint(
    pairs: list[FilePair], look: Look, server: str | None, api_key: str | None, in_flight: int, display: ProgressDisplay
) -> None:
    """Here or there; what is imported for the one costs the other nothing."""
    if not pairs:
        return
    if server:
        from service.cli.remote import paint_there

        asyncio.run(paint_there(pairs, look, server, api_key, in_flight, display))
    else:
        from service.cli.local import paint_here

        paint_here(pairs, look, load_settings(), display)


def _conclude(display: ProgressDisplay, skipped: int) -> None:
    for line in display.seeds:
        say(line)
    if skipped:
        say(f"{skipped} were there already and are left as they are; --overwrite paints them again")
    for line in display.failures:
        say_error(line)
    if display.failures:
        if len(display.failures) > 1:
            say_error(f"{len(display.failures)} could not be painted")
        raise typer.Exit(EXIT_FAILED)
