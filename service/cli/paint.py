"""``stylize paint``: paints files, folders and pipes, in this process or by a running service."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.files import FilePair, files_left_out, plan
from service.cli.options import read_request, request_options
from service.cli.progress import ProgressDisplay
from service.cli.terminal import EXIT_FAILED, Key, Server, clear_errors, console, say, say_error
from service.errors import InvalidField
from service.formats import NAMES
from service.request import StylizeRequest
from service.resolve import check_steps
from service.settings import load_settings

MOST_NAMED = 3
"""Names of files in one line."""


@request_options
def paint(
    photos: Annotated[list[str], typer.Argument(help="Files, folders with all that is below them, or - for stdin.")],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="A file for one photo, a folder for several, - for stdout.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Paint again what is in the folder already.")] = False,
    server: Server = None,
    api_key: Key = None,
    in_flight: Annotated[int, typer.Option(min=1, max=64, help="Requests to the service at once.")] = 4,
    **fields: Any,
) -> None:
    """Paint files: in this process, or by a running service."""
    with clear_errors():
        check_steps(fields["method"], fields["steps"])
        pairs = plan(photos, out, fields["format"])
        _name_left_out(files_left_out(photos, out))
        left = pairs if overwrite else _unfinished(pairs, out)
        request = read_request(fields)
        with ProgressDisplay(console, len(left), draws_seeds=request.seed is None) as display:
            _paint(left, request, server, api_key, in_flight, display)
    _conclude(display, len(pairs) - len(left))


def _name_left_out(paths: list[Path]) -> None:
    if paths:
        shown = ", ".join(str(path) for path in paths[:MOST_NAMED]) + (", …" if len(paths) > MOST_NAMED else "")
        say(f"{len(paths)} of the files are left out: {shown}; {NAMES} are read, so convert those that are photos")


def _unfinished(pairs: list[FilePair], out: str | None) -> list[FilePair]:
    """Leave out photos whose output exists in the folder; a single output file is always written."""
    if any(pair.output is None for pair in pairs):
        if sys.stdout.isatty():
            raise InvalidField("an image cannot be shown in a terminal: name a file with --out, or use a pipe", "out")
        return pairs
    is_folder = out is not None and [pair.output for pair in pairs] != [Path(out)]
    return [pair for pair in pairs if pair.output and not (is_folder and pair.output.exists())]


def _paint(
    pairs: list[FilePair],
    request: StylizeRequest[bytes],
    server: str | None,
    api_key: str | None,
    in_flight: int,
    display: ProgressDisplay,
) -> None:
    """Paint in this process or by a service, and import only what that needs."""
    if not pairs:
        return
    if server:
        from service.cli.remote import paint_there

        asyncio.run(paint_there(pairs, request, server, api_key, in_flight, display))
    else:
        from service.cli.local import paint_here

        paint_here(pairs, request, load_settings(), display)


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
