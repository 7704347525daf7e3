"""Images as arguments of the client: files, buffers, images of Pillow and arrays; and the names of its options."""

import re
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answers import PHOTO, STYLE
from PIL import Image
from processes import Service

from stylize_client import AsyncClient, Client
from stylize_client.image_sources import as_list, image_bytes

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 4), np.uint8)


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


# ---- files --------------------------------------------------------------------------------------------------------


def test_a_buffer_is_sent_from_its_beginning() -> None:
    buffer = BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, "PNG")
    assert buffer.tell() > 0
    assert image_bytes("content", buffer) == buffer.getvalue()
    assert image_bytes("content", buffer) == buffer.getvalue(), "a second time"


def test_a_stream_that_cannot_seek_is_read_from_where_it_is() -> None:
    code = "import sys; from stylize_client.image_sources import image_bytes as f; print(len(f('c', sys.stdin.buffer)))"
    done = subprocess.run([sys.executable, "-c", code], input=PHOTO, capture_output=True, check=True)
    assert int(done.stdout) == len(PHOTO)


@pytest.mark.parametrize("empty", [b"", bytearray(), BytesIO()], ids=["bytes", "bytearray", "buffer"])
def test_an_empty_file_is_refused(empty: Any) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ValueError, match="style: got an empty file"):
        client.stylize(PHOTO, styles=[STYLE, empty])


def test_an_empty_file_on_disk_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ValueError, match="content: got an empty file"):
        image_bytes("content", tmp_path / "empty.jpg")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (StringIO("text"), "content: got a text file, open it for reading bytes"),
        (7, "content: got int; give a path, bytes, a file object, a Pillow image or an array of uint8"),
        (None, "content: got NoneType; give a path"),
        (PIXELS / 255, r"got an array of shape (12, 20, 4) and format 'd'; give uint8 from 0 to 255, or bool"),
        (PIXELS[None], "got an array of shape (1, 12, 20, 4)"),
        (np.zeros((4, 4, 7), np.uint8), "with 1 to 4 channels"),
        (Image.new("F", (4, 4)), "got an image of mode F, convert its pixels to 8 bits"),
    ],
)
def test_other_things_are_refused(image: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=re.escape(reason)):
        image_bytes("content", image)


# ---- images of Pillow ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pillow_images_keep_their_pixels(mode: str) -> None:
    image = (
        Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 200)
        if mode == "I;16"
        else Image.fromarray(PIXELS).convert(mode)
    )
    sent = opened(image_bytes("content", image))
    assert sent.format == "PNG" and sent.mode == mode
    assert np.array_equal(np.asarray(sent), np.asarray(image))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV"])
def test_other_modes_are_converted(mode: str) -> None:
    image = Image.fromarray(PIXELS[..., :3]).convert(mode)
    image.info["icc_profile"] = b"a profile of other channels"
    sent = opened(image_bytes("content", image))
    assert sent.tobytes() == image.convert("RGB").tobytes() and "icc_profile" not in sent.info


def test_32_bit_grey_keeps_16_bits() -> None:
    image = Image.fromarray(np.arange(0, 60_000, 100, np.int32).reshape(20, 30), "I")
    assert opened(image_bytes("content", image)).getpixel((29, 19)) == 59_900


def test_a_photo_of_pillow_has_its_orientation_and_profile() -> None:
    exif, file = Image.Exif(), BytesIO()
    exif[0x0112] = 6
    Image.fromarray(PIXELS[..., :3]).save(file, "JPEG", exif=exif, icc_profile=b"profile")
    sent = opened(image_bytes("content", Image.open(file)))
    assert sent.getexif()[0x0112] == 6 and sent.info["icc_profile"] == b"profile"


# ---- arrays -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "mode"),
    [
        (PIXELS, "RGBA"),
        (PIXELS[..., :3], "RGB"),
        (PIXELS[..., 0], "L"),
        (PIXELS[..., :2], "LA"),
        (PIXELS[..., :1], "L"),
        (PIXELS[::-1, ::2, 2::-1], "RGB"),  # a view: mirrored, every second column, BGR
    ],
)
def test_arrays_are_sent_as_they_are(array: np.ndarray, mode: str) -> None:
    sent = opened(image_bytes("content", array))
    assert sent.mode == mode and np.array_equal(np.asarray(sent).reshape(array.shape), array)


def test_a_mask_of_booleans_is_black_and_white() -> None:
    mask = PIXELS[..., 0] > 100
    assert np.array_equal(np.asarray(opened(image_bytes("mask", mask))), mask * np.uint8(255))


def test_an_array_of_one_dimension_is_a_file() -> None:
    assert image_bytes("content", np.frombuffer(PHOTO, np.uint8)) == PHOTO


def test_one_image_or_several() -> None:
    array, image = PIXELS[..., :3], Image.new("L", (4, 4))
    for one in (array, image, PHOTO, "a.jpg", Path("a.jpg"), BytesIO(PHOTO)):
        assert [id(item) for item in as_list(one)] == [id(one)]
        assert len(as_list((one, one))) == 2
    assert as_list(None) == [] and len(as_list(array for _ in range(3))) == 3


def test_the_service_takes_them(service: Service, tmp_path: Path) -> None:
    image = opened(PHOTO)
    with Client(service.url) as client:
        sources = [image, np.asarray(image), tmp_path / "photo.png"]
        image.save(tmp_path / "photo.png")
        outputs = [client.stylize(content, styles=opened(STYLE), size=64, format="png").data for content in sources]
        assert len(set(outputs)) == 1
        mask = np.zeros((64, 96), bool)
        mask[:, 48:] = True
        assert client.stylize(image, styles=STYLE, masks=mask, size=64, format="png").data != outputs[0]


# ---- names of options ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (
            lambda client: client.stylize(PHOTO, style_id="a"),
            "stylize() has no option 'style_id': did you mean 'style_ids'?",
        ),
        (lambda client: client.stylize(PHOTO, style=STYLE), "stylize() has no option 'style': did you mean 'styles'?"),
        (lambda client: client.stylize(PHOTO, mask=STYLE), "did you mean 'masks'?"),
        (lambda client: client.submit(PHOTO, colour="match"), "submit() has no option 'colour': did you mean 'color'?"),
        (lambda client: client.stylize(PHOTO, method="gatys"), "has no option 'method': call submit(), which has it"),
        (lambda client: client.submit(PHOTO, prompt="a cat"), "has no option 'prompt': its options are alpha, color,"),
        (lambda client: client.register_style(STYLE, "Wave", right="CC0"), "did you mean 'rights'?"),
    ],
)
def test_unknown_options_are_refused(call: Callable[[Any], object], reason: str) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(TypeError, match=re.escape(reason)):
        call(client)


async def test_the_asynchronous_client_refuses_them_too() -> None:
    async with AsyncClient("http://127.0.0.1:9") as client:
        with pytest.raises(TypeError, match="did you mean 'style_ids'"):
            await client.stylize(PHOTO, style_id="first")
