"""Image files to upright sRGB pixels. Serving and training share it, so that a network is fed what it learned from.

Handles orientation, 16 bits, colours and transparency; limits are the callers'. Needs only Pillow and the standard
library: the API imports this module.
"""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageStat, UnidentifiedImageError

from model_store.colour_profile import to_srgb
from model_store.file_formats import avif, jpeg, png
from model_store.file_formats.colour_space import ColourSpace
from model_store.file_formats.kinds import file_kind
from model_store.orientation import Box, Orientation

# Pillow's own guard warns at a number of its own and raises at twice that; callers check an image's size instead.
Image.MAX_IMAGE_PIXELS = None
# Odd metadata does not prevent an image from being read.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

DAMAGED = (OSError, ValueError, SyntaxError, EOFError, MemoryError, RuntimeError, ArithmeticError)
"""Errors that decoders raise for data that cannot be read; RuntimeError is the AVIF decoder's."""

REDUCING_GAP = 3.0
"""Pillow's parameter: a much larger image is first reduced by whole pixels, to this many times the wanted size."""


class ImageFileError(Exception):
    """A file that cannot be read as an image."""


class UnknownFormat(ImageFileError):
    """A file of a type that is not allowed. The message is its type, with the article."""


class DamagedImage(ImageFileError):
    """A file of an allowed type that cannot be read. The message says what is damaged."""


@dataclass(frozen=True)
class DecodedImage:
    """Upright sRGB pixels of mode RGB; ``alpha`` of mode L and the same size, if any of it is transparent."""

    rgb: Image.Image
    alpha: Image.Image | None


class ImageFile:
    """An image file whose header has been read, and whose pixels have not.

    Attributes:
        format: Pillow's name of the format; JPEG also for a file of several (MPO: depth, brightness), as phones write.
        width: Width in pixels of the upright image.
        height: Height in pixels of the upright image.
        has_alpha: True if the file declares transparency.
    """

    def __init__(self, data: bytes, formats: tuple[str, ...]) -> None:
        """Read the header.

        Args:
            data: The file.
            formats: Pillow's names of the allowed formats.

        Raises:
            UnknownFormat: The file is of another format.
            DamagedImage: Its header cannot be read.
        """
        self._data = data
        self._header = _opened(data, formats)
        self.format = {"MPO": "JPEG"}.get(str(self._header.format), str(self._header.format))
        self._orientation = Orientation.of(self._header)
        self._stored_size = self._header.size  # a draft changes the header's
        self.width, self.height = self._orientation.turned(self._stored_size)
        self.has_alpha = self._header.has_transparency_data

    @property
    def frames(self) -> int:
        """Number of frames or pages; further images of a photo, such as its depth, are not counted."""
        return 1 if self._header.format == "MPO" else getattr(self._header, "n_frames", 1)

    def read(
        self,
        size: tuple[int, int] | None = None,
        box: Box | None = None,
        resample: Image.Resampling = Image.Resampling.LANCZOS,
    ) -> DecodedImage:
        """Decode the pixels, or a part of them. Call it only once.

        Args:
            size: Width and height of the result; by default the image's own.
            box: The part, in pixels of the upright image; by default all of it.
            resample: The filter.

        Raises:
            DamagedImage: The data end early or are damaged.
            ImageFileError: The pixels are of a type without a defined range.
        """
        size = size or (self.width, self.height)
        left, top, right, bottom = box or (0, 0, self.width, self.height)
        needed = (size[0] * self.width / (right - left), size[1] * self.height / (bottom - top))
        with self._clear_damage():
            reduction = self._reduction(needed)
            image = self._load(reduction, None)
            stored_box = None
            if box is not None:
                left, top, right, bottom = self._orientation.stored_box(box, self._stored_size)
                stored_box = (left / reduction, top / reduction, right / reduction, bottom / reduction)
            rgb, alpha = self._split_alpha(image, self._orientation.turned(size), stored_box, resample)
        rgb.info = {}  # without the profile, which does not describe the converted pixels
        upright = self._orientation.upright
        return DecodedImage(upright(rgb), upright(alpha) if alpha is not None else None)

    def read_levels(self, needed: tuple[int, int]) -> tuple[Image.Image, Image.Image | None]:
        """Decode grey levels and opacity, both of mode L and upright; colours are not converted. Call it only once.

        Args:
            needed: Width and height below which a large JPEG is not reduced.

        Raises:
            DamagedImage: The data end early or are damaged.
        """
        with self._clear_damage():
            image = self._load(self._reduction(needed), "L")
            if not image.has_transparency_data:
                return self._orientation.upright(image.convert("L")), None
            grey, alpha = image.convert("RGBA").convert("LA").split()
        return self._orientation.upright(grey), self._orientation.upright(alpha)

    def _reduction(self, needed: tuple[float, float]) -> int:
        """Largest divisor of a JPEG's sides during decoding that does not fall below the ``needed`` size."""
        if self.format != "JPEG":
            return 1
        for divisor in (8, 4, 2):
            sides = zip(self._stored_size, self._orientation.turned(needed), strict=True)
            if all(side >= divisor and -(-side // divisor) >= at_least - 1e-6 for side, at_least in sides):
                return divisor
        return 1

    def _load(self, reduction: int, draft_mode: str | None) -> Image.Image:
        """Load the pixels as they are stored, with 8 bits."""
        image = self._header
        if self.format == "PNG":
            image = Image.open(BytesIO(png.without_metadata(self._data)), formats=["PNG"])
            _scale_key(image, png.bit_depth(self._data))
        elif self.format == "JPEG":
            return self._load_jpeg(reduction, draft_mode)
        image.load()
        return _to_8_bit(image)

    def _load_jpeg(self, reduction: int, draft_mode: str | None) -> Image.Image:
        if not jpeg.lacks_end(self._data):
            return _reduced(self._header, reduction, draft_mode)
        if not jpeg.has_all_scans(self._data):
            raise OSError("not all of its scans are there")
        image, other = (
            _reduced(Image.open(BytesIO(data), formats=["JPEG"]), reduction, draft_mode)
            for data in jpeg.endings(self._data)
        )
        if image.tobytes() != other.tobytes():
            raise OSError("the last scan is cut")
        return image

    def _profile(self, is_grey: bool) -> bytes | None:
        """ICC profile of the pixels, or one made from other declarations of their colours; ``None``: they are sRGB."""
        profile: bytes | ColourSpace | None = self._header.info.get("icc_profile")
        if self.format == "PNG":
            profile = png.colours(self._data)
        elif self.format == "AVIF" and not profile:
            profile = avif.colours(self._data)
        if isinstance(profile, ColourSpace):
            try:
                return profile.to_profile(is_grey)
            except ValueError:  # impossible primaries
                return None
        return profile if isinstance(profile, bytes) else None

    def _split_alpha(
        self, image: Image.Image, size: tuple[int, int], box: Box | None, resample: Image.Resampling
    ) -> tuple[Image.Image, Image.Image | None]:
        """Convert to sRGB pixels and transparency at the wanted size."""
        profile = self._profile(image.mode in ("L", "LA"))
        if not image.has_transparency_data:
            flat = image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")
            return to_srgb(_resized(flat, size, box, resample), profile), None
        # Resized with premultiplied colour, so that transparent pixels do not bleed into others.
        rgba = _resized(image.convert("RGBA"), size, box, resample)
        alpha = rgba.getchannel("A")
        rgb = to_srgb(rgba.getchannel("R") if image.mode in ("L", "LA") else rgba.convert("RGB"), profile)
        if alpha.getextrema() == (255, 255):
            return rgb, None
        # Invisible pixels must not change the image's statistics: they get the mean colour of the visible ones.
        visible = alpha.point(lambda value: 255 if value else 0)
        is_any = visible.getextrema() != (0, 0)
        mean = ImageStat.Stat(rgb, visible).mean if is_any else (255.0, 255.0, 255.0)
        fill = Image.new("RGB", rgb.size, (round(mean[0]), round(mean[1]), round(mean[2])))
        return Image.composite(rgb, fill, visible), alpha

    @contextlib.contextmanager
    def _clear_damage(self) -> Iterator[None]:
        try:
            yield
        except DAMAGED as err:
            raise DamagedImage(f"the {self.format.lower()} data ends early or is damaged") from err


def _opened(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    kind = file_kind(data)
    try:
        return Image.open(BytesIO(png.header(data) if kind.pillow == "PNG" else data), formats=formats)
    except UnidentifiedImageError as err:
        if kind.pillow not in formats:
            raise UnknownFormat(kind.name) from err
        raise DamagedImage("the image's header is damaged") from err
    except DAMAGED as err:
        if kind.pillow not in formats:  # a HEIC, which the AVIF decoder tried
            raise UnknownFormat(kind.name) from err
        raise DamagedImage("the image's header is damaged") from err


def _reduced(image: Image.Image, reduction: int, mode: str | None) -> Image.Image:
    """Load a JPEG's pixels, with its sides divided and rounded up."""
    # Pillow rounds the size that it is asked for up again, and would find that so many of them do not fit.
    image.draft(mode, (image.width // reduction, image.height // reduction) if reduction > 1 else None)
    image.load()
    return image


def _scale_key(image: Image.Image, depth: int) -> None:
    """Bring the colour that a PNG declares transparent to 8 bits, as Pillow does with the pixels alone."""
    key = image.info.get("transparency")
    if image.mode not in ("L", "I;16", "RGB") or key is None:
        return
    levels = [key] if isinstance(key, int) else key
    levels = [level >> 8 if depth == 16 else level * 255 // (2**depth - 1) for level in levels]
    image.info["transparency"] = levels[0] if isinstance(key, int) else tuple(levels)


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Reduce 16-bit grey to its upper 8 bits, as Pillow does for colour; its conversion of grey clips instead."""
    if image.mode == "F":
        raise ImageFileError("its pixels are floating-point numbers of an unknown range: save it with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    grey = image.convert("I").point(lambda value: value * (1 / 256) + 0).convert("L")
    if "transparency" in image.info:
        grey.info["transparency"] = image.info["transparency"]
    return grey


def _resized(image: Image.Image, size: tuple[int, int], box: Box | None, resample: Image.Resampling) -> Image.Image:
    if box is None and image.size == size:
        return image
    return image.resize(size, resample, box=box, reducing_gap=REDUCING_GAP)
