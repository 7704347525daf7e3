"""``python -m service``: the processes of the service, and commands for those who use it."""

from service.cli.app import app
from service.engine.threads import sleep_while_waiting

__all__ = ["app"]

if __name__ == "__main__":
    sleep_while_waiting()
    app()
