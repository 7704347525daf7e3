"""Folders as people keep them: links, other types of images, names at the limit."""

from pathlib import Path

import pytest

from model_store.folders import files_below
from service.cli.files import files_left_out, plan, write_whole
from service.errors import InvalidField
from train.data import images_left_out, list_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("a.jfif", "b.JPE", "c.jpg", "._c.jpg", "d.HEIC", "e.tif", "f.txt", ".hidden.jpg", ".trash/g.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "h.jpg").touch()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "linked-again").symlink_to(tmp_path / "elsewhere")
    (folder / "round").symlink_to(folder)
    return folder


def test_linked_folders_count_once_and_loops_end(folder: Path) -> None:
    names = [str(path.relative_to(folder)) for path in files_below(folder)]
    assert [name for name in names if name.endswith("h.jpg")] == ["linked/h.jpg"]
    assert len(names) == len(set(names)) == 9


def test_photos_of_every_ending_are_painted_and_others_are_named(folder: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    pairs = plan([str(folder)], out, None)
    assert [str(pair.source.relative_to(folder)) for pair in pairs if pair.source] == [
        *("a.jfif", "b.JPE", "c.jpg", "linked/h.jpg"),
    ]
    assert [path.name for path in files_left_out([str(folder)], out)] == ["._c.jpg", "d.HEIC", "e.tif"]
    assert files_left_out([str(folder / "d.HEIC")], out) == []


def test_training_takes_the_same_and_tiff(folder: Path) -> None:
    assert [path.name for path in list_images([folder])] == ["a.jfif", "b.JPE", "c.jpg", "e.tif", "h.jpg"]
    assert [path.name for path in images_left_out([folder])] == ["._c.jpg", "d.HEIC"]


@pytest.mark.parametrize("out", ["results_0.7/", "results_0.7", "new.jpg/", "v2/"])
def test_a_folder_may_have_a_dot_in_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(folder.parent)
    (pair,) = plan(["photos/c.jpg"], out, None)
    assert pair.output == Path(out) / "c.jpg"
    with pytest.raises(InvalidField, match="got 'tiff': allowed are"):
        plan(["photos/c.jpg"], "result.tiff", None)


def test_a_name_as_long_as_names_may_be_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".jpg")
    write_whole(path, b"output")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
