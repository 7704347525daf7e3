"""Commands that run the processes of the service, and those for its operator."""

import asyncio
import os
import platform
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from service.cli.terminal import clear_errors, say
from service.logs import set_up_logging
from service.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from service.serve.supervisor import Part


Index = Annotated[int | None, typer.Option(hidden=True, help="Number among the supervisor's children, from 0.")]


def serve() -> None:
    """Run everything on this machine: embedded Redis unless STYLIZE_REDIS_URL is set, the API and workers."""
    _supervise(_settings())


def api(index: Index = None) -> None:
    """Run the HTTP API, in as many processes as STYLIZE_API_PROCESSES says."""
    from service.serve.api import make_server, serve
    from service.serve.parent import end_with_parent

    end_with_parent()
    settings = _settings()
    with clear_errors():
        _queue_url(settings)
        if index is None and settings.api_processes > 1:
            _supervise(settings, "api")
        set_up_logging(settings)
        server = make_server(settings)
    serve(server, settings.api_processes > 1)


def worker(
    count: Annotated[
        str | None,
        typer.Option(help="Several workers under one supervisor: a number, or `auto` for one on each GPU."),
    ] = None,
    index: Index = None,
) -> None:
    """Run one worker, on one device, or several."""
    from service.serve.parent import end_with_parent

    end_with_parent()
    if count is not None:
        os.environ["STYLIZE_WORKERS"] = count
    settings = _settings()
    with clear_errors():
        redis_url = _queue_url(settings)
        if count is not None:
            _supervise(settings, "worker")
        set_up_logging(settings)
        from service.serve.worker import run_worker

        run_worker(settings, redis_url, index or 0)


def key(name: Annotated[str, typer.Argument(help="Name of the client, which the log shows.")]) -> None:
    """Make an API key, and the entry with its hash for the setting STYLIZE_API_KEYS."""
    from service.api_keys import new_key

    with clear_errors():
        secret, entry = new_key(name)
    say("The key is for the client, and is stored nowhere. The entry is for the settings; commas separate several.")
    print(f"key:   {secret}\nentry: STYLIZE_API_KEYS={entry}")


def worker_health() -> None:
    """Exit with 0 if a worker on this host is ready: a health check for containers."""
    from service.queue.queue import JobQueue

    async def lives(settings: Settings) -> bool:
        queue = JobQueue(_queue_url(settings), settings, "worker-health")
        try:
            workers = (await queue.status()).workers
        finally:
            await queue.close()
        return any(worker.about["host"] == platform.node() and worker.is_ready(settings.lease_ms) for worker in workers)

    with clear_errors():
        alive = asyncio.run(lives(load_settings()))
    raise typer.Exit(0 if alive else 1)


def _settings() -> Settings:
    with clear_errors():
        return load_settings()


def _supervise(settings: Settings, *parts: "Part") -> NoReturn:
    """Run processes of these parts, by default of all, until a signal; then exit."""
    from service.serve.supervisor import Supervisor

    raise typer.Exit(asyncio.run(Supervisor(settings, *([parts] if parts else [])).run()))


def _queue_url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise SettingsError("STYLIZE_REDIS_URL is not set: this process needs a queue; `serve` starts its own")
    return settings.redis_url
