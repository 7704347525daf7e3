"""Running services for tests: shared by all that ask for the same, or started for one test alone."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import Service, free_port

MOST_SHARED = 4
"""Shared services that run at once: an idle one still asks its queue for work. A module may use as many."""

SETTINGS = {"log_format": "text", "block_ms": 100, "warm_up_px": 64}
"""Unlike the defaults: for people, and quick."""


class Services:
    """Shared services by what they are started with. Who kills or stops something starts a service of its own."""

    def __init__(self, queue_url: str) -> None:
        """Nothing is started before it is asked for."""
        self._queue_url = queue_url
        self._shared: dict[object, Service] = {}

    def shared(self, checkpoints: Path, workers: int = 1, **settings: object) -> Service:
        """The service with these checkpoints and settings; it is started by the first who asks for it."""
        key = (checkpoints, workers, *sorted(settings.items()))
        service = self._shared.pop(key, None)
        if service is not None and not service.is_whole():
            service.stop()
            service = None
        if service is None:
            while len(self._shared) >= MOST_SHARED:
                self._shared.pop(next(iter(self._shared))).stop()
            service = self.started(checkpoints, workers, **settings)
        self._shared[key] = service  # the last is the one that was asked for last
        return service

    def started(self, checkpoints: Path, workers: int = 1, before: str = "", **settings: object) -> Service:
        """A service of the caller's own, who stops it; keyword arguments are settings.

        ``before`` is code that each of its processes runs first, to break what a test wants broken.
        """
        values = {
            "redis_url": self._queue_url,
            "key_prefix": f"test-{os.urandom(4).hex()}",
            "checkpoints": checkpoints,
            "port": free_port(),
            **SETTINGS,
            **settings,
        }
        service = Service({f"STYLIZE_{name.upper()}": str(value) for name, value in values.items()}, before)
        try:
            service.start(workers)
        except BaseException:
            service.stop()
            raise
        return service

    @contextmanager
    def starter(self, checkpoints: Path) -> Iterator[Callable[..., Service]]:
        """A function that starts services, with these checkpoints or its own; all end with the context."""
        started: list[Service] = []

        def start(workers: int = 1, checkpoints: Path = checkpoints, **settings: object) -> Service:
            started.append(self.started(checkpoints, workers, **settings))
            return started[-1]

        try:
            yield start
        finally:
            for service in started:
                service.stop()

    def stop(self) -> None:
        """End those that are shared."""
        while self._shared:
            self._shared.popitem()[1].stop()
