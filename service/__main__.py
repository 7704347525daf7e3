"""``python -m service``: the processes of the service, and the same work on files without it."""

import asyncio
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from model_store.catalog import CatalogError, CheckpointError
from service.errors import ServiceError
from service.logs import set_up_logging
from service.schemas import MAX_SEED
from service.settings import EXIT_CONFIGURATION, Settings, SettingsError, load_settings

app = typer.Typer(
    help="Style transfer as a service. Settings are STYLIZE_* environment variables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console(stderr=True)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """What the user can mend is one line, not a traceback."""
    try:
        yield
    except (SettingsError, CatalogError, CheckpointError, ValueError) as err:
        console.print(str(err), style="red", highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_CONFIGURATION) from err
    except ServiceError as err:
        console.print(err.detail, style="red", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from err


def _queue_url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise SettingsError("STYLIZE_REDIS_URL is not set: this process needs a queue; `serve` brings its own")
    return settings.redis_url


@app.command()
def serve() -> None:
    """Run everything on this machine: embedded Redis unless STYLIZE_REDIS_URL is set, the API and workers."""
    from service.processes.supervisor import Supervisor

    with _clear_errors():
        settings = load_settings()

    async def run() -> int:
        return await Supervisor(settings).run()

    raise typer.Exit(asyncio.run(run()))


@app.command()
def api() -> None:
    """Run the HTTP API."""
    from service.processes.api import make_server, serve

    with _clear_errors():
        settings = load_settings()
        _queue_url(settings)
        set_up_logging(settings)
        server = make_server(settings)
    serve(server)


@app.command()
def worker() -> None:
    """Run one worker, on one device."""
    from service.processes.worker import run_worker

    with _clear_errors():
        settings = load_settings()
        set_up_logging(settings)
        run_worker(settings, _queue_url(settings))


@app.command()
def key(name: Annotated[str, typer.Argument(help="Of the client: it stands in the log.")]) -> None:
    """Make an API key, and its entry for the setting STYLIZE_API_KEYS, which holds its hash."""
    from service.edge.api_keys import new_key

    with _clear_errors():
        secret, entry = new_key(name)
    console.print(
        "The key is for the client, and is nowhere kept. The entry is for the settings; commas stand between several.",
        highlight=False,
        soft_wrap=True,
    )
    print(f"key:   {secret}\nentry: STYLIZE_API_KEYS={entry}")


@app.command()
def worker_health() -> None:
    """Exit with 0 if a worker on this host has given a sign of life lately: a container's health check."""
    from service.queue import JobQueue

    async def lives(settings: Settings) -> bool:
        queue = JobQueue(_queue_url(settings), settings, "worker-health")
        try:
            beats = (await queue.status()).workers
        finally:
            await queue.close()
        return any(beat.says["host"] == platform.node() and beat.is_ready(settings.lease_ms) for beat in beats)

    with _clear_errors():
        alive = asyncio.run(lives(load_settings()))
    raise typer.Exit(0 if alive else 1)


@app.command()
def stylize(
    photos: Annotated[list[Path], typer.Argument(help="Photos to paint.", exists=True, dir_okay=False)],
    style: Annotated[list[str], typer.Option(help="An image file or a style's id; up to four.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A file for one photo, a folder for several.")],
    weights: Annotated[str | None, typer.Option(help="Of several styles, such as 3,1; files first, then ids.")] = None,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Strength of the style.")] = 1.0,
    size: Annotated[str, typer.Option(help="Longer side in pixels, or `original`.")] = "512",
    format: Annotated[str | None, typer.Option(help="jpeg, png, webp or avif; else as --out ends.")] = None,
    quality: Annotated[int | None, typer.Option(min=1, max=100, help="Of lossy formats.")] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_SEED, help="For styles that take noise: the same seed paints the same again."),
    ] = None,
) -> None:
    """Paint files in this process, without a server."""
    from service.offline import Look, plan_outputs, stylize_files

    with _clear_errors():
        settings = load_settings()
        outputs = plan_outputs(photos, out, format)
        look = Look(style, weights, alpha, size, format, quality, seed)
        failed, drawn = [], []
        with Progress(console=console, disable=not console.is_terminal or len(photos) == 1) as progress:
            for outcome in progress.track(
                stylize_files(photos, outputs, look, settings), total=len(photos), description="painting"
            ):
                if outcome.error is not None:
                    failed.append(f"{outcome.photo}: {outcome.error}")
                elif outcome.seed is not None and seed is None:
                    drawn.append(f"{outcome.written}: seed {outcome.seed}")
    for line in drawn:
        console.print(line, highlight=False, soft_wrap=True)
    for line in failed:
        console.print(line, style="red", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    app()
