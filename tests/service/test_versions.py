"""API and worker of neighbouring versions work together, each with fields that the other does not know.

The newer version is a copy of the service with one more line in ``request.py``: what a new field of the request takes.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from answers import picture, problem
from paths import ROOT
from processes import Service, free_port, wait_for

pytestmark = pytest.mark.processes

GRAIN = '    grain: float = Field(0.0, ge=0, le=1, description="Film grain.")\n'


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the newer version of the service."""
    folder = tmp_path_factory.mktemp("newer")
    shutil.copytree(ROOT / "service", folder / "service", ignore=shutil.ignore_patterns("__pycache__"))
    request = folder / "service" / "request.py"
    text, count = re.subn(r"(?m)^    color: Color = ", f"{GRAIN}\n    color: Color = ", request.read_text())
    assert count == 1
    request.write_text(text)
    return folder


class MixedService(Service):
    """A service whose API and worker are of two versions, each by the folder that it lies in."""

    def __init__(self, settings: dict[str, str], **folders: Path) -> None:
        super().__init__(settings)
        self._folders = folders

    def _spawn(self, command: str) -> subprocess.Popen[bytes]:
        folder = self._folders[command]
        environment = {**os.environ, **self.settings, "PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT)))}
        return subprocess.Popen([sys.executable, "-m", "service", command], cwd=folder, env=environment)


Start = Callable[[Path, Path], MixedService]


@pytest.fixture
def start(queue_url: str, tiny_checkpoints: Path) -> Iterator[Start]:
    with ExitStack() as services:

        def start(api: Path, worker: Path) -> MixedService:
            values = {
                "redis_url": queue_url,
                "key_prefix": f"test-{os.urandom(4).hex()}",
                "checkpoints": tiny_checkpoints,
                "port": free_port(),
                "device": "cpu",
            }
            settings = {f"STYLIZE_{name.upper()}": str(value) for name, value in values.items()}
            service = MixedService(settings, api=api, worker=worker)
            services.callback(service.stop)
            service.start(workers=1)
            return service

        yield start


def test_an_api_that_knows_a_field_more_than_the_worker(start: Start, newer: Path, queue_url: str) -> None:
    service = start(newer, ROOT)
    form = service.client.get("/openapi.json").json()["components"]["schemas"]["StylizeForm"]["properties"]
    assert (form["grain"]["maximum"], form["grain"]["description"]) == (1, "Film grain.")
    picture(service.stylize(), "jpeg", (64, 48))
    picture(service.stylize(grain=0.5), "jpeg", (64, 48))
    problem(service.stylize(grain=2), 422, "grain", "got '2'", "less than or equal to 1")

    (worker,) = service.workers
    worker.send_signal(signal.SIGSTOP)
    with redis.Redis(unix_socket_path=queue_url.removeprefix("unix://")) as server:
        plain = travelling(server, service, accept(service))
        location = accept(service, grain=0.5, alpha=0.25)
        assert travelling(server, service, location) == plain | {"grain": 0.5, "alpha": 0.25}
    own = {"request_id", "model", "width", "height", "styles", "format", "decoded_pixels"}
    assert set(plain) == own, "defaults do not travel"
    worker.send_signal(signal.SIGCONT)
    wait_for(lambda: service.client.get(location).json()["state"] == "succeeded")


def accept(service: MixedService, **fields: object) -> str:
    """Send a request that is a job, and give its path."""
    answer = service.client.post(
        "/stylize",
        files={"content": ("photo.jpg", (ROOT / "examples" / "painting.jpg").read_bytes())},
        data={"size": "64", "style_id": "first", **fields},
        headers={"Prefer": "respond-async"},
    )
    assert answer.status_code == 202
    return str(answer.headers["location"])


def travelling(server: redis.Redis, service: MixedService, location: str) -> dict[str, object]:
    """The parameters of a job that waits, but for the id of its request."""
    prefix, job_id = service.settings["STYLIZE_KEY_PREFIX"], location.rpartition("/")[2]
    keys = [key for key in server.scan_iter(f"{prefix}*{job_id}*") if server.type(key) == b"hash"]
    (parameters,) = [found for key in keys if (found := server.hget(key, "parameters")) is not None]
    return json.loads(parameters) | {"request_id": ""}


def test_a_worker_that_knows_a_field_more_than_the_api(start: Start, newer: Path) -> None:
    service = start(ROOT, newer)
    picture(service.stylize(alpha=0.5), "jpeg", (64, 48))
    problem(service.stylize(grain=0.5), 422, "grain", "unknown field 'grain': known are content, style, style_id")
    location = accept(service)
    wait_for(lambda: service.client.get(location).json()["state"] == "succeeded")
    picture(service.client.get(f"{location}/result"), "jpeg", (64, 50))
