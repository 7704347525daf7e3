"""A folder of checkpoints that changes while it is watched."""

import json
import logging
import shutil
import struct
from pathlib import Path

import pytest

from model_store import catalog_watch
from model_store.catalog import CatalogError
from model_store.catalog_watch import CatalogWatch
from model_store.checkpoint_metadata import CheckpointMetadata, NamedStyle

DATA = bytes(1000)


def checkpoint(path: Path, *style_ids: str, data: bytes = DATA, licence: str = "") -> Path:
    """A file with a header of ours and data of its length, but no network."""
    styles = tuple(NamedStyle(id=name, title="", artist="", year=None, rights="") for name in style_ids)
    header = CheckpointMetadata(network="adain", arguments={"styles": len(styles)}, styles=styles, licence=licence)
    tensor = {"dtype": "U8", "shape": [len(DATA)], "data_offsets": [0, len(DATA)]}
    table = json.dumps({"__metadata__": header.to_metadata(), "weights": tensor}).encode()
    path.write_bytes(struct.pack("<Q", len(table)) + table + data)
    return path


def styles(watch: CatalogWatch, *asked: str) -> list[str]:
    return [style.id for style in watch.now(asked).styles]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question looks at the folder."""
    monkeypatch.setattr(catalog_watch, "LOOK_EVERY_S", -1)


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No question looks at the folder, but for one that misses something."""
    monkeypatch.setattr(catalog_watch, "LOOK_EVERY_S", 1000)


@pytest.mark.usefixtures("eager")
def test_what_is_added_replaced_and_removed_is_noticed(tmp_path: Path) -> None:
    checkpoint(tmp_path / "one.safetensors", "wave")
    watch = CatalogWatch(tmp_path)
    assert styles(watch) == ["wave"]
    checkpoint(tmp_path / "two.safetensors", "night")
    assert styles(watch) == ["wave", "night"]
    checkpoint(tmp_path / "new", "dawn").replace(tmp_path / "one.safetensors")
    assert styles(watch) == ["dawn", "night"]
    (tmp_path / "two.safetensors").unlink()
    assert styles(watch) == ["dawn"]


@pytest.mark.usefixtures("eager")
def test_a_replacement_of_the_same_size_is_noticed(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "one.safetensors", "wave", licence="A")
    watch = CatalogWatch(tmp_path)
    before = watch.now().model("one").fingerprint
    checkpoint(tmp_path / "new", "wave", licence="B").replace(path)
    model = watch.now().model("one")
    assert model.licence == "B"
    assert model.fingerprint != before


@pytest.mark.usefixtures("eager")
def test_previews_come_and_go(tmp_path: Path) -> None:
    checkpoint(tmp_path / "one.safetensors", "wave")
    watch = CatalogWatch(tmp_path)
    preview = tmp_path / "previews" / "wave.webp"
    preview.parent.mkdir()
    preview.write_bytes(b"a picture")
    assert watch.now().style("wave").preview == preview
    preview.unlink()
    assert watch.now().style("wave").preview is None


@pytest.mark.usefixtures("eager")
def test_paintings_come_and_go(tmp_path: Path) -> None:
    checkpoint(tmp_path / "one.safetensors", "wave")
    watch = CatalogWatch(tmp_path)
    assert (watch.now().style("wave").style_image, watch.now().style("wave").origin) == (None, "")
    folder = tmp_path / "paintings"
    folder.mkdir()
    (folder / "wave.webp").write_bytes(b"a picture")
    (folder / "paintings.csv").write_text("style,file,origin\nwave,wave.webp,here\n")
    assert (watch.now().style("wave").style_image, watch.now().style("wave").origin) == (folder / "wave.webp", "here")
    (folder / "paintings.csv").write_text("style,file,origin\nwave,wave.webp,elsewhere\n")
    assert watch.now().style("wave").origin == "elsewhere"
    (folder / "wave.webp").unlink()
    assert watch.now().style("wave").style_image is None


@pytest.mark.usefixtures("lazy")
def test_between_two_looks_only_a_miss_looks(tmp_path: Path) -> None:
    checkpoint(tmp_path / "one.safetensors", "wave")
    watch = CatalogWatch(tmp_path)
    checkpoint(tmp_path / "two.safetensors", "night")
    assert styles(watch) == styles(watch, "wave") == ["wave"]
    assert styles(watch, "wave", "night") == ["wave", "night"]
    checkpoint(tmp_path / "three.safetensors", "dawn")
    assert styles(watch, "night") == ["wave", "night"]
    assert [model.id for model in watch.now(model_ids=["three"]).models] == ["one", "three", "two"]
    checkpoint(tmp_path / "new", "dawn", "wave").replace(tmp_path / "three.safetensors")
    assert watch.now(["wave"], ["one"]).style("wave").models == ("one",)
    assert watch.now(["wave"], ["three"]).style("wave").models == ("one", "three"), "which did not know it"
    (tmp_path / "one.safetensors").unlink()
    assert styles(watch) == ["wave", "dawn", "night"]
    watch.look()
    assert styles(watch) == ["dawn", "wave", "night"]


@pytest.mark.usefixtures("eager")
def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    checkpoint(tmp_path / "one.safetensors", "wave")
    watch = CatalogWatch(tmp_path)
    assert watch.now() is watch.now(["no such style"])


@pytest.mark.usefixtures("eager")
def test_a_file_is_a_problem_until_it_is_copied_in_full(tmp_path: Path) -> None:
    checkpoint(tmp_path / "one.safetensors", "wave")
    whole = checkpoint(tmp_path / "elsewhere", "night").read_bytes()
    watch = CatalogWatch(tmp_path)
    with (tmp_path / "two.safetensors").open("wb", buffering=0) as file:
        for start in range(0, len(whole), 200):
            file.write(whole[start : start + 200])
            if file.tell() < len(whole):
                assert styles(watch) == ["wave"]
                problem = watch.now().models[1].problem
                assert problem is not None and problem.startswith("two.safetensors: ")
    assert problem == "two.safetensors: damaged, or still being copied: it is not as long as its header says"
    assert styles(watch) == ["wave", "night"]


@pytest.mark.usefixtures("eager")
def test_a_problem_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def logged() -> list[str]:
        lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        caplog.clear()
        return lines

    checkpoint(tmp_path / "one.safetensors", "wave", data=DATA[:-1])
    watch = CatalogWatch(tmp_path)
    reason = "damaged, or still being copied: it is not as long as its header says"
    assert logged() == [f"a checkpoint cannot be used: one.safetensors: {reason}"]
    for _ in range(3):
        watch.now(["wave"])
    checkpoint(tmp_path / "one.safetensors", "wave", data=DATA[:-2])  # as a copy that makes progress
    watch.now(["wave"])
    assert logged() == []
    (tmp_path / "two.safetensors").write_bytes(b"nonsense")
    watch.now()
    (line,) = logged()
    assert "two.safetensors: not a safetensors file" in line
    checkpoint(tmp_path / "one.safetensors", "wave")
    assert styles(watch) == ["wave"]
    checkpoint(tmp_path / "one.safetensors", "wave", data=DATA + b"!")
    watch.now()
    assert logged() == [f"a checkpoint cannot be used: one.safetensors: {reason}"]


@pytest.mark.usefixtures("eager")
def test_a_folder_that_goes_away_leaves_the_last_catalog(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    checkpoint(folder / "one.safetensors", "wave")
    watch = CatalogWatch(folder)
    shutil.move(folder, tmp_path / "away")
    assert styles(watch) == styles(watch) == ["wave"]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == [
        f"the checkpoints cannot be read, the last ones known stay: {folder}: no such folder of checkpoints"
    ]
    shutil.move(tmp_path / "away", folder)
    checkpoint(folder / "two.safetensors", "night")
    assert styles(watch) == ["wave", "night"]


def test_no_folder_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no such folder"):
        CatalogWatch(tmp_path / "missing")
