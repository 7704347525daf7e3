"""``stylize``: paint files, folders and pipes, in this process or by a running service."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.board import Board
from service.cli.errands import Errand, plan
from service.cli.options import read_request, request_options
from service.cli.terminal import EXIT_FAILED, Key, Server, clear_errors, console, say, say_error
from service.errors import InvalidField
from service.request import StylizeRequest
from service.resolve import check_steps
from service.settings import load_settings


@request_options
def stylize(
    photos: Annotated[list[str], typer.Argument(help="Files, folders with all that is below them, or - for stdin.")],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="A file for one photo, a folder for several, - for stdout.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Paint also what is in the folder already.")] = False,
    server: Server = None,
    api_key: Key = None,
    in_flight: Annotated[int, typer.Option(min=1, max=64, help="Photos that the service is sent at once.")] = 4,
    **fields: Any,
) -> None:
    """Paint files: in this process, or by a running service."""
    with clear_errors():
        check_steps(fields["method"], fields["steps"])
        errands = plan(photos, out, fields["format"])
        left = errands if overwrite else _unfinished(errands, out)
        request = read_request(fields)
        with Board(console, len(left), draws_seeds=request.seed is None) as board:
            _paint(left, request, server, api_key, in_flight, board)
    _conclude(board, len(errands) - len(left))


def _unfinished(errands: list[Errand], out: str | None) -> list[Errand]:
    """What is in a folder already was painted before; a file that is named itself shall be painted now."""
    if any(errand.output is None for errand in errands):
        if sys.stdout.isatty():
            raise InvalidField("a picture is nothing for a terminal: name a file with --out, or a pipe", "out")
        return errands
    is_folder = out is not None and [errand.output for errand in errands] != [Path(out)]
    return [errand for errand in errands if errand.output and not (is_folder and errand.output.exists())]


def _paint(
    errands: list[Errand],
    request: StylizeRequest[bytes],
    server: str | None,
    api_key: str | None,
    in_flight: int,
    board: Board,
) -> None:
    """Here or there; what is imported for the one costs the other nothing."""
    if not errands:
        return
    if server:
        from service.cli.remote import paint_there

        asyncio.run(paint_there(errands, request, server, api_key, in_flight, board))
    else:
        from service.cli.local import paint_here

        paint_here(errands, request, load_settings(), board)


def _conclude(board: Board, skipped: int) -> None:
    for line in board.seeds:
        say(line)
    if skipped:
        say(f"{skipped} were there already and are left as they are; --overwrite paints them again")
    for line in board.failures:
        say_error(line)
    if board.failures:
        if len(board.failures) > 1:
            say_error(f"{len(board.failures)} could not be painted")
        raise typer.Exit(EXIT_FAILED)
