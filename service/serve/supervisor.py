"""Several processes under one supervisor: all of ``serve``, or several of ``api`` or of ``worker``.

The children are started by the same commands as in production, and restarted when they die. Ctrl-C, SIGTERM or SIGHUP
ends them in order: the API finishes its requests, the workers drain, the queue ends last. If the supervisor itself is
killed, they end in the same order (``parent``).
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal, get_args

from rich.console import Console

from model_store.catalog import Catalog, CatalogError, default_folder, read_catalog
from service.serve.devices import count_workers
from service.serve.embedded import FLUSHED_WITHIN_S
from service.serve.parent import VARIABLE as PARENT_PIPE
from service.settings import EXIT_CONFIGURATION, Settings

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without the proxy that an environment may name, which knows nothing of this machine's own addresses."""

SOCKET_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
"""For the queue's socket, where ``TMPDIR`` is too long for one, or has characters that need quoting in a URL."""

PLAIN = re.compile(r"[\w./-]{1,60}", re.ASCII)

QUEUE = "service.serve.embedded"
Part = Literal["queue", "worker", "api"]
ENDING: tuple[Part, ...] = ("api", "worker", "queue")
"""The order in which they end."""

SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""Prometheus' variable with the folder in which several API processes count together."""

LIVED_LONG_S = 20.0
LONGEST_PAUSE_S = 15.0
LISTENS_WITHIN_S = 10.0


@dataclass(frozen=True)
class Child:
    """A process that is kept running.

    Attributes:
        command: Arguments after ``python -m``.
        patience_s: Time that its end may take.
        must_start: The service cannot run if this process ends before the service was ready.
    """

    part: Part
    name: str
    command: tuple[str, ...]
    patience_s: float
    must_start: bool = False


class Supervisor:
    """Starts the processes of one machine and ends them together."""

    def __init__(self, settings: Settings, parts: Container[Part] = get_args(Part)) -> None:
        self._settings = settings
        self._parts = parts
        self._console = Console(stderr=True)
        self._stop = asyncio.Event()
        self._exit_code = 0
        self._ready = False
        # Never written to or closed: each ends with this process and with the children that end before its own.
        self._pipes = {part: os.pipe() for part in ENDING}

    async def run(self) -> int:
        """Run until a signal, or until the service cannot run; returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as ``nohup`` has it
                loop.add_signal_handler(number, self._stop.set)
        if "api" in self._parts and (reason := _unusable(self._settings.host, self._settings.port)) is not None:
            self._console.print(f"{reason}; STYLIZE_HOST and STYLIZE_PORT choose another address", highlight=False)
            return EXIT_CONFIGURATION
        with tempfile.TemporaryDirectory(prefix="stylize-", dir=_socket_root(), ignore_cleanup_errors=True) as folder:
            await self._run_children(Path(folder))
        return self._exit_code

    async def _run_children(self, folder: Path) -> None:
        environment = dict(os.environ)
        queue = await self._start_queue(folder, environment) if "queue" in self._parts else []
        environment.setdefault("STYLIZE_LOG_FORMAT", "text")
        workers, api = [], []
        if "worker" in self._parts:
            environment["STYLIZE_WORKERS"] = str(await count_workers(self._settings))
            workers = self._start_several("worker", int(environment["STYLIZE_WORKERS"]), environment)
        if "api" in self._parts:
            if self._settings.api_processes > 1:
                environment[SHARED_METRICS] = str(folder)
            api = self._start_several("api", self._settings.api_processes, environment)
            announcement = asyncio.create_task(self._announce())
        await self._stop.wait()
        if api:
            announcement.cancel()
        for children in (api, workers, queue):
            await asyncio.gather(*(self._end(child) for child in children))

    async def _start_queue(self, folder: Path, environment: dict[str, str]) -> "list[asyncio.Task[None]]":
        """Start the embedded queue, unless the settings name one, and put its address into the environment."""
        if self._settings.redis_url is not None:
            return []
        path = folder / "queue.sock"
        environment["STYLIZE_REDIS_URL"] = f"unix://{path}"
        kept = [] if self._settings.data_dir is None else [str(self._settings.data_dir)]
        queue = self._start(Child("queue", "queue", (QUEUE, str(path), *kept), FLUSHED_WITHIN_S + 5, True), environment)
        await self._wait_for(path)
        return [queue]

    def _start_several(self, part: Part, count: int, environment: dict[str, str]) -> "list[asyncio.Task[None]]":
        patience_s = self._settings.request_timeout_s + self._settings.drain_timeout_s
        commands = [("service", part, "--index", str(index)) for index in range(count)]
        children = [
            Child(part, f"{part} {i}", command, patience_s, part == "api") for i, command in enumerate(commands, 1)
        ]
        return [self._start(child, environment) for child in children]

    def _start(self, child: Child, environment: dict[str, str]) -> "asyncio.Task[None]":
        return asyncio.create_task(self._keep_running(child, environment), name=child.name)

    async def _end(self, child: "asyncio.Task[None]") -> None:
        child.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await child

    async def _keep_running(self, child: Child, environment: dict[str, str]) -> None:
        """Start the process, and restart it when it ends; when cancelled, end it."""
        pause_s = 0.5
        while True:
            started = monotonic()
            process = await self._spawn(child, environment)
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                await _terminate(process, child.patience_s)
                raise
            if code == EXIT_CONFIGURATION or (child.must_start and not self._ready):
                self._give_up(f"the {child.name} cannot run (exit code {code}); its log above says why")
                return
            lived_s = monotonic() - started
            pause_s = 0.5 if lived_s > LIVED_LONG_S else min(2 * pause_s, LONGEST_PAUSE_S)
            self._console.print(f"The {child.name} ended with exit code {code}; restarting it in {pause_s:g} s.")
            await asyncio.sleep(pause_s)

    async def _spawn(self, child: Child, environment: dict[str, str]) -> asyncio.subprocess.Process:
        """Start ``python -m`` in a session of its own, so that the terminal's Ctrl-C reaches the supervisor alone."""
        own, *later = (self._pipes[part] for part in ENDING[ENDING.index(child.part) :])
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *child.command,
            env={**environment, PARENT_PIPE: str(own[0])},
            pass_fds=[own[0], *(held_end for _, held_end in later)],
            start_new_session=True,
        )

    async def _wait_for(self, socket: Path) -> None:
        """Wait until the embedded queue listens; it may still be loading its data then, and responds with that."""
        deadline = monotonic() + LISTENS_WITHIN_S
        while not socket.exists() and not self._stop.is_set():
            if monotonic() > deadline:
                self._give_up("the embedded queue did not start")
            await asyncio.sleep(0.02)

    def _give_up(self, reason: str) -> None:
        self._console.print(f"Stopping: {reason}.")
        self._exit_code = EXIT_CONFIGURATION
        self._stop.set()

    async def _announce(self) -> None:
        """Print the address of the service once it is ready."""
        host = "127.0.0.1" if self._settings.host in ("0.0.0.0", "::") else self._settings.host
        url = f"http://{f'[{host}]' if ':' in host else host}:{self._settings.port}"
        while not await asyncio.to_thread(_answers, f"{url}/readyz?worker=1"):
            await asyncio.sleep(0.2)
        self._ready = True
        try:
            catalog = read_catalog(self._settings.checkpoints or default_folder())
        except CatalogError:
            catalog = Catalog(())
        style = catalog.styles[0].id if catalog.styles else "ID"
        sample = os.path.relpath(default_folder() / "sample.jpg")
        self._console.print(f"\n[bold]Stylize is ready:[/bold] {url}   (docs: {url}/docs)", highlight=False)
        self._console.print(
            f"Try: curl -F content=@{sample} -F style_id={style} -o painted.jpg {url}/stylize\n",
            highlight=False,
            soft_wrap=True,
        )


async def _terminate(process: asyncio.subprocess.Process, patience_s: float) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), patience_s)
    except TimeoutError:
        process.kill()
        await process.wait()


def _unusable(host: str, port: int) -> str | None:
    """Try to listen there; returns the reason if that is impossible."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as err:
        return f"cannot listen on {host}, port {port}: {err.strerror}"
    return None


def _socket_root() -> str:
    """Return a folder in which the path of a socket is short and plain."""
    roots = (tempfile.gettempdir(), *SOCKET_FOLDERS)
    return next((root for root in roots if PLAIN.fullmatch(root) and os.access(root, os.W_OK | os.X_OK)), roots[0])


def _answers(url: str) -> bool:
    try:
        with DIRECT.open(url, timeout=2) as answer:
            return bool(json.load(answer)["ready"])
    except (urllib.error.URLError, OSError, ValueError, KeyError):
        return False
