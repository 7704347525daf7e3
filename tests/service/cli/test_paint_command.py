"""``stylize paint`` on folders and in pipes, in its own process, and killed; see also ``test_offline``."""

import os
import signal
import subprocess
from pathlib import Path

import image_files as files
import pytest
from commands import clean_environment, largest_difference, on_one_line, picture, run, start
from PIL import Image
from processes import wait_for
from typer.testing import Result

pytestmark = pytest.mark.processes


@pytest.fixture
def folder(tmp_path: Path, tiny_checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    clean_environment(monkeypatch)
    monkeypatch.setenv("STYLIZE_CHECKPOINTS", str(tiny_checkpoints))
    monkeypatch.setenv("STYLIZE_DEVICE", "cpu")
    (tmp_path / "style.png").write_bytes(files.saved(files.photo(64, 64, seed=3)))
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for index, name in enumerate(("a.jpg", "b.png", "sub/c.jpg")):
        (tmp_path / "photos" / name).write_bytes(files.saved(files.photo(120, 80 if index else 60, seed=index)))
    return tmp_path


def stylize(*arguments: object, stdin: bytes | None = None) -> Result:
    return run("paint", "--size", 64, *arguments, stdin=stdin)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---- folders ------------------------------------------------------------------------------------------------------


def test_a_folder_is_painted_and_what_is_there_is_left(folder: Path) -> None:
    (folder / "photos" / "sub" / "text.jpg").write_text("I am not a photo.")
    arguments = [folder / "photos", "--style", "first", "-o", folder / "painted"]
    result = stylize(*arguments)
    assert result.exit_code == 1
    assert on_one_line(result) == (
        f"{folder / 'photos/sub/text.jpg'}: got a text, allowed are jpeg, png, webp, avif: convert the file"
    )
    assert names(folder / "painted") == ["a.jpg", "b.jpg", "sub/c.jpg"]
    (folder / "photos" / "sub" / "text.jpg").unlink()
    (folder / "painted" / "b.jpg").write_bytes(b"mine")
    (folder / "painted" / "a.jpg").unlink()
    result = stylize(*arguments)
    assert (result.exit_code, on_one_line(result)) == (
        0,
        "2 were there already and are left as they are; --overwrite paints them again",
    )
    assert (folder / "painted" / "b.jpg").read_bytes() == b"mine"
    assert (folder / "painted" / "a.jpg").exists()
    assert stylize(*arguments, "--overwrite").output == ""
    assert picture(folder / "painted" / "b.jpg").size == (64, 43)


@pytest.mark.parametrize("batch", ["1", "2", "8"])
def test_batches_paint_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch, batch: str) -> None:
    monkeypatch.setenv("STYLIZE_MAX_BATCH_SIZE", batch)
    options = ["--style", "first", "--format", "png"]
    assert stylize(folder / "photos", *options, "-o", folder / batch).exit_code == 0
    for name in ("a", "b", "sub/c"):
        source = next((folder / "photos").glob(f"{name}.*"))
        alone = stylize(source, *options, "-o", "-")
        assert largest_difference(alone.stdout_bytes, folder / batch / f"{name}.png") <= 1


def test_a_run_that_was_killed_is_continued(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_MAX_BATCH_SIZE", "1")
    many, painted = folder / "many", folder / "painted"
    many.mkdir()
    for index in range(300):
        (many / f"{index:03}.jpg").write_bytes(files.saved(files.photo(120, 80, seed=index), "jpeg"))
    arguments = ["paint", "many", "--style", "first", "--size", "256", "-o", "painted"]
    process = start(*arguments, folder=folder)
    wait_for(lambda: painted.is_dir() and len(list(painted.glob("*.jpg"))) >= 3, 100)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    done = {path: path.stat().st_mtime_ns for path in painted.glob("*.jpg")}
    assert 3 <= len(done) < 300
    for path in done:
        image = picture(path)
        image.load()
        assert image.size == (256, 171)
    for path in sorted(many.iterdir())[len(done) + 3 :]:
        path.unlink()
    result = start(*arguments, folder=folder, stderr=subprocess.PIPE)
    _, said = result.communicate(timeout=100)
    assert result.returncode == 0
    assert said.decode().startswith(f"{len(done)} were there already")
    assert len(list(painted.glob("*.jpg"))) == len(done) + 3
    assert {path: path.stat().st_mtime_ns for path in done} == done


# ---- pipes --------------------------------------------------------------------------------------------------------


def test_it_stands_in_a_pipe(folder: Path) -> None:
    photo = (folder / "photos" / "a.jpg").read_bytes()
    process = start(
        *("paint", "-", "--style", "first", "--size", "64", "--format", "webp"),
        folder=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    painted, said = process.communicate(photo, timeout=100)
    assert (process.returncode, said) == (0, b"")
    assert picture(painted).format == "WEBP"


def test_a_pipe_has_the_format_of_the_photo_and_nothing_where_it_fails(folder: Path) -> None:
    clear = stylize("-", "--style", "first", stdin=files.saved(files.transparent()))
    assert picture(clear.stdout_bytes).mode == "RGBA"
    failed = stylize("-", "--style", "first", stdin=b"I am not a photo.")
    assert (failed.exit_code, failed.stdout_bytes) == (1, b"")
    assert failed.stderr.startswith("stdin: got a text")
    into_file = stylize("-", "--style", "first", "-o", folder / "x.avif", stdin=files.saved(files.photo()))
    assert into_file.exit_code == 0
    assert picture(folder / "x.avif").format == "AVIF"


def test_a_picture_is_nothing_for_a_terminal(folder: Path) -> None:
    shown, terminal = os.openpty()
    process = start("paint", "photos/a.jpg", "--style", "first", "-o", "-", folder=folder, stdout=terminal)
    assert process.wait(60) == 2
    os.close(terminal)
    os.close(shown)


# ---- controls -----------------------------------------------------------------------------------------------------


def test_styles_weights_and_masks_are_in_the_order_of_the_call(folder: Path) -> None:
    half = Image.new("L", (120, 80))
    half.paste(255, (0, 0, 60, 80))
    (folder / "left.png").write_bytes(files.saved(half))
    (folder / "right.png").write_bytes(files.saved(half.point(lambda value: 255 - value)))
    photo, style = folder / "photos" / "a.jpg", folder / "style.png"

    def painted(*options: object) -> bytes:
        result = stylize(photo, *options, "--format", "png", "-o", "-")
        assert result.exit_code == 0, result.output
        return result.stdout_bytes

    one = ["--style", style, "--style", "second", "--weights", "3,1"]
    other = ["--style", "second", "--style", style, "--weights", "1,3"]
    assert painted(*one) == painted(*other)
    masks = ["--mask", folder / "left.png", "--mask", folder / "right.png"]
    masked = painted(*one, *masks)
    assert masked == painted(*other, *masks[2:], *masks[:2])
    assert masked != painted(*other, *masks)
    for more in (["--color", "luminance"], ["--alpha", "0.5"], ["--color", "match"], ["--style-size", "128"]):
        assert painted("--style", style) != painted("--style", style, *more)
    assert painted("--style", style) == painted("--style", style, "--model", "adain")


def test_an_optimisation_needs_no_server(folder: Path) -> None:
    arguments = [folder / "photos" / "a.jpg", "--method", "gatys", "--steps", "2", "-o", folder / "x.png"]
    result = stylize(*arguments, "--style", folder / "style.png")
    assert (result.exit_code, result.output) == (0, "")
    assert picture(folder / "x.png").size == (64, 32)
    refused = stylize(*arguments, "--style", "first")
    assert refused.exit_code == 1
    assert "the painting of this style is not here" in on_one_line(refused)


def test_a_large_picture_is_painted_in_tiles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stylize(folder / "photos" / "a.jpg", "--style", "first", "--format", "png", "-o", "-").stdout_bytes
    monkeypatch.setenv("STYLIZE_TILE_ABOVE_PIXELS", "1000")
    tiled = stylize(folder / "photos" / "a.jpg", "--style", "first", "--format", "png", "-o", "-").stdout_bytes
    assert largest_difference(whole, tiled) <= 1


# ---- usage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photos/a.jpg", "--style", "first", "--weights", "3,1", "-o", "x.jpg"], "got 2 weights for 1 styles"),
        (["photos/a.jpg", "--style", "first", "--weights", "many", "-o", "x.jpg"], "numbers separated by commas"),
        (
            ["photos/a.jpg", "--style", "first", "--style", "second", "--mask", "style.png", "-o", "x.jpg"],
            "got 1 masks for 2 styles",
        ),
        (["photos/a.jpg", "--style", "first"], "name a file or a folder with --out"),
        (["photos/a.jpg", "--style", "first", "--color", "blue", "-o", "x.jpg"], "'blue'"),
        (["photos/a.jpg", "--style", "first", "--mask", "nowhere.png", "-o", "x.jpg"], "nowhere.png"),
        (["photos/a.jpg", "-o", "x.jpg"], "--style"),
        (["photos/a.jpg", "--style", "first", "--steps", "5", "-o", "x.jpg"], "the method feedforward takes no steps"),
        (["photos/a.jpg", "--style", "first", "--format", "webp", "-o", "x.png"], "whose name says png"),
        (["photos/a.jpg", "--style", "n" * 300, "-o", "x.png"], "there is no file"),
        (["nowhere", "--style", "first", "-o", "x"], "there is no file or folder 'nowhere'"),
    ],
)
def test_usage(folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    result = stylize(*arguments)
    assert result.exit_code == 2
    assert message in on_one_line(result)
    assert "Traceback" not in result.output
    assert not list(folder.glob("x*"))
