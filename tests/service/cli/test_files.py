"""Which photo is painted into which file."""

import os
from pathlib import Path

import pytest

from service.cli.files import FilePair, plan, write_whole
from service.errors import InvalidField


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of files that look like photos."""
    folder = tmp_path / "photos"
    names = ("b.jpg", "a.PNG", "sub/c.webp", "sub/deep/d.jpeg", "note.txt", ".hidden.jpg", ".cache/e.jpg")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"photo")
    return folder


def planned(*sources: object, out: object, format: str | None = None) -> list[tuple[Path | None, Path | None]]:
    found = plan([str(source) for source in sources], None if out is None else str(out), format)
    return [(pair.source, pair.output) for pair in found]


def test_files(photos: Path, tmp_path: Path) -> None:
    one, two, new = photos / "b.jpg", photos / "a.PNG", tmp_path / "new"
    assert planned(one, out=tmp_path / "x.webp") == [(one, tmp_path / "x.webp")]
    assert planned(one, out=new) == [(one, new / "b.jpg")]
    assert planned(one, two, out=new, format="webp") == [(one, new / "b.webp"), (two, new / "a.webp")]
    (tmp_path / "v1.0").mkdir()
    assert planned(one, two, out=tmp_path / "v1.0") == [
        (one, tmp_path / "v1.0/b.jpg"),
        (two, tmp_path / "v1.0/a.jpg"),
    ]


def test_a_folder_keeps_relative_names_and_only_photos_count(photos: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    assert planned(photos, out=new, format="png") == [
        (photos / name, new / painted)
        for name, painted in [
            ("a.PNG", "a.png"),
            ("b.jpg", "b.png"),
            ("sub/c.webp", "sub/c.png"),
            ("sub/deep/d.jpeg", "sub/deep/d.png"),
        ]
    ]


def test_photos_that_differ_in_their_endings_alone_keep_them(photos: Path, tmp_path: Path) -> None:
    (photos / "b.png").touch()
    painted = planned(photos, out=tmp_path / "new")
    assert [output.name for _, output in painted if output] == ["a.jpg", "b.jpg.jpg", "b.png.jpg", "c.jpg", "d.jpg"]
    assert planned(photos / "b.jpg", out=tmp_path / "b.jpeg", format="jpg") == [(photos / "b.jpg", tmp_path / "b.jpeg")]


def test_a_folder_of_results_below_the_photos_is_no_folder_of_photos(photos: Path) -> None:
    painted = photos / "painted"
    before = planned(photos, out=painted)
    for _, output in before:
        assert output is not None
        write_whole(output, b"painted")
    assert planned(photos, out=painted) == before


def test_pipes(photos: Path, tmp_path: Path) -> None:
    assert planned("-", out=None) == planned("-", out="-") == [(None, None)]
    assert planned("-", out=tmp_path / "x.png") == [(None, tmp_path / "x.png")]
    assert planned(photos / "b.jpg", out="-") == [(photos / "b.jpg", None)]
    assert planned("-", out="/dev/null") == [(None, Path("/dev/null"))]


@pytest.mark.parametrize(
    ("sources", "out", "format", "message"),
    [
        (["b.jpg", "a.PNG"], "x.jpg", None, "got 2 photos and the file"),
        (["."], "x.jpg", None, "got 4 photos and the file"),
        (["sub/deep"], "x.jpg", None, "got a folder and the file"),
        (["b.jpg", "sub/../b.jpg"], "new", None, "would both become"),
        (["b.jpg"], ".", None, "would overwrite the photo"),
        (["b.jpg"], "sub/../b.jpg", None, "would overwrite the photo"),
        (["../empty"], "new", None, r"there are no photos in \.\./empty: their names end in \.jpg, "),
        (["nowhere.jpg"], "new", None, "there is no file or folder"),
        (["b.jpg"], "x.tiff", None, "got 'tiff': allowed are jpeg, png, webp, avif"),
        (["b.jpg"], "x.png", "webp", "got webp and a file whose name says png"),
        (["-"], "x.png", "webp", "got webp and a file whose name says png"),
        (["b.jpg"], "new", "gif", "got 'gif': allowed are jpeg, png, webp, avif"),
        (["b.jpg"], None, None, "name a file or a folder with --out"),
        (["-", "b.jpg"], "new", None, "with `-`, one photo makes one picture"),
        (["-"], "new", None, "name a file for the photo from stdin"),
        (["sub"], "-", None, "there is no file 'sub'"),
    ],
)
def test_what_cannot_be(
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    sources: list[str],
    out: str | None,
    format: str | None,
    message: str,
) -> None:
    monkeypatch.chdir(photos)
    (photos.parent / "empty").mkdir()
    with pytest.raises(InvalidField, match=message):
        plan(sources, out, format)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "a.jpg"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o666 & ~current_umask()

    def fail(_: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="full"):
        write_whole(path, b"three")
    assert [(found.name, found.read_bytes()) for found in path.parent.iterdir()] == [("a.jpg", b"two")]


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    FilePair(None, pipe).write(b"picture")
    assert os.read(reader, 100) == b"picture"
    os.close(reader)
    assert pipe.is_fifo()
