"""What the README shows is true: its commands run, its files exist."""

import re
import shlex
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from paths import ROOT
from PIL import Image
from processes import Service

from stylize_client import Client

pytestmark = pytest.mark.processes

SAMPLE = ROOT / "model_store/checkpoints/sample.jpg"
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", ["README.md", *(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md"))])
def test_links_lead_somewhere(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text()) if "://" not in link]
    assert [link for link in links if not leads_somewhere(ROOT / page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether the file is there and has the heading that the part after ``#`` names."""
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    if not anchor:
        return target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
    return anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_its_first_screen_shows_picture_command_and_result() -> None:
    screen = "\n".join(README.splitlines()[:30])
    assert "![" in screen and "make serve" in screen and "curl" in screen and "200 OK" in screen


def test_its_curl_returns_a_picture(shipped_service: Service, tmp_path: Path) -> None:
    command = re.search(r"\$ (curl .*?stylize)\n", README, re.DOTALL)
    assert command is not None
    words = shlex.split(command[1].replace("\\\n", " ").replace("http://127.0.0.1:8000", shipped_service.url))
    words[words.index("painted.jpg")] = str(tmp_path / "painted.jpg")
    head = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.lower()
    assert head.startswith("http/1.1 200 ok")
    for name in (
        "server-timing: queue",
        "x-stylize-model: swift",
        "x-stylize-batch-size: 1",
        "content-type: image/jpeg",
    ):
        assert name in head
    with Image.open(tmp_path / "painted.jpg") as painted:
        assert painted.size == (512, 360)


def test_its_offline_commands_paint_files(tmp_path: Path) -> None:
    commands = re.findall(r"\$ \.venv/bin/stylize (paint .*)", README)
    assert len(commands) == 2
    for command in commands:
        words = [re.sub(r"^(photos/\*\.jpg|photo\.jpg)$", str(SAMPLE), word) for word in shlex.split(command)]
        words = [str(ROOT / word) if word.startswith("examples/") else word for word in words]
        subprocess.run([sys.executable, "-m", "service", *words, "--size", "128"], cwd=tmp_path, check=True)
    assert Image.open(BytesIO((tmp_path / "painted/sample.jpg").read_bytes())).size == (128, 90)
    assert Image.open(BytesIO((tmp_path / "painted.png").read_bytes())).format == "PNG"


def test_every_shipped_style_paints(shipped_service: Service) -> None:
    with Client(shipped_service.url) as client:
        styles = list(client.styles())
        assert len(styles) >= 12
        for style in styles:
            assert style.artist and style.title
            preview = shipped_service.client.get(style.preview or "")
            assert preview.status_code == 200 and Image.open(BytesIO(preview.content)).format == "WEBP"
            assert client.stylize(SAMPLE, style_ids=style.id, size=128).model == style.model
