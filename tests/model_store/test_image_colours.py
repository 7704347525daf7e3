"""Colours of image files: by primaries and curves, whatever says them, the same for serving and for training."""

import random
from collections.abc import Callable
from pathlib import Path

import colour_files as colours
import image_files as files
import numpy as np
import pytest
from colour_files import LINEAR_CURVE, P3, P3_XY, SRGB, SRGB_CURVE
from paths import SHARED
from PIL import Image

from service.images import ImageLimits, decode
from train.data import random_crop
from train.images import read_image
from train.recipes import Stage

LIMITS = ImageLimits(max_bytes=2**24, max_pixels=1_000_000)
STAGE = Stage(1.0, 32, 1, (32, 40))

BRICK = (200, 60, 40)
BRICK_OF_P3 = colours.p3_in_srgb(BRICK)
DIM = 55
LINEAR_DIM = colours.from_light(np.array([DIM / 255] * 3))
"""About 128."""


def served(path: Path) -> Image.Image:
    data = path.read_bytes()
    return decode(data, "content", LIMITS, 48).rgb


def cropped(path: Path) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(random_crop(path, STAGE, random.Random(3))))


READERS = pytest.mark.parametrize("read", [served, read_image, cropped])
Reader = Callable[[Path], Image.Image]


def assert_colour(read: Reader, path: Path, expected: tuple[int, ...], tolerance: int) -> None:
    got = np.asarray(read(path)).astype(int)
    assert np.abs(got - expected).max() <= tolerance, got[0, 0]


def test_the_numbers_of_this_test_are_those_of_the_standards() -> None:
    assert BRICK_OF_P3 == (217, 42, 23)
    assert LINEAR_DIM == (128, 128, 128)


# ---- profiles -----------------------------------------------------------------------------------------------------


@READERS
@pytest.mark.parametrize("name", ["Display P3", "Display P3 Gamut with sRGB Transfer", "sRGB", "sRGB IEC61966-2.1", ""])
@pytest.mark.parametrize("format", files.FORMATS)
def test_a_wide_profile_is_applied_whatever_its_name(tmp_path: Path, read: Reader, format: str, name: str) -> None:
    options = {"webp": {"lossless": True}}.get(format, {"quality": 100})
    icc = colours.profile(P3, SRGB_CURVE, name)
    path = tmp_path / f"file.{format}"
    path.write_bytes(files.saved(colours.plain(BRICK), format, icc_profile=icc, **options))
    assert_colour(read, path, BRICK_OF_P3, 3)


@READERS
@pytest.mark.parametrize("name", ["linear sRGB", "sRGB", "light"])
def test_a_linear_profile_is_applied_whatever_its_name(tmp_path: Path, read: Reader, name: str) -> None:
    path = tmp_path / "linear.png"
    icc = colours.profile(SRGB, LINEAR_CURVE, name)
    path.write_bytes(files.saved(colours.plain((DIM,) * 3), icc_profile=icc))
    assert_colour(read, path, LINEAR_DIM, 1)


@READERS
@pytest.mark.parametrize("gamma", [1.8, 2.2])
def test_a_curve_near_that_of_srgb_is_not_taken_for_it(tmp_path: Path, read: Reader, gamma: float) -> None:
    path = tmp_path / "gamma.png"
    curve = b"curv" + bytes(4) + (1).to_bytes(4) + round(256 * gamma).to_bytes(2) + bytes(2)
    path.write_bytes(files.saved(colours.plain((20,) * 3), icc_profile=colours.profile(SRGB, curve, "sRGB")))
    assert_colour(read, path, colours.from_light(np.array([(20 / 255) ** gamma] * 3)), 1)


@READERS
@pytest.mark.parametrize("name", ["sRGB", "some camera"])
def test_the_profile_of_srgb_changes_no_pixel(tmp_path: Path, read: Reader, name: str) -> None:
    photo = files.photo(48, 48)
    photo.save(tmp_path / "without.png")
    photo.save(tmp_path / "with.png", icc_profile=colours.profile(SRGB, SRGB_CURVE, name))
    assert read(tmp_path / "with.png").tobytes() == read(tmp_path / "without.png").tobytes()


@READERS
def test_a_grey_profile_is_applied(tmp_path: Path, read: Reader) -> None:
    path = tmp_path / "grey.png"
    path.write_bytes(files.saved(colours.plain(DIM), icc_profile=files.grey_profile()))
    assert_colour(read, path, LINEAR_DIM, 1)


@READERS
def test_a_profile_above_a_megabyte_is_applied(tmp_path: Path, read: Reader) -> None:
    icc = colours.profile(P3, SRGB_CURVE, "Display P3")
    large = (len(icc) + 2**21).to_bytes(4) + icc[4:] + random.Random(0).randbytes(2**21)
    path = tmp_path / "large.png"
    path.write_bytes(colours.png(colours.plain(BRICK), colours.iccp(large)))
    assert_colour(read, path, BRICK_OF_P3, 2)


@READERS
def test_cmyk_without_a_profile_is_that_of_a_press(tmp_path: Path, read: Reader) -> None:
    path = tmp_path / "press.jpg"
    path.write_bytes(files.saved(Image.new("CMYK", (48, 48), (0, 255, 255, 0)), "jpeg", quality=95))
    assert_colour(read, path, (231, 23, 34), 3)  # a printed red, which is no pure one


# ---- without a profile --------------------------------------------------------------------------------------------


@READERS
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (colours.avif(colours.plain(BRICK), 12, 13), BRICK_OF_P3),
        (
            colours.avif(colours.plain(BRICK), 12, 1),
            BRICK_OF_P3,
        ),  # a curve that browsers take for sRGB's
        (colours.avif(colours.plain(BRICK), 1, 13), BRICK),
        (colours.avif(colours.plain(BRICK), 1, 1), BRICK),
        (colours.avif(colours.plain(BRICK), 2, 2), BRICK),
        (colours.avif(colours.plain((DIM,) * 3), 1, 8), LINEAR_DIM),
        (colours.avif(colours.plain(BRICK), 1, 13, icc_profile=colours.profile(P3, SRGB_CURVE, "sRGB")), BRICK_OF_P3),
        (colours.avif(colours.plain(BRICK), 12, 13, icc_profile=colours.profile(SRGB, SRGB_CURVE, "P3")), BRICK),
    ],
    ids=["p3", "p3-bt709", "srgb", "bt709", "unspecified", "linear", "profile-wins", "profile-of-srgb-wins"],
)
def test_code_points_of_avif(tmp_path: Path, read: Reader, data: bytes, expected: tuple[int, ...]) -> None:
    path = tmp_path / "file.avif"
    path.write_bytes(data)
    assert_colour(read, path, expected, 3)


@READERS
def test_code_points_of_avif_beside_transparency(tmp_path: Path, read: Reader) -> None:
    image = colours.plain(BRICK).convert("RGBA")
    image.putalpha(200)
    path = tmp_path / "file.avif"
    path.write_bytes(colours.avif(image, 12, 13))
    assert_colour(read, path, BRICK_OF_P3, 3)


SRGB_CHUNK = files.chunk(b"sRGB", b"\0")
P3_PROFILE = colours.iccp(colours.profile(P3, SRGB_CURVE, "sRGB"))


@READERS
@pytest.mark.parametrize(
    ("colour", "chunks", "expected"),
    [
        (BRICK, [colours.cicp(12, 13)], BRICK_OF_P3),
        (BRICK, [colours.cicp(1, 13)], BRICK),
        ((DIM,) * 3, [colours.cicp(1, 8)], LINEAR_DIM),
        (DIM, [colours.cicp(1, 8)], LINEAR_DIM),
        ((DIM,) * 3, [colours.gama(100_000)], LINEAR_DIM),
        (DIM, [colours.gama(100_000)], LINEAR_DIM),
        (BRICK, [colours.gama(45_455), colours.chrm(P3_XY)], BRICK_OF_P3),
        (BRICK, [colours.chrm(P3_XY)], BRICK_OF_P3),
        (BRICK, [colours.gama(45_455)], BRICK),
        (BRICK, [colours.gama(0), colours.chrm((0,) * 8)], BRICK),
        (BRICK, [colours.chrm((31270, 32900, 33000, 33000, 33000, 33000, 33000, 33000))], BRICK),
        (BRICK, [SRGB_CHUNK, colours.gama(100_000), colours.chrm(P3_XY)], BRICK),
        (BRICK, [P3_PROFILE, colours.gama(100_000)], BRICK_OF_P3),
        (BRICK, [colours.cicp(1, 13), P3_PROFILE], BRICK),
        (BRICK, [P3_PROFILE, colours.cicp(1, 13)], BRICK),
    ],
    ids=[
        *(
            "cicp-p3",
            "cicp-srgb",
            "cicp-linear",
            "cicp-linear-grey",
            "gama-linear",
            "gama-linear-grey",
            "chrm-and-gama",
        ),
        *("chrm", "gama-srgb", "nonsense", "no-triangle", "srgb-wins", "profile-wins", "cicp-wins", "cicp-wins-late"),
    ],
)
def test_chunks_of_png(
    tmp_path: Path, read: Reader, colour: tuple[int, int, int] | int, chunks: list[bytes], expected: tuple[int, ...]
) -> None:
    path = tmp_path / "file.png"
    path.write_bytes(colours.png(colours.plain(colour), *chunks))
    assert_colour(read, path, expected, 2)


@pytest.mark.parametrize("transfer", [16, 18], ids=["PQ", "HLG"])
def test_hdr_keeps_its_greys_apart(tmp_path: Path, transfer: int) -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None].repeat(48, 0)).convert("RGB")
    path = tmp_path / "ramp.png"
    path.write_bytes(colours.png(ramp, colours.cicp(9, transfer)))
    row = np.asarray(read_image(path)).astype(int)[0]
    assert np.ptp(row, axis=1).max() <= 1, "grey stays grey"
    assert (np.diff(row[:, 1]) >= 0).all() and row[0, 1] == 0 and row[-1, 1] == 255
    page_white = {16: 148, 18: 191}[transfer]  # BT.2408: 58 and 75 per cent
    assert 170 < row[page_white, 1] < 215, "above it there is room for lights"


# ---- field --------------------------------------------------------------------------------------------------------


@READERS
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p3-plain-name.jpg", (219, 41, 23)),
        ("p3-samsung.jpg", (219, 41, 23)),
        ("p3-icc.avif", (217, 43, 23)),
        ("p3-nclx.avif", (217, 43, 23)),
        ("linear-srgb.png", (128, 128, 128)),
    ],
)
def test_files_from_the_field(read: Reader, name: str, expected: tuple[int, ...]) -> None:
    path = SHARED / "field" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    if read is cropped:
        got = np.asarray(read(path)).reshape(-1, 3).astype(int)
        assert np.abs(got - expected).max(axis=1).min() <= 3, "the colour is in the crop"
    else:
        assert np.abs(np.array(read(path).getpixel((10, 10))) - expected).max() <= 3
