"""Real processes of the service, for tests from end to end."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from io import BytesIO

import httpx
from fork_server import ForkedProcess, forks
from PIL import Image
from redis import Redis

from service.queue.jobs import Lane
from service.queue.keys import Keys

READY_WITHIN_S = 110.0
"""The first process waits for the fork server, which imports torch: seconds, but on a machine that has other work."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Until ``condition`` is true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def photo(width: int = 64, height: int = 48, seed: int = 0) -> bytes:
    """A small PNG; another seed gives another picture."""
    colours = [((seed * 37 + index * 91) % 256, (index * 53) % 256, (seed * 11) % 256) for index in range(12)]
    image = Image.new("RGB", (4, 3))
    image.putdata(colours)
    file = BytesIO()
    image.resize((width, height), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


class Service:
    """An API process and some worker processes, under our control one by one."""

    def __init__(self, settings: dict[str, str], before: str = "") -> None:
        """``before`` is code that each process runs first."""
        self._environment = {**os.environ, **settings}
        self._before = before
        self.settings = settings
        self.url = f"http://127.0.0.1:{settings['STYLIZE_PORT']}"
        self.client = httpx.Client(base_url=self.url, timeout=60)
        self.workers: list[ForkedProcess] = []
        self.api: ForkedProcess | None = None

    def start(self, workers: int) -> None:
        self.api = self._spawn("api")
        for _ in range(workers):
            self.start_worker()
        wait_for(self._answers, READY_WITHIN_S)
        if workers:
            wait_for(lambda: self.ready_workers() == workers, READY_WITHIN_S)

    def start_worker(self) -> ForkedProcess:
        self.workers.append(self._spawn("worker"))
        return self.workers[-1]

    def is_whole(self) -> bool:
        """All its processes run."""
        return all(process is not None and process.poll() is None for process in (self.api, *self.workers))

    def is_ready(self) -> bool:
        return self.ready_workers() > 0

    def ready_workers(self) -> int:
        answer = self.client.get("/readyz?worker=1")
        return int(answer.json()["workers"]) if answer.status_code == 200 else 0

    def stylize(self, *, content: bytes | None = None, **fields: object) -> httpx.Response:
        """Post a photo; ``style`` is a file, the rest are form fields."""
        files = {"content": ("photo.png", content if content is not None else photo())}
        if "style" in fields:
            files["style"] = ("style.png", fields.pop("style"))  # type: ignore[assignment]
        data = {"size": "64", **({} if "style" in files else {"style_id": "first"}), **fields}
        return self.client.post("/stylize", files=files, data=data)

    def metric(self, name: str) -> float:
        lines = self.client.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def say_that_jobs_take(self, seconds: float, lane: Lane = "interactive") -> None:
        """As if so much had been measured: a job behind another one is expected to wait for so long."""
        with Redis.from_url(self.settings["STYLIZE_REDIS_URL"]) as redis:
            pace = Keys(self.settings["STYLIZE_KEY_PREFIX"]).pace(lane)
            redis.hset(pace, mapping={"0": seconds * 1000, "1": seconds * 1000})

    def stop(self) -> None:
        self.client.close()
        running = [process for process in [self.api, *self.workers] if process is not None and process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)  # a test may have failed with it stopped
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _spawn(self, command: str) -> ForkedProcess:
        return forks().start(command, environment=self._environment, before=self._before)

    def _answers(self) -> bool:
        try:
            return self.client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False
