"""The inference service: HTTP API, queue, worker. ``stylize --help``."""

from importlib import metadata

VERSION = metadata.version("stylize-server")
