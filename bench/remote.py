"""An object in a process of its own, so that its measurement neither affects this process nor is affected by it.

``model_store.runtime.keep_freed_memory`` changes the allocator of a whole process, so our engine and the baseline
cannot run in one; and the client of a measured service should not have torch's threads.
"""

import multiprocessing
import os
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

STOP_PATIENCE_S = 5.0

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["torch", "torchvision"])  # read once: most of a process's start


class RemoteError(Exception):
    """The other process failed; contains its traceback."""


class Remote:
    """Calls methods of an object in a child process; a context manager that ends the process."""

    def __init__(self, make: Callable[..., object], *arguments: object) -> None:
        """Start a process that makes the object; ``make`` and its arguments must be importable there."""
        self._pipe, theirs = PROCESSES.Pipe()
        self._process = PROCESSES.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def call(self, method: str, *arguments: object) -> Any:
        """Call a method; returns its result.

        Raises:
            RemoteError: The method raised, or the process has ended.
        """
        try:
            self._pipe.send((method, arguments))
            is_result, answer = self._pipe.recv()
        except (EOFError, ConnectionError) as err:
            self._process.join(STOP_PATIENCE_S)
            raise RemoteError(f"the process ended with exit code {self._process.exitcode}") from err
        if not is_result:
            raise RemoteError(answer)
        return answer

    def __enter__(self) -> "Remote":
        """Return the remote object."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(STOP_PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(pipe: Connection, make: Callable[..., object], arguments: tuple[object, ...]) -> None:
    # Like the supervisor's children: Ctrl-C is for the parent, and on a busy machine, where Linux divides time among
    # process groups, the baseline gets no less of it than the service.
    os.setsid()
    made, failure = None, ""
    try:
        made = make(*arguments)
    except Exception:
        failure = traceback.format_exc()
    while True:
        try:
            method, parameters = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((False, failure) if failure else (True, getattr(made, method)(*parameters)))
        except Exception:
            pipe.send((False, traceback.format_exc()))
