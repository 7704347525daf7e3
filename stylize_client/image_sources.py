"""Image files as the client accepts them: paths, bytes, file objects, images of Pillow and arrays of pixels.

Pillow and numpy are never imported: their objects are recognised by their interfaces.
"""

import struct
import zlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol

PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""Modes of Pillow's images that a PNG can store."""

PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""By number of channels: grey, grey with alpha, RGB, RGB with alpha."""

ORIENTATION_TAG = 0x0112


class PillowImage(Protocol):
    """An image of Pillow."""

    @property
    def mode(self) -> str:
        """Pillow's name of the pixel format."""

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:
        """Write a file."""


class PixelArray(Protocol):
    """An array of uint8 or bool, such as numpy's: (H, W), or (H, W, C) with 1 to 4 channels, RGB order."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Description of the array's memory."""


ImageSource = str | Path | bytes | bytearray | memoryview | BinaryIO | PillowImage | PixelArray
"""An image file: its path, its bytes, or a file object that reads bytes; or pixels: an image of Pillow or an array."""


def image_bytes(name: str, image: ImageSource) -> bytes:
    """Return the file of an image; pixels are written as PNG. A file object is read from its beginning if it can seek.

    Args:
        name: Name of the argument, for messages.
        image: The image.

    Raises:
        OSError: The file cannot be read.
        TypeError: The argument is not an image.
        ValueError: The file is empty.
    """
    data = _read(name, image)
    if not data:
        raise ValueError(f"{name}: got an empty file, an image file is needed")
    return data


def as_list(images: Any) -> list[Any]:
    """Return one image or id, several, or none, as a list."""
    if images is None:
        return []
    is_one = isinstance(images, str | Path) or hasattr(images, "read") or _is_pillow_image(images) or _is_buffer(images)
    return list(images) if not is_one and isinstance(images, Iterable) else [images]


def _read(name: str, image: Any) -> bytes:
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | Path):
        return Path(image).read_bytes()
    if hasattr(image, "read"):
        return _read_file(name, image)
    if _is_pillow_image(image):
        return _pillow_png(name, image)
    if _is_buffer(image):
        return _array_png(name, memoryview(image))
    raise TypeError(
        f"{name}: got {type(image).__name__}; give a path, bytes, a file object, a Pillow image or an array of uint8"
    )


def _read_file(name: str, file: Any) -> bytes:
    if hasattr(file, "seekable") and file.seekable():
        file.seek(0)  # a buffer that was just written stands at its end
    data = file.read()
    if not isinstance(data, bytes):
        raise TypeError(f"{name}: got a text file, open it for reading bytes: open(path, 'rb')")
    return data


def _is_pillow_image(image: Any) -> bool:
    return hasattr(image, "save") and hasattr(image, "mode") and hasattr(image, "convert")


def _pillow_png(name: str, image: Any) -> bytes:
    """Write an image of Pillow as PNG, with the profile of its pixels and its orientation.

    Raises:
        TypeError: The pixels are floating-point numbers, whose range is unknown.
    """
    if image.mode == "F":
        raise TypeError(f"{name}: got an image of mode F, convert its pixels to 8 bits: image.convert('L')")
    if image.mode == "I":
        image = image.convert("I;16")
    exif = image.getexif()
    turned = {"exif": exif} if exif.get(ORIENTATION_TAG, 1) != 1 else {}
    file = BytesIO()
    if image.mode in PNG_MODES:
        image.save(file, "PNG", compress_level=1, **turned)
    else:  # converted by Pillow, after which a profile of CMYK no longer fits
        image.convert("RGB").save(file, "PNG", compress_level=1, icc_profile=None, **turned)
    return file.getvalue()


def _is_buffer(image: Any) -> bool:
    try:
        memoryview(image)
    except TypeError:
        return False
    return True


def _array_png(name: str, array: memoryview) -> bytes:
    """Write an array as PNG; one of a single dimension has the bytes of a file already."""
    if array.format == "B" and array.ndim == 1:
        return array.tobytes()
    shape = array.shape or ()
    channels = shape[2] if len(shape) == 3 else 1
    if array.format not in ("B", "?") or len(shape) not in (2, 3) or channels not in PNG_COLOUR_TYPES:
        raise TypeError(
            f"{name}: got an array of shape {shape} and format {array.format!r}; give uint8 from 0 to 255, or bool, "
            "of shape (height, width) or (height, width, channels) with 1 to 4 channels, RGB"
        )
    pixels = array.tobytes() if array.format == "B" else array.tobytes().translate(bytes([0] + [255] * 255))
    height, width = shape[:2]
    stride = width * channels
    rows = b"".join(b"\0" + pixels[start : start + stride] for start in range(0, len(pixels), stride))
    header = struct.pack(">IIBBBBB", width, height, 8, PNG_COLOUR_TYPES[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
