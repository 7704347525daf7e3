"""``python -m service``: the processes of the service, and commands for those who use it."""

from service.cli.app import app

__all__ = ["app"]

if __name__ == "__main__":
    app()
