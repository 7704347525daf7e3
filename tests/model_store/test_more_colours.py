"""Colours of files as phones, cameras and editors write them: curves of every kind, deep pixels, EXIF's Adobe RGB."""

import struct
from io import BytesIO
from pathlib import Path

import colour_files as colours
import image_files as files
import numpy as np
import pytest
from colour_files import LINEAR_CURVE, P3, SRGB, SRGB_CURVE, SRGB_NUMBERS
from PIL import Image

from tests.model_store.test_image_colours import BRICK, BRICK_OF_P3, DIM, LINEAR_DIM, READERS, Reader, assert_colour

BT2020_TO_SRGB = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
ADOBE_TO_SRGB = np.array([[1.39836, -0.39836, 0], [0, 1, 0], [0, -0.04293, 1.04293]])
"""Linear light to linear light."""

GREENISH = (120, 140, 110)
GREENISH_OF_BT2020 = colours.from_light(BT2020_TO_SRGB @ colours.to_light(GREENISH))
BRICK_OF_ADOBE = colours.from_light(ADOBE_TO_SRGB @ (np.array(BRICK) / 255) ** (563 / 256))
P3_PROFILE = colours.profile(P3, SRGB_CURVE, "sRGB")


def parametric(kind: int, *numbers: float) -> bytes:
    return b"para" + struct.pack(f">4xHxx{len(numbers)}i", kind, *(round(65536 * number) for number in numbers))


def before_pixels(png: bytes, *chunks: bytes) -> bytes:
    return png[:33] + b"".join(chunks) + png[33:]


def test_the_numbers_of_this_test_are_those_of_the_standards() -> None:
    assert GREENISH_OF_BT2020 == (107, 142, 106)
    assert BRICK_OF_ADOBE == (232, 57, 34)


@READERS
@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (parametric(0, 1.0), LINEAR_DIM),
        (parametric(3, *SRGB_NUMBERS), (DIM,) * 3),
        (parametric(4, *SRGB_NUMBERS, 0, 0), (DIM,) * 3),
        (parametric(0, 2.2), colours.from_light(np.array([(DIM / 255) ** 2.2] * 3))),
        (b"curv" + struct.pack(">4xI1024H", 1024, *(round(65535 * nth / 1023) for nth in range(1024))), LINEAR_DIM),
    ],
    ids=["line", "sRGB", "sRGB-with-offsets", "power", "table"],
)
def test_curves_of_every_kind(tmp_path: Path, read: Reader, curve: bytes, expected: tuple[int, ...]) -> None:
    path = tmp_path / "file.png"
    icc = colours.profile(SRGB, curve, "sRGB")
    path.write_bytes(files.saved(colours.plain((DIM,) * 3), icc_profile=icc))
    assert_colour(read, path, expected, 1)


DEEP = files.rgb16(tuple(257 * value for value in BRICK))
MPO = BytesIO()
colours.plain(BRICK).save(
    MPO, "MPO", save_all=True, append_images=[colours.plain((0, 0, 0))], quality=100, icc_profile=P3_PROFILE
)


@READERS
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (before_pixels(DEEP, colours.iccp(P3_PROFILE)), BRICK_OF_P3),
        (before_pixels(DEEP, colours.cicp(12, 13)), BRICK_OF_P3),
        (before_pixels(files.grey16(257 * DIM), colours.gama(100_000)), LINEAR_DIM),
        (before_pixels(files.grey16(257 * DIM), colours.iccp(files.grey_profile())), LINEAR_DIM),
        (before_pixels(files.saved(colours.plain(BRICK).quantize(8)), colours.cicp(12, 13)), BRICK_OF_P3),
        (files.saved(colours.plain(BRICK).quantize(8), icc_profile=P3_PROFILE), BRICK_OF_P3),
        (MPO.getvalue(), BRICK_OF_P3),
        (colours.png(colours.plain(GREENISH), colours.cicp(9, 1)), GREENISH_OF_BT2020),
        (colours.png(colours.plain(GREENISH), colours.cicp(9, 14)), GREENISH_OF_BT2020),
        (colours.avif(colours.plain(GREENISH), 9, 1), GREENISH_OF_BT2020),
        (files.saved(colours.plain(DIM), icc_profile=colours.profile(SRGB, LINEAR_CURVE, "x")), LINEAR_DIM),
        (files.saved(colours.plain(DIM), icc_profile=P3_PROFILE), (DIM,) * 3),
    ],
    ids=[
        *(
            "16-bit profile",
            "16-bit cICP",
            "16-bit grey gAMA",
            "16-bit grey profile",
            "palette cICP",
            "palette profile",
        ),
        *("phone's two pictures", "BT.2020", "BT.2020 of 10 bits", "BT.2020 avif", "grey of linear RGB", "grey of P3"),
    ],
)
def test_pixels_of_every_kind(tmp_path: Path, read: Reader, data: bytes, expected: tuple[int, ...]) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert_colour(read, path, expected, 3)


def exif(space: int, index: str | None) -> Image.Exif:
    block = Image.Exif()
    camera = block.get_ifd(0x8769)
    camera[0xA001] = space
    if index is not None:
        camera[0xA005] = {1: index}
    return block


@READERS
@pytest.mark.parametrize("format", ["jpeg", "webp"])
@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (exif(0xFFFF, "R03"), BRICK_OF_ADOBE),
        (exif(2, None), BRICK_OF_ADOBE),
        (exif(0xFFFF, "R98"), BRICK),
        (exif(0xFFFF, None), BRICK),
        (exif(1, "R03"), BRICK),
    ],
    ids=["R03", "2", "R98", "uncalibrated", "sRGB"],
)
def test_adobe_rgb_that_a_camera_names_by_exif(
    tmp_path: Path, read: Reader, block: Image.Exif, format: str, expected: tuple[int, ...]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(files.saved(colours.plain(BRICK), format, exif=block, quality=100))
    assert_colour(read, path, expected, 3)
    path.write_bytes(files.saved(colours.plain(BRICK), format, exif=block, quality=100, icc_profile=P3_PROFILE))
    assert_colour(read, path, BRICK_OF_P3, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("where", ["before", "behind"])
def test_a_png_is_turned_wherever_its_exif_stands(tmp_path: Path, orientation: int, where: str) -> None:
    from train.images import read_image

    data = files.oriented(orientation, "png")
    at = data.find(b"eXIf") - 4
    if at >= 0 and where == "behind":
        chunk = data[at : at + 12 + int.from_bytes(data[at : at + 4])]
        data = data.replace(chunk, b"")[:-12] + chunk + data[-12:]
    (tmp_path / "file.png").write_bytes(data)
    assert files.corner_colours(read_image(tmp_path / "file.png")) == files.CORNERS
