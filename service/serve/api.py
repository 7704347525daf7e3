"""Process of the API: serves HTTP until a signal, then finishes the requests that it has accepted."""

import contextlib
import socket
import sys
from time import monotonic
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.http.app import create_app
from service.serve.protocol import Connection, connection_class
from service.settings import Settings

EXIT_NOT_STARTED = 3
TICKS_PER_S = 10
"""Rate of uvicorn's main loop."""


class Server(uvicorn.Server):
    """Tells the application when to stop, since endless responses would delay the end until the timeout."""

    def __init__(self, application: FastAPI, config: uvicorn.Config) -> None:
        """Make a server for ``application``, which ``config`` names too."""
        super().__init__(config)
        self._stopping = application.state.context.stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on SIGTERM or SIGINT."""
        self._stopping.set()
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Check the connections every second."""
        if counter % TICKS_PER_S == 0:
            now = monotonic()
            for connection in list(self.server_state.connections):
                assert isinstance(connection, Connection)
                connection.watch(now)
        return await super().on_tick(counter)


def make_server(settings: Settings) -> Server:
    """Make a server, which does not listen yet.

    Raises:
        CatalogError: The folder of checkpoints does not exist.
        ValueError: ``settings.redis_url`` is missing or malformed.
    """
    application = create_app(settings)
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # RequestScope logs with the request's id
        server_header=False,
        http=connection_class(settings),
        ws="none",
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=int(settings.request_timeout_s),
    )
    return Server(application, config)


def shared_socket(config: uvicorn.Config) -> socket.socket:
    """Listen on the server's address, which other processes may share (``SO_REUSEPORT``).

    Raises:
        OSError: Its system has no such option, or another service has the port.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(address)
    return listening


def serve(server: Server, shares_port: bool) -> None:
    """Serve until SIGTERM or SIGINT; exits with ``EXIT_NOT_STARTED`` if it cannot listen.

    Args:
        server: The server.
        shares_port: True if other processes listen on the same port: the kernel divides the connections among them.
    """
    with contextlib.suppress(KeyboardInterrupt):  # raised again when all has ended
        server.run([shared_socket(server.config)] if shares_port else None)
    if not server.started:
        sys.exit(EXIT_NOT_STARTED)
