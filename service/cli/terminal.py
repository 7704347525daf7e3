"""Output, exit codes and options that the commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from model_store.catalog import CatalogError
from model_store.checkpoint_metadata import CheckpointError
from service.errors import InvalidField, NotFound, ServiceError
from service.settings import EXIT_CONFIGURATION, SettingsError
from stylize_client import StylizeError

EXIT_FAILED = 1
EXIT_USAGE = EXIT_CONFIGURATION

console = Console(stderr=True)
"""Console for messages to people; only results go to stdout."""

PIPE_WIDTH = 1000

Server = Annotated[
    str | None,
    typer.Option("--server", envvar="STYLIZE_URL", help="A running service, such as http://127.0.0.1:8000."),
]
Key = Annotated[str | None, typer.Option("--api-key", envvar="STYLIZE_API_KEY", help="API key of that service.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def output() -> Console:
    """Make a console for results: as wide as the terminal, or, in a pipe, as wide as the result."""
    found = Console()
    return found if found.is_terminal else Console(width=PIPE_WIDTH)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Show errors that the user can correct as one line, not as a traceback."""
    try:
        yield
    except ServiceError as err:
        say_error(err.detail)
        raise typer.Exit(EXIT_USAGE if isinstance(err, InvalidField | NotFound) else EXIT_FAILED) from err
    except (StylizeError, OSError) as err:
        say_error(str(err))
        raise typer.Exit(EXIT_FAILED) from err
    except (SettingsError, CatalogError, CheckpointError, ValueError) as err:
        say_error(str(err))
        raise typer.Exit(EXIT_USAGE) from err


def say(text: str) -> None:
    """Print a line for people."""
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def say_error(text: str) -> None:
    """Print a line in red."""
    console.print(text, style="red", highlight=False, soft_wrap=True, markup=False)
