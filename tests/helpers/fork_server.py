"""Processes of the service that start in milliseconds: forked from one that has imported all they need.

``stylize worker`` imports torch and FastAPI for seconds before it does anything. Here one server process per
test run imports them, once, and forks. What comes out is a process like any other: a pid and signals of its own, its
own environment, and the output, working folder and arguments that it was given.

Run as a script, this file is the server; ``Forks`` is the tests' end of it.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMPORTED = (
    "service.serve.api",
    "service.serve.worker",
    "service.cli.processes",
    "service.cli.local",
    "service.cli.remote",
)
"""What the processes would import first; nothing of it may start a thread."""

LONGEST_MESSAGE = 128 * 1024


class ForkedProcess:
    """A process that runs; may be used as a ``subprocess.Popen`` is."""

    def __init__(self, status: socket.socket) -> None:
        """``status`` tells the pid, and the exit code when there is one."""
        self._status = status
        self.returncode: int | None = None
        self.pid = int(status.recv(32))

    def poll(self) -> int | None:
        """The exit code, negative for a signal; ``None`` while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it is there.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._status, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self.returncode = int(self._status.recv(32))
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Do nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class Forks:
    """The tests' end of a fork server; ``close`` ends it and all that it has forked."""

    def __init__(self) -> None:
        """Start the server; it is ready when the first process is."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self._server = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, cwd=ROOT)

    def start(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        folder: Path | None = None,
        stdout: int = 1,
        stderr: int = 2,
        before: str = "",
    ) -> ForkedProcess:
        """``stylize ARGUMENTS``.

        Args:
            arguments: Of the command.
            environment: All of it.
            folder: Where it runs, here if not given.
            stdout: A file descriptor of this process.
            stderr: A file descriptor of this process.
            before: Python code that the process runs first, to break what a test wants broken.
        """
        status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        message = {
            "arguments": arguments,
            "environment": dict(environment),
            "folder": str(folder or Path.cwd()),
            "before": before,
        }
        with theirs:
            socket.send_fds(self._control, [json.dumps(message).encode()], [stdout, stderr, theirs.fileno()])
        return ForkedProcess(status)

    def close(self) -> None:
        """End the server; what it has forked and still runs is killed."""
        self._control.close()
        self._server.wait()


@cache
def forks() -> Forks:
    """The fork server of this process; the first who asks starts it."""
    return Forks()


def end_forks() -> None:
    """End the fork server, if there is one."""
    if forks.cache_info().currsize:
        forks().close()
        forks.cache_clear()


# ---- the server's side --------------------------------------------------------------------------------------------


class Server:
    """Forks on demand and tells how the processes end."""

    def __init__(self, control: socket.socket) -> None:
        """``control`` brings the demands; its end is the server's."""
        self._control = control
        self._running: dict[int, socket.socket] = {}
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)

    def serve(self) -> dict[str, object] | None:
        """Serve until the tests end: ``None``. In a forked process, return what it is to do."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C ends the tests, and they end the server
        signal.set_wakeup_fd(self._waker.fileno())
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        self._woken.recv(4096)
                        self._tell_ends()
                        continue
                    data, descriptors, _, _ = socket.recv_fds(self._control, LONGEST_MESSAGE, 3)
                    if not data:
                        self._kill_all()
                        return None
                    if (task := self._fork(json.loads(data), descriptors)) is not None:
                        return task

    def _fork(self, task: dict[str, object], descriptors: list[int]) -> dict[str, object] | None:
        stdout, stderr, status = descriptors
        pid = os.fork()
        if pid == 0:
            self._become(task, stdout, stderr)
            os.close(status)
            return task
        os.close(stdout)
        os.close(stderr)
        self._running[pid] = socket.socket(fileno=status)
        self._running[pid].send(str(pid).encode())
        return None

    def _become(self, task: dict[str, object], stdout: int, stderr: int) -> None:
        """Make the forked process what a new one would be."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for other in (self._control, self._woken, self._waker, *self._running.values()):
            other.close()
        for descriptor, number in ((stdout, 1), (stderr, 2)):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(str(task["folder"]))
        os.environ.clear()
        os.environ.update(task["environment"])  # type: ignore[call-overload]
        time.tzset()

    def _tell_ends(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with self._running.pop(pid) as told, contextlib.suppress(OSError):  # the test may have gone
                told.send(str(os.waitstatus_to_exitcode(status)).encode())

    def _kill_all(self) -> None:
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main() -> None:
    """Import, serve, and in each forked process run the command."""
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path[0] = str(ROOT)
    from service.engine.threads import sleep_while_waiting

    sleep_while_waiting()
    for name in IMPORTED:
        __import__(name)
    gc.freeze()
    task = Server(control).serve()
    if task is not None:
        os._exit(run(task))


def run(task: dict[str, object]) -> int:
    """Run a forked process's command to its end; returns the exit code.

    The interpreter is not taken down: for what it has imported that takes a second, and it ends nothing but memory.
    """
    code = 0
    try:
        exec(str(task["before"]), {})
        sys.argv = ["service", *task["arguments"]]  # type: ignore[misc]
        runpy.run_module("service", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    main()
