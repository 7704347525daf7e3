"""The two distributions: built, installed into an empty environment, and used from a folder that is no checkout."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import httpx
import pytest
from paths import ROOT
from PIL import Image
from processes import free_port, photo, wait_for

from service import VERSION

pytestmark = [pytest.mark.processes, pytest.mark.slow]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with our wheels; what they need comes from this one, which knows no checkout there."""
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    parts = ("service/", "model_store/", "train/", "experiments/", "stylize_client/")
    for name in filter(None, tracked.decode().split("\0")):
        if (name.startswith(parts) or "/" not in name) and (ROOT / name).exists():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "source" / name)
    subprocess.run([*build, folder, folder / "source", folder / "source/stylize_client"], check=True)
    wheels = sorted(folder.glob("*.whl"))
    assert [wheel.name.split("-")[0] for wheel in wheels] == ["stylize_client", "stylize_server"]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", *wheels]
    subprocess.run(install, check=True)
    (packages,) = (folder / "venv/lib").glob("python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_paths()["purelib"])
    return folder / "venv"


def test_both_distributions_have_one_version() -> None:
    for folder in (ROOT, ROOT / "stylize_client"):
        assert tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_an_installed_service_serves_and_paints(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(photo(96, 64))
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STYLIZE_", "PYTHONPATH"))}
    environment = {**kept, "STYLIZE_PORT": str(port), "STYLIZE_DATA_DIR": str(tmp_path / "data")}
    environment["STYLIZE_WARM_UP_PX"] = "64"
    command = installed / "bin/stylize"

    def run(*arguments: str) -> str:
        done = subprocess.run([command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    server = subprocess.Popen([command, "serve"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{port}"

        def is_ready() -> bool:
            assert server.poll() is None and server.stderr is not None, server.stderr.read() if server.stderr else ""
            try:
                return httpx.get(f"{url}/readyz?worker=1").status_code == 200
            except httpx.TransportError:
                return False

        wait_for(is_ready, 90)
        assert httpx.get(f"{url}/healthz").json()["version"] == VERSION
        assert "<title>" in httpx.get(url).text
        run("paint", "photo.png", "--style", "hokusai-great-wave", "--size", "64", "-o", "there.png", "--server", url)
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    run("paint", "photo.png", "--style", "hokusai-great-wave", "--size", "64", "-o", "here.png")
    where = (
        run("--help")
        + subprocess.run(
            [
                installed / "bin/python",
                "-c",
                "import service, stylize_client; print(service.__file__, stylize_client.__file__)",
            ],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert str(installed) in where and str(ROOT) not in where
    for name in ("there.png", "here.png"):
        with Image.open(tmp_path / name) as painted:
            assert painted.size == (64, 43)
