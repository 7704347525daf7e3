"""``stylize`` as a test runs it: in this process, or as a process of its own."""

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import answers
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from service.__main__ import app


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), input=stdin)


def start(*arguments: object, folder: Path, **pipes: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "service", *map(str, arguments)]
    return subprocess.Popen(command, env=os.environ, cwd=folder, **pipes)


def picture(file: Path | bytes) -> Image.Image:
    return Image.open(BytesIO(file if isinstance(file, bytes) else file.read_bytes()))


def largest_difference(one: Path | bytes, other: Path | bytes) -> int:
    return answers.largest_difference(picture(one), picture(other))


def on_one_line(result: Result) -> str:
    return " ".join(result.output.split())


def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that would lead a command to a service of the developer's."""
    for name in ("STYLIZE_URL", "STYLIZE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
