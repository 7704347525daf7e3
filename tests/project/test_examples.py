"""The examples of the Python client and of the command line, as README and docs show them, run on a service."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import image_files as files
import pytest
from paths import ROOT
from PIL import Image
from processes import Service

pytestmark = pytest.mark.processes

PYTHON = [
    (page, code)
    for page in ("README.md", "docs/client.md")
    for code in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
]
COMMANDS = re.findall(r"^\$ ((?:.*\| )?stylize .*)$", (ROOT / "docs/command-line.md").read_text(), re.MULTILINE)
SMALL = [("size=1024", "size=64"), ("alpha=0.8)", "alpha=0.8, size=64)"), ("steps=80", "steps=2, size=64")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the examples name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "photos/one.jpg"):
        shutil.copy(ROOT / "model_store/checkpoints/sample.jpg", tmp_path / name)
    shutil.copy(ROOT / "examples/painting.jpg", tmp_path)
    (tmp_path / "clear.png").write_bytes(files.saved(files.transparent()))
    return tmp_path


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=[f"{page}-{index}" for index, (page, _) in enumerate(PYTHON)])
def test_python(shipped_service: Service, folder: Path, page: str, code: str) -> None:
    code = code.replace("http://127.0.0.1:8000", shipped_service.url)
    code = code.replace("Client()", f'Client("{shipped_service.url}")')
    for shown, run in SMALL:
        code = code.replace(shown, run)
    exec(code, {"__name__": "example"})
    for name in re.findall(r'save\("(.*?)"\)', code):
        assert (folder / name).stat().st_size > 1000


def test_commands(shipped_service: Service, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(COMMANDS) == 6
    monkeypatch.setenv("STYLIZE_PORT", shipped_service.settings["STYLIZE_PORT"])
    for number, command in enumerate(COMMANDS):
        command = command.replace("http://127.0.0.1:8000", shipped_service.url).replace("-o painted ", "-o there ")
        command = re.sub(r"(^|\| )stylize ", rf"\1{shlex.quote(sys.executable)} -m service ", command)
        command = command.replace("service paint", "service paint --size 64")
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), COMMANDS[number]
    painted = ("painted.jpg", "painted/one.jpg", "painted.webp", "there/one.jpg")
    for name in painted:
        with Image.open(folder / name) as picture:
            assert max(picture.size) == 64 and len(picture.getcolors(2**16) or ()) > 100, name
