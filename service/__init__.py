"""The inference service: HTTP API, queue, worker. ``python -m service --help``."""
