"""Image files ⇄ RGB pixels: an allow-list of formats, limits by the header, orientation, colour profile, transparency.

The API reads headers only (``read_header``); the worker decodes, and checks the limits again. Needs Pillow and nothing
else: the HTTP process imports this module.
"""

import contextlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageChops, ImageCms, ImageStat, UnidentifiedImageError

from service.errors import InvalidField, PayloadTooLarge, UnsupportedImage
from service.formats import FORMATS, NAMES

# Pillow's own guard warns at a number of its own and raises at twice that; ``read_header`` checks ours, always.
Image.MAX_IMAGE_PIXELS = None
# Odd metadata is no news: it costs no picture.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

MAX_ASPECT = 8
"""Longer side over shorter side: a style image, encoded with its longer side at 512 pixels, keeps 64 of the other."""

DAMAGED = (OSError, ValueError, SyntaxError, EOFError, MemoryError, RuntimeError)
"""What Pillow raises over data that it cannot read; RuntimeError is the AVIF decoder's."""

MAX_SCANS = 64
"""Passes of a JPEG over its pixels; encoders make about ten. One of 30 bytes costs the time of a whole picture."""

READABLE = {spec.pillow: name for name, spec in FORMATS.items()} | {"MPO": "jpeg"}
"""Pillow's names as ours. MPO is a JPEG with more pictures behind it (depth, brightness); phones write it."""

ORIENTATION_TAG = 0x0112
TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

OURS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n|RIFF....WEBP|....ftypavi[fs]", re.DOTALL)
"""How files of our formats begin."""

MARKER = re.compile(rb"\xff+([\x02-\xcf\xd8-\xfe])")
"""A JPEG marker with a length behind it, or the end; not a restart, nor a stuffed byte among the pixels."""

SIGNATURES = {
    # What people send besides; only to name it in the message.
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"%PDF": "a PDF",
    b"<svg": "an SVG",
    b"<?xml": "an XML file",
    b"<!DOC": "an HTML page",
    b"<html": "an HTML page",
    b"PK\x03\x04": "a ZIP archive",
}


@dataclass(frozen=True)
class ImageLimits:
    """What a file may be at most."""

    max_bytes: int
    max_pixels: int


@dataclass(frozen=True)
class Header:
    """What a file says of itself; width and height as it is to be seen, after its EXIF orientation."""

    format: str
    width: int
    height: int
    has_alpha: bool


@dataclass(frozen=True)
class Picture:
    """Upright sRGB pixels of mode RGB; ``alpha`` of mode L and the same size, if any of it is transparent."""

    rgb: Image.Image
    alpha: Image.Image | None


def read_header(data: bytes, field: str, limits: ImageLimits) -> Header:
    """Check a file by its header; no pixel is decoded.

    Args:
        data: The file.
        field: The form field that it came in, for the message.
        limits: What is allowed.

    Raises:
        InvalidField: Empty, animated, or of a shape that is not allowed.
        PayloadTooLarge: Too many bytes.
        UnsupportedImage: Not an image of a format that we read.
    """
    with _opened(data, field, limits) as image:
        return _header(image, field, limits)


def decode(data: bytes, field: str, limits: ImageLimits, longer_px: int) -> Picture:
    """A file's pixels, upright, in sRGB, its longer side resized to ``longer_px``.

    Args:
        data: The file.
        field: The form field that it came in, for the message.
        limits: Checked here too: who decodes trusts nobody.
        longer_px: Of the result.

    Raises:
        InvalidField: As in ``read_header``; also damaged or truncated data.
        PayloadTooLarge: As in ``read_header``.
        UnsupportedImage: As in ``read_header``.
    """
    with _opened(data, field, limits) as image:
        header = _header(image, field, limits)
        _scale_key(image, data)
        size = fitted(header.width, header.height, longer_px)
        orientation = _orientation(image)
        if orientation >= 5:
            size = size[::-1]  # of the file's pixels, which lie on their side
        image.draft(None, size)  # a large JPEG decodes at a reduced size, never below this one
        with _clear_damage(header, field):
            image.load()
            picture = _split_alpha(_to_8_bit(image), size)
    if orientation in TRANSPOSED:
        alpha = picture.alpha.transpose(TRANSPOSED[orientation]) if picture.alpha is not None else None
        return Picture(picture.rgb.transpose(TRANSPOSED[orientation]), alpha)
    return picture


def decode_mask(data: bytes, field: str, limits: ImageLimits, size: tuple[int, int]) -> Image.Image:
    """A file as grey levels, upright and resized to ``size`` whatever its aspect; what is transparent is black.

    Its levels are numbers and not colours, so a colour profile changes nothing.

    Args:
        data: The file.
        field: The form field that it came in, for the message.
        limits: Checked here too: who decodes trusts nobody.
        size: Width and height of the result.

    Returns:
        Mode L: 255 is all, 0 is nothing.

    Raises:
        InvalidField: As in ``decode``.
        PayloadTooLarge: As in ``decode``.
        UnsupportedImage: As in ``decode``.
    """
    with _opened(data, field, limits) as image:
        header = _header(image, field, limits)
        _scale_key(image, data)
        orientation = _orientation(image)
        image.draft("L", size if orientation < 5 else size[::-1])
        with _clear_damage(header, field):
            image.load()
            image = _to_8_bit(image)
            if image.has_transparency_data:
                grey, alpha = image.convert("RGBA").convert("LA").split()
                grey = ImageChops.multiply(grey, alpha)
            else:
                grey = image.convert("L")
    if orientation in TRANSPOSED:
        grey = grey.transpose(TRANSPOSED[orientation])
    # Not LANCZOS as for photos: it would put bright and dark lines along the edges.
    is_smaller = size[0] <= grey.width and size[1] <= grey.height
    return grey.resize(size, Image.Resampling.BOX if is_smaller else Image.Resampling.BILINEAR)


def encode(picture: Picture, format: str, quality: int | None) -> bytes:
    """A file without metadata; a format without transparency gets white under it.

    Args:
        picture: What to write.
        format: A name of ``FORMATS``.
        quality: 1 to 100, for lossy formats; the format's default when not given.
    """
    spec = FORMATS[format]
    image = picture.rgb
    if image.info or picture.alpha is not None:  # else there is nothing to change, and a large picture is not doubled
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
    """The size of the same aspect whose longer side is ``longer_px``."""
    longer = max(width, height)
    return max(1, round(width * longer_px / longer)), max(1, round(height * longer_px / longer))


@contextlib.contextmanager
def _opened(data: bytes, field: str, limits: ImageLimits) -> Iterator[Image.Image]:
    if not data:
        raise InvalidField(f"the file is empty: send an image ({NAMES})", field)
    if len(data) > limits.max_bytes:
        raise PayloadTooLarge(
            f"got {len(data)} bytes, at most {limits.max_bytes} are allowed: send a smaller file", field
        )
    try:
        image = Image.open(BytesIO(data), formats=[spec.pillow for spec in FORMATS.values()])
    except UnidentifiedImageError as err:
        if OURS.match(data):
            raise InvalidField("the image's header is damaged: send the whole file", field) from err
        raise UnsupportedImage(f"got {_looks_like(data)}, allowed are {NAMES}: convert the file", field) from err
    except DAMAGED as err:
        raise InvalidField("the image's header is damaged: send the whole file", field) from err
    with image:
        # A PNG's text stands among what Pillow knows of the image, under any name: `transparency` or `icc_profile` too.
        image.info = {key: value for key, value in image.info.items() if not isinstance(value, str)}
        if READABLE[str(image.format)] == "jpeg" and _has_more_scans(data, MAX_SCANS):
            raise InvalidField(f"got a JPEG of more than {MAX_SCANS} scans: save it again as an ordinary one", field)
        yield image


@contextlib.contextmanager
def _clear_damage(header: Header, field: str) -> Iterator[None]:
    """Pixels that cannot be read are the sender's to mend."""
    try:
        yield
    except DAMAGED as err:
        raise InvalidField(f"the {header.format} data ends early or is damaged: send the whole file", field) from err


def _has_more_scans(jpeg: bytes, limit: int) -> bool:
    if jpeg.count(b"\xff\xda") <= limit:  # fast, but takes for a scan what stands in metadata or behind the picture
        return False
    count, at = 0, 2
    while count <= limit and (marker := MARKER.search(jpeg, at)) and marker[1] != b"\xd9":
        count += marker[1] == b"\xda"
        at = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2])
    return count > limit


def _looks_like(data: bytes) -> str:
    start = data[:16].lstrip()
    named = next((name for signature, name in SIGNATURES.items() if start.startswith(signature)), None)
    if named is None and start[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
        named = "a HEIC"
    if named is None:
        text = all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in data[:64])
        named = "a text" if text else "a file of no image type that we know, or a damaged one"
    return named


def _header(image: Image.Image, field: str, limits: ImageLimits) -> Header:
    width, height = image.size
    if width * height > limits.max_pixels:
        raise InvalidField(
            f"got {width} × {height} pixels, {width * height} in all, at most {limits.max_pixels} are allowed:"
            " send a smaller image",
            field,
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise InvalidField(f"got {width} × {height} pixels, at most {MAX_ASPECT}:1 is allowed: crop the image", field)
    if image.format != "MPO" and (frames := getattr(image, "n_frames", 1)) > 1:
        raise InvalidField(f"got an animation of {frames} frames: send one frame", field)
    if _orientation(image) >= 5:
        width, height = height, width
    return Header(READABLE[str(image.format)], width, height, image.has_transparency_data)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, as far as it stands before the pixels.

    Pillow's ``getexif`` would decode a whole PNG to look for one behind them.
    """
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        orientation = exif.get(ORIENTATION_TAG, 1)
    except Exception:  # whatever a camera wrote there must not cost the picture
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _scale_key(image: Image.Image, data: bytes) -> None:
    """Bring the colour that a PNG declares transparent to 8 bits, as Pillow does with the pixels alone."""
    key = image.info.get("transparency")
    if image.mode not in ("L", "I;16", "RGB") or key is None:
        return
    depth = data[24]  # of the IHDR chunk, which is the first
    levels = [key] if isinstance(key, int) else key
    levels = [level >> 8 if depth == 16 else level * 255 // (2**depth - 1) for level in levels]
    image.info["transparency"] = levels[0] if isinstance(key, int) else tuple(levels)


def _to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit grey to its upper 8 bits, which Pillow does for colour; its conversion of grey clips instead."""
    if image.mode.startswith("I"):
        grey = image.convert("I").point(lambda value: value * (1 / 256) + 0).convert("L")
        kept = ("icc_profile", "transparency")
        grey.info = {key: value for key, value in image.info.items() if key in kept}
        return grey
    return image


def _split_alpha(image: Image.Image, size: tuple[int, int]) -> Picture:
    """SRGB pixels and transparency at the wanted size."""
    profile = image.info.get("icc_profile")
    if not image.has_transparency_data:
        flat = image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")
        return Picture(_to_srgb(_resized(flat, size), profile), None)
    rgba = _resized(image.convert("RGBA"), size)  # with premultiplied colour: what is transparent bleeds into nothing
    alpha = rgba.getchannel("A")
    rgb = _to_srgb(rgba.getchannel("R") if image.mode in ("L", "LA") else rgba.convert("RGB"), profile)
    if alpha.getextrema() == (255, 255):
        return Picture(rgb, None)
    # What cannot be seen must not weigh in the picture's statistics: it gets the mean colour of what can.
    visible = alpha.point(lambda value: 255 if value else 0)
    is_any = visible.getextrema() != (0, 0)
    mean = ImageStat.Stat(rgb, visible).mean if is_any else (255.0, 255.0, 255.0)
    fill = Image.new("RGB", rgb.size, (round(mean[0]), round(mean[1]), round(mean[2])))
    return Picture(Image.composite(rgb, fill, visible), alpha)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """RGB in sRGB, from RGB, L or CMYK; a profile that is broken, or does not fit the pixels, is ignored."""
    if icc_profile:
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError):
            profile = ImageCms.ImageCmsProfile(BytesIO(icc_profile))
            if "srgb" not in (profile.profile.profile_description or "").lower():
                converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
                if converted is not None:
                    return converted
    return image.convert("RGB")
