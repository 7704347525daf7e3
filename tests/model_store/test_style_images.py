"""Paintings that come with styles: their table, what is exported into it, and what is shipped."""

import csv
import logging
from pathlib import Path

import pytest
from PIL import Image
from tiny import images

from model_store.catalog import default_folder, read_catalog
from model_store.checkpoint_metadata import NamedStyle
from model_store.style_images import read_style_images
from train.data import DataError
from train.style_images import LONGER_PX, export_style_images, is_free, read_origins
from train.tables import StyleFile

FREE = "Public domain: Somebody died 1925"
TAKEN = "Public domain: Somebody died 1926"


def write_table(folder: Path, *rows: tuple[str, ...], columns: tuple[str, ...] = ("style", "file", "origin")) -> Path:
    (folder / "paintings").mkdir(exist_ok=True)
    with (folder / "paintings/paintings.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return folder


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


# ---- the table ----------------------------------------------------------------------------------------------------


def test_styles_have_their_painting_and_may_share_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_table(tmp_path, ("wave", "wave.webp", "A museum, 1"), ("wave-cin", "wave.webp", "A museum, 1"))
    (tmp_path / "paintings/wave.webp").write_bytes(b"a picture")
    found = read_style_images(tmp_path)
    assert {(name, painting.path, painting.origin) for name, painting in found.items()} == {
        (name, tmp_path / "paintings/wave.webp", "A museum, 1") for name in ("wave", "wave-cin")
    }
    assert logged(caplog) == []


def test_no_table_is_no_mistake(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_style_images(tmp_path) == {}
    (tmp_path / "paintings").mkdir()
    assert read_style_images(tmp_path) == {}
    assert logged(caplog) == []


@pytest.mark.parametrize("name", ["missing.webp", "", "wave.svg", "../wave.webp", "/etc/passwd", "a/wave.webp", ".."])
def test_a_row_without_its_file_harms_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    write_table(tmp_path, ("night", name, ""), ("wave", "wave.webp", ""))
    for path in ("paintings/wave.webp", "paintings/wave.svg", "wave.webp"):
        (tmp_path / path).write_bytes(b"a picture")
    assert list(read_style_images(tmp_path)) == ["wave"]
    (line,) = logged(caplog)
    assert line.startswith(f"no image of 'night': there is no .webp file {name!r} beside paintings.csv")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "lacks the column 'style'"), (b"style,file\n", "lacks the column 'origin'"), (b"\xff\xfe,", "decode")],
)
def test_a_broken_table_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes, reason: str
) -> None:
    (write_table(tmp_path) / "paintings/paintings.csv").write_bytes(content)
    assert read_style_images(tmp_path) == {}
    (line,) = logged(caplog)
    assert line.startswith("no style images, their table cannot be read: paintings.csv: ") and reason in line


# ---- the export ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rights", "expected"),
    [
        (FREE, True),
        (TAKEN, False),
        ("Public domain: Duccio di Buoninsegna died about 1319", True),
        ("Public domain: the Limbourg brothers died 1416", True),
        ("Public domain", False),
        ("1890", False),
        ("", False),
    ],
)
def test_what_is_free(rights: str, expected: bool) -> None:
    assert is_free(rights) is expected


def style(style_id: str, path: Path, rights: str = FREE) -> StyleFile:
    return StyleFile(NamedStyle(id=style_id, title="", artist="", year=None, rights=rights), path)


def test_what_is_free_and_has_an_origin_is_exported(tmp_path: Path) -> None:
    images(tmp_path, 3, seed=0, side_px=600)  # 800 × 600
    Image.new("RGB", (40, 30), "red").save(tmp_path / "small.png")
    one, taken, unknown, small = (tmp_path / name for name in ("00.png", "01.png", "02.png", "small.png"))
    origins = {one: "one", taken: "taken", small: "small"}
    folder = tmp_path / "paintings"
    files = [style("one", one), style("taken", taken, TAKEN), style("unknown", unknown), style("small", small)]
    assert export_style_images(files, origins, folder) == ["one", "small"]
    assert export_style_images([style("one-cin", one), style("small", small, TAKEN)], origins, folder) == ["one-cin"]
    assert {name: (painting.path.name, painting.origin) for name, painting in read_style_images(tmp_path).items()} == {
        "one": ("one.webp", "one"),
        "one-cin": ("one.webp", "one"),
    }
    with Image.open(folder / "one.webp") as painting, Image.open(folder / "small.webp") as not_enlarged:
        assert (painting.format, painting.size, not_enlarged.size) == ("WEBP", (LONGER_PX, 384), (40, 30))


def test_origins_are_read_relative_to_the_pictures(tmp_path: Path) -> None:
    (tmp_path / "origins.csv").write_text("file,origin\na/b.jpg,A museum\n")
    assert read_origins(tmp_path / "origins.csv", tmp_path / "root") == {tmp_path / "root/a/b.jpg": "A museum"}
    with pytest.raises(DataError, match="cannot be read"):
        read_origins(tmp_path / "missing.csv", tmp_path)


# ---- what is shipped ----------------------------------------------------------------------------------------------


def test_every_shipped_style_whose_painting_is_free_has_it() -> None:
    styles = read_catalog(default_folder()).styles
    assert {style.id for style in styles if style.style_image} == {
        style.id for style in styles if is_free(style.rights)
    }
    assert all(bool(style.origin) == bool(style.style_image) for style in styles)
    assert len({style.style_image for style in styles if style.style_image}) > 30


def test_the_shipped_paintings_are_small_files_of_the_table() -> None:
    folder = default_folder() / "paintings"
    with (folder / "paintings.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {path.name for path in folder.glob("*.webp")}
    assert not [row for row in rows if "/work" in row["origin"] or "/home" in row["origin"]]
    for path in folder.glob("*.webp"):
        with Image.open(path) as painting:
            assert painting.format == "WEBP" and max(painting.size) <= LONGER_PX and not painting.getexif(), path.name
