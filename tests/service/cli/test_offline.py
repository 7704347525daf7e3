"""``stylize paint``: files in, files out, no server."""

import re
import shutil
from pathlib import Path

import image_files as files
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from service.__main__ import app


@pytest.fixture
def folder(tmp_path: Path, tiny_checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLIZE_CHECKPOINTS", str(tiny_checkpoints))
    monkeypatch.setenv("STYLIZE_DEVICE", "cpu")
    (tmp_path / "photo.jpg").write_bytes(files.saved(files.photo(120, 80), "jpeg"))
    (tmp_path / "clear.png").write_bytes(files.saved(files.transparent()))
    (tmp_path / "style.png").write_bytes(files.saved(files.photo(64, 64, seed=3)))
    (tmp_path / "text.jpg").write_text("I am not a photo.")
    return tmp_path


def stylize(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["paint", "--size", "64", *map(str, arguments)])


def painted(folder: Path, name: str, *arguments: object) -> bytes:
    result = stylize(folder / "photo.jpg", "-o", folder / name, *arguments)
    assert result.exit_code == 0, result.output
    return (folder / name).read_bytes()


def on_one_line(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    ("name", "format"), [("a.jpg", "JPEG"), ("a.PNG", "PNG"), ("a.webp", "WEBP"), ("a.avif", "AVIF")]
)
def test_the_format_follows_the_name(folder: Path, name: str, format: str) -> None:
    result = stylize(folder / "photo.jpg", "--style", "first", "-o", folder / "new" / name)
    assert result.exit_code == 0, result.output
    with Image.open(folder / "new" / name) as image:
        assert (image.format, image.size) == (format, (64, 43))


def test_the_limit_of_uploads_is_not_for_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_MAX_BODY_BYTES", "100")
    assert (folder / "photo.jpg").stat().st_size > 100
    assert painted(folder, "a.jpg", "--style", folder / "style.png")


def test_styles_are_files_and_ids_and_mix(folder: Path) -> None:
    styles = ["--style", "second", "--style", folder / "style.png", "--weights", "3,1", "--alpha", "0.5"]
    for name, more in (("mixed", styles), ("plain", ["--style", "second"])):
        result = stylize(folder / "photo.jpg", *more, "-o", folder / f"{name}.png")
        assert result.exit_code == 0, result.output
    assert (folder / "mixed.png").read_bytes() != (folder / "plain.png").read_bytes()


def test_learned_styles_and_seeds(folder: Path, every_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_CHECKPOINTS", str(every_network))
    mixed = painted(folder, "mixed.png", "--style", "sea", "--style", "sand", "--weights", "1,2")
    assert mixed != painted(folder, "plain.png", "--style", "sea")
    one, again, other = (painted(folder, "noisy.png", "--style", "moss", "--seed", seed) for seed in (1, 1, 2))
    assert one == again != other
    result = stylize(folder / "photo.jpg", "--style", "sea", "--seed", "1", "-o", folder / "refused.png")
    assert result.exit_code == 1
    assert "the network 'coast' takes no seed" in on_one_line(result)


def test_a_seed_that_was_drawn_is_said(folder: Path, every_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_CHECKPOINTS", str(every_network))
    result = stylize(folder / "photo.jpg", "--style", "moss", "-o", folder / "drawn.png")
    found = re.search(r"drawn\.png: seed (\d+)", on_one_line(result))
    assert found is not None
    assert painted(folder, "again.png", "--style", "moss", "--seed", found[1]) == (folder / "drawn.png").read_bytes()


def test_a_damaged_checkpoint_is_one_line(
    folder: Path, every_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = shutil.copytree(every_network, tmp_path / "checkpoints")
    coast = checkpoints / "coast.safetensors"
    coast.write_bytes(coast.read_bytes()[:-3] + b"???")
    monkeypatch.setenv("STYLIZE_CHECKPOINTS", str(checkpoints))
    result = stylize(folder / "photo.jpg", "--style", "sea", "-o", folder / "none.png")
    assert result.exit_code == 1
    assert "photo.jpg: the network 'coast' cannot be used: coast.safetensors: damaged" in on_one_line(result)
    assert not (folder / "none.png").exists()
    painted(folder, "fine.png", "--style", "ink")


def test_several_photos_go_into_a_folder_and_a_bad_one_does_not_stop_the_others(folder: Path) -> None:
    photos = [folder / name for name in ("photo.jpg", "text.jpg", "clear.png")]
    result = stylize(*photos, "--style", folder / "style.png", "-o", folder / "out", "--format", "png")
    assert result.exit_code == 1
    message = on_one_line(result)
    assert f"{folder / 'text.jpg'}: got a text, allowed are jpeg, png, webp, avif" in message
    assert "Traceback" not in message
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["clear.png", "photo.png"]
    with Image.open(folder / "out" / "clear.png") as image:
        assert image.mode == "RGBA"
        assert image.size == (64, 43)


def test_a_style_that_is_neither_a_file_nor_an_id(folder: Path) -> None:
    result = stylize(folder / "photo.jpg", "--style", "sytle.png", "-o", folder / "out.jpg")
    assert result.exit_code == 2
    assert on_one_line(result) == (
        "there is no file 'sytle.png', and as a style's id: unknown style 'sytle.png': known are first, second"
    )
    assert not (folder / "out.jpg").exists()


@pytest.mark.parametrize(
    ("options", "exit_code", "message"),
    [
        (["--size", "7"], 1, "the longer side must be from 64 to 4096 pixels"),
        (["--steps", "7"], 2, "got 7, but the method feedforward takes no steps"),
        (["--style-size", "99"], 1, "style_size is for paintings that are encoded, and for 'first' there is none"),
    ],
)
def test_a_value_that_cannot_be_used(folder: Path, options: list[str], exit_code: int, message: str) -> None:
    result = stylize(folder / "photo.jpg", "--style", "first", "-o", folder / "out", *options)
    assert result.exit_code == exit_code
    assert message in on_one_line(result)
    assert not (folder / "out").exists(), "nothing half-written stays"


def test_an_output_of_a_type_that_we_do_not_write(folder: Path) -> None:
    result = stylize(folder / "photo.jpg", "--style", "first", "-o", folder / "out.tiff")
    assert result.exit_code == 2
    assert "got 'tiff': allowed are jpeg, png, webp, avif" in on_one_line(result)
    assert not (folder / "out.tiff").exists()


def test_a_broken_environment_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MAX_SIZE_PX", "big"), ("DTYPE", "auto")):
        monkeypatch.setenv(f"STYLIZE_{name}", value)
    result = stylize(folder / "photo.jpg", "--style", "first", "-o", folder / "out.jpg")
    assert result.exit_code == 2
    assert on_one_line(result).startswith("STYLIZE_MAX_SIZE_PX='big': ")


def test_no_checkpoints(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_CHECKPOINTS", str(folder / "nowhere"))
    result = stylize(folder / "photo.jpg", "--style", "first", "-o", folder / "out.jpg")
    assert result.exit_code == 2
    assert "nowhere" in result.output
    assert "Traceback" not in result.output
