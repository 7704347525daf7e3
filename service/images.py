"""Image files ⇄ RGB pixels, with the limits and the messages of the service.

The API reads headers only (``read_header``); the worker decodes, and checks the limits again. Pixels are read by
``model_store.image_files``, as in training. Needs Pillow alone, since the HTTP process imports this module.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageChops

from model_store.image_files import DamagedImage, DecodedImage, ImageFile, Resize, UnknownFormat, UnusualImage
from service.errors import InvalidField, PayloadTooLarge, UnsupportedImage
from service.formats import FORMATS, NAMES

MAX_ASPECT = 8
"""Longer side over shorter side: a style image, encoded with its longer side at 512 pixels, keeps 64 of the other."""

MIN_SHORTER_PX = 16
"""Shortest side of an output or a style image: two cells of AdaIN's coarsest grid, since one cell has no deviation."""

PILLOW_NAMES = tuple(spec.pillow for spec in FORMATS.values())


@dataclass(frozen=True)
class ImageLimits:
    """Largest allowed file."""

    max_bytes: int
    max_pixels: int


OWN_FILES = ImageLimits(max_bytes=4 * 2**20, max_pixels=2**21)
"""Limits of the files that we make: the sample photo, and the style images that are kept."""


@dataclass(frozen=True)
class Header:
    """Header of an image file; width and height are those after the EXIF orientation."""

    format: str
    width: int
    height: int
    has_alpha: bool

    @property
    def decoded_pixels(self) -> int:
        """Pixels that decoding holds at once, at up to 20 bytes each."""
        return self.width * self.height


def read_header(data: bytes, field: str, limits: ImageLimits) -> Header:
    """Check a file by its header, without decoding pixels.

    Args:
        data: The file.
        field: Form field of the file, for the message.
        limits: Limits to check.

    Raises:
        InvalidField: The file is empty, animated, or of a shape that is not allowed.
        PayloadTooLarge: The file has too many bytes.
        UnsupportedImage: The file is no image of a format that is read.
    """
    file = _opened(data, field, limits)
    return Header(file.format.lower(), file.width, file.height, file.has_alpha)


def decode(data: bytes, field: str, limits: ImageLimits, longer_px: int, resize: Resize | None = None) -> DecodedImage:
    """Decode a file's pixels: upright, in sRGB, the longer side resized to ``longer_px``, by Pillow or ``resize``.

    Raises:
        InvalidField: As ``read_header``, which has the other errors too; or the data is damaged or truncated.
    """
    file = _opened(data, field, limits)
    with _clear_damage(field):
        return file.read(fitted(file.width, file.height, longer_px), resize=resize)


def decode_mask(data: bytes, field: str, limits: ImageLimits, size: tuple[int, int]) -> Image.Image:
    """Decode a spatial mask: grey levels, upright, resized to ``size`` whatever the aspect; transparent is black.

    Levels are numbers and not colours, so a colour profile changes nothing.

    Returns:
        Mode L, of ``size`` (width, height): 255 is full, 0 is none.

    Raises:
        InvalidField: As ``decode``, which has the other errors too; or the levels are 0 and 1, as of truth values.
    """
    file = _opened(data, field, limits)
    with _clear_damage(field):
        grey, alpha = file.read_levels(size)
    if alpha is not None:
        grey = ImageChops.multiply(grey, alpha)
    if grey.getextrema()[1] == 1:
        raise InvalidField("got levels of 0 and 1, of 255: multiply the mask by 255, so that full is white", field)
    # Not LANCZOS as for photos: it would put bright and dark lines along the edges.
    is_smaller = size[0] <= grey.width and size[1] <= grey.height
    return grey.resize(size, Image.Resampling.BOX if is_smaller else Image.Resampling.BILINEAR)


def encode(picture: DecodedImage, format: str, quality: int | None) -> bytes:
    """Encode a file without metadata; for a format without transparency, the background is white.

    Args:
        picture: Image to encode.
        format: Name in ``FORMATS``.
        quality: 1 to 100, for lossy formats; the format's default if ``None``.
    """
    spec = FORMATS[format]
    image = picture.rgb
    if image.info or picture.alpha is not None:  # else a large image would be copied for nothing
        image = image.copy()
        image.info = {}  # Pillow writes the profile or the comment that it finds there
    if picture.alpha is not None and spec.has_alpha:
        image.putalpha(picture.alpha)
    elif picture.alpha is not None:
        image = Image.composite(image, Image.new("RGB", image.size, "white"), picture.alpha)
    options = dict(spec.options)
    if spec.default_quality is not None:
        options["quality"] = quality or spec.default_quality
    file = BytesIO()
    image.save(file, spec.pillow, **options)
    return file.getvalue()


def fitted(width: int, height: int, longer_px: int) -> tuple[int, int]:
    """Width and height of the same aspect whose longer side is ``longer_px``."""
    longer = max(width, height)
    return max(1, round(width * longer_px / longer)), max(1, round(height * longer_px / longer))


def check_style_size(width: int, height: int) -> None:
    """Refuse a style image that would have no statistics at this size.

    Raises:
        InvalidField: It has too few pixels.
    """
    if min(width, height) < MIN_SHORTER_PX:
        raise InvalidField(
            f"the style would be {width} × {height} pixels, its shorter side must have at least {MIN_SHORTER_PX}:"
            " ask for a larger style_size",
            "style_size",
        )


@contextlib.contextmanager
def naming(what: str, index: int, count: int) -> Iterator[None]:
    """Say in errors that they are about file ``index`` of the ``count`` of a field, unless it is the only one."""
    try:
        yield
    except (InvalidField, PayloadTooLarge, UnsupportedImage) as err:
        if count > 1:
            raise type(err)(f"{what} {index + 1} of {count}: {err.detail}", err.field) from err
        raise


def _opened(data: bytes, field: str, limits: ImageLimits) -> ImageFile:
    """Open a file, and check its header."""
    if not data:
        raise InvalidField(f"the file is empty: send an image ({NAMES})", field)
    if len(data) > limits.max_bytes:
        raise PayloadTooLarge(
            f"got {len(data)} bytes, at most {limits.max_bytes} are allowed: send a smaller file", field
        )
    try:
        with _clear_damage(field):
            file = ImageFile(data, PILLOW_NAMES)
    except UnknownFormat as err:
        raise UnsupportedImage(f"got {err}, allowed are {NAMES}: convert the file", field) from err
    _check_size(file, field, limits)
    return file


def _check_size(file: ImageFile, field: str, limits: ImageLimits) -> None:
    width, height = file.width, file.height
    if width * height > limits.max_pixels:
        raise InvalidField(
            f"got {width} × {height} pixels, {width * height} in all, at most {limits.max_pixels} are allowed:"
            " send a smaller image",
            field,
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise InvalidField(f"got {width} × {height} pixels, at most {MAX_ASPECT}:1 is allowed: crop the image", field)
    if file.frames > 1:
        raise InvalidField(f"got an animation of {file.frames} frames: send one frame", field)


@contextlib.contextmanager
def _clear_damage(field: str) -> Iterator[None]:
    """Translate damage into the client's error."""
    try:
        yield
    except DamagedImage as err:
        raise InvalidField(f"{err}: send the whole file", field) from err
    except UnusualImage as err:
        raise InvalidField(f"got {err}: save it again as an ordinary one", field) from err
