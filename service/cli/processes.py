"""Commands that run the processes of the service, and those for its operator."""

import asyncio
import platform
from typing import Annotated

import typer

from service.cli.terminal import clear_errors, say
from service.logs import set_up_logging
from service.settings import Settings, SettingsError, load_settings


def serve() -> None:
    """Run everything on this machine: embedded Redis unless STYLIZE_REDIS_URL is set, the API and workers."""
    from service.serve.supervisor import Supervisor

    with clear_errors():
        settings = load_settings()
    raise typer.Exit(asyncio.run(Supervisor(settings).run()))


def api() -> None:
    """Run the HTTP API."""
    from service.serve.api import make_server, serve
    from service.serve.parent import end_with_parent

    end_with_parent()
    with clear_errors():
        settings = load_settings()
        _queue_url(settings)
        set_up_logging(settings)
        server = make_server(settings)
    serve(server)


def worker() -> None:
    """Run one worker, on one device."""
    from service.serve.parent import end_with_parent

    end_with_parent()
    from service.serve.worker import run_worker

    with clear_errors():
        settings = load_settings()
        set_up_logging(settings)
        run_worker(settings, _queue_url(settings))


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


def _queue_url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise SettingsError("STYLIZE_REDIS_URL is not set: this process needs a queue; `serve` starts its own")
    return settings.redis_url
