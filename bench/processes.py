"""Starts what is measured as the processes that run in production, and looks at them through ``/proc``."""

import os
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

READY_WITHIN_S = 90.0
STOP_PATIENCE_S = 45.0


class StartError(Exception):
    """The service did not become ready; holds the end of its log."""


@dataclass(frozen=True)
class Running:
    """A started service.

    Attributes:
        url: Where it answers.
        pid: Of the process that was started; its children are the others.
        ready_s: From start to the first good answer.
    """

    url: str
    pid: int
    ready_s: float


@dataclass(frozen=True)
class ProcessFacts:
    """What ``/proc`` says of a process."""

    resident_bytes: int
    has_torch: bool


@contextmanager
def running(command: str, path: str, environment: Mapping[str, str], every_s: float = 0.1) -> Iterator[Running]:
    """``python -m service COMMAND`` on a free port, from its first good answer at ``path`` to the end of the block.

    Raises:
        StartError: It ended, or gave no good answer in time.
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
                    raise StartError(f"`python -m service {command}` is not ready:\n{tail}")
                sleep(every_s)
            yield Running(url, process.pid, perf_counter() - started)
        finally:
            process.terminate()
            try:
                process.wait(STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def child_pid(parent: int, command: str) -> int | None:
    """The child ``python -m service COMMAND`` of a process; ``None`` where there is no such child, or no ``/proc``."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            is_child = f"\nPPid:\t{parent}\n" in (folder / "status").read_text()
        except OSError:
            continue  # it ended meanwhile
        if is_child and arguments[-3:-1] == [b"service", command.encode()]:
            return int(folder.name)
    return None


def process_facts(pid: int) -> ProcessFacts:
    """Memory and libraries of a process, on Linux."""
    folder = Path("/proc") / str(pid)
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    resident_kib = int(status["VmRSS"].split()[0])
    return ProcessFacts(resident_kib * 1024, "libtorch" in (folder / "maps").read_text())


def peak_resident_bytes() -> int | None:
    """Of this process since it began to run its program; ``None`` where there is no ``/proc``."""
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
