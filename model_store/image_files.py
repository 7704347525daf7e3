"""Image files to upright sRGB pixels. Serving and training share it, so that a network is fed what it learned from.

Handles orientation, 16 bits, colours and transparency; limits are the callers'. Needs only Pillow and the standard
library: the API imports this module.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image, ImageStat

from model_store.colour_profile import to_srgb
from model_store.file_formats.avif import AvifFile
from model_store.file_formats.colour_space import ColourSpace
from model_store.file_formats.exif import read_exif
from model_store.file_formats.jpeg import JpegFile, endings
from model_store.file_formats.kinds import file_kind
from model_store.file_formats.png import PngFile
from model_store.file_formats.structure import Structure, UnusualStructure
from model_store.file_formats.webp import WebpFile
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


class UnusualImage(ImageFileError):
    """A file that costs far more to read than an ordinary one. The message names the part that is too large."""


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
        frames: Number of frames or pages; further images of a photo, such as its depth, are not counted.
    """

    def __init__(self, data: bytes, formats: tuple[str, ...]) -> None:
        """Read the header.

        Args:
            data: The file.
            formats: Pillow's names of the allowed formats.

        Raises:
            UnknownFormat: The file is of another format.
            DamagedImage: Its header cannot be read.
            UnusualImage: Its header has more parts than any program writes.
        """
        kind = file_kind(data)
        if kind.pillow is None or kind.pillow not in formats:
            raise UnknownFormat(kind.name)
        self.format = kind.pillow
        with _named_damage("the image's header is damaged"):
            self._file = READERS[kind.pillow](data) if kind.pillow in READERS else Structure(data, kind.pillow)
            facts = self._file.facts()
        self._orientation = Orientation(read_exif(self._file.exif).orientation)
        self._stored_size = facts.size
        self.width, self.height = self._orientation.turned(facts.size)
        self.has_alpha = facts.has_alpha
        self.frames = facts.frames

    def read(
        self,
        size: tuple[int, int] | None = None,
        box: Box | None = None,
        resize: "Resize | None" = None,
    ) -> DecodedImage:
        """Decode the pixels, or a part of them. Call it only once.

        Args:
            size: Width and height of the result; by default the image's own.
            box: The part, in pixels of the upright image; by default all of it.
            resize: The filter; by default Pillow's Lanczos.

        Raises:
            DamagedImage: The data end early or are damaged.
            ImageFileError: The pixels are of a type without a defined range.
        """
        size = size or (self.width, self.height)
        left, top, right, bottom = box or (0, 0, self.width, self.height)
        needed = (size[0] * self.width / (right - left), size[1] * self.height / (bottom - top))
        with _named_damage(f"the {self.format.lower()} data ends early or is damaged"):
            reduction = self._reduction(needed)
            image = self._load(reduction, None)
            stored_box = None
            if box is not None:
                left, top, right, bottom = self._orientation.stored_box(box, self._stored_size)
                stored_box = (left / reduction, top / reduction, right / reduction, bottom / reduction)
            rgb, alpha = self._split_alpha(image, self._orientation.turned(size), stored_box, resize or resized)
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
        with _named_damage(f"the {self.format.lower()} data ends early or is damaged"):
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
        """Return pixels of 8 bits as they are stored."""
        if isinstance(self._file, JpegFile):
            return _load_jpeg(self._file, reduction, draft_mode)
        image = self._file.open()
        image.load()
        return _to_8_bit(image)

    def _profile(self, image: Image.Image) -> bytes | None:
        """Return the ICC profile of the pixels, or one made from their other declarations; ``None``: sRGB."""
        declared = self._file.colours(image)
        if not isinstance(declared, ColourSpace):
            return declared
        try:
            return declared.to_profile(image.mode in ("L", "LA"))
        except ValueError:  # primaries that are none
            return None

    def _split_alpha(
        self, image: Image.Image, size: tuple[int, int], box: Box | None, resize: "Resize"
    ) -> tuple[Image.Image, Image.Image | None]:
        """Convert to sRGB pixels and transparency at the wanted size."""
        profile = self._profile(image)
        if not image.has_transparency_data:
            flat = image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")
            return to_srgb(resize(flat, size, box), profile), None
        # Resized with premultiplied colour, so that transparent pixels do not bleed into others.
        rgba = resize(image.convert("RGBA"), size, box)
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


READERS: dict[str, Callable[[bytes], Structure]] = {
    "JPEG": JpegFile,
    "PNG": PngFile,
    "WEBP": WebpFile,
    "AVIF": AvifFile,
}
"""Readers of the structure of untrusted files, by Pillow's names of the formats."""


@contextlib.contextmanager
def _named_damage(message: str) -> Iterator[None]:
    try:
        yield
    except UnusualStructure as err:
        raise UnusualImage(str(err)) from err
    except DAMAGED as err:
        raise DamagedImage(message) from err


def _load_jpeg(file: JpegFile, reduction: int, mode: str | None) -> Image.Image:
    """Return a JPEG's pixels; if it lost its end marker, only if all of them are there."""
    file.check_scans()
    if not file.lacks_end:
        return _reduced(file.open(), reduction, mode)
    if not file.has_all_scans():
        raise OSError("not all of its scans are there")
    image, other = (_reduced(file.open(ending), reduction, mode) for ending in endings())
    if image.tobytes() != other.tobytes():
        raise OSError("the last scan is cut")
    return image


def _reduced(image: Image.Image, reduction: int, mode: str | None) -> Image.Image:
    """Return a JPEG's pixels, its sides divided and rounded up."""
    # Pillow rounds the size that it is asked for up again, and would find that so many of them do not fit.
    image.draft(mode, (image.width // reduction, image.height // reduction) if reduction > 1 else None)
    image.load()
    return image


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


Resize = Callable[[Image.Image, tuple[int, int], Box | None], Image.Image]
"""(image, width and height of the result, part of the image) → the part at that size."""


def resized(
    image: Image.Image,
    size: tuple[int, int],
    box: Box | None,
    resample: Image.Resampling = Image.Resampling.LANCZOS,
) -> Image.Image:
    """Resize with Pillow; transparent pixels count as little as they are seen."""
    if box is None and image.size == size:
        return image
    return image.resize(size, resample, box=box, reducing_gap=REDUCING_GAP)
