"""Styles of one name, and tables as spreadsheets write them: found before a training and not after it."""

from pathlib import Path

import image_files as files
import pytest
from tiny import learned_checkpoint
from typer.testing import CliRunner

from model_store.style_images import read_rows
from train.__main__ import app
from train.tables import read_styles

HEADER = "id,file,title,artist,year,rights\n"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for folder in ("photos", "one", "two"):
        (tmp_path / folder).mkdir()
        files.photo(64, 64).save(tmp_path / folder / "Wave.jpg")
    return tmp_path


def test_two_files_of_one_stem_are_refused_before_a_training(photos: Path) -> None:
    styles = ("--style", photos / "one/Wave.jpg", "--style", photos / "two/Wave.jpg")
    message = run("generator", "--content", photos / "photos", *styles, "--out", photos / "run")
    assert "would both be 'wave': rename one of them" in message and "one/Wave.jpg" in message
    assert not (photos / "run").exists()


def test_an_id_that_the_network_has_is_refused_before_a_training(photos: Path) -> None:
    model = photos / "coast.safetensors"
    learned_checkpoint(model, "sea", "wave")
    out = ("--content", photos / "photos", "--out", photos / "run")
    message = run("add-style", "--model", model, "--style", photos / "one/Wave.jpg", *out)
    assert "has a style 'wave' already: rename" in message
    assert not (photos / "run").exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "styles.csv").write_text(f"{HEADER}wave,wave.jpg,Die große Welle,Hokusai,1831,", encoding=encoding)
    (style,) = read_styles(tmp_path / "styles.csv", tmp_path)
    assert (style.named.id, style.named.title) == ("wave", "Die große Welle")
    (tmp_path / "paintings.csv").write_text("style,file,origin\nwave,wave.webp,here\n", encoding=encoding)
    assert read_rows(tmp_path / "paintings.csv") == [{"style": "wave", "file": "wave.webp", "origin": "here"}]
