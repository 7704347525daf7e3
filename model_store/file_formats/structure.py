"""A file's structure, walked before Pillow sees it, so that no file costs more to read than an ordinary one.

The sender chooses how many segments, chunks or boxes a file has, and how long its metadata is. The walk over them is
bounded by counts; Pillow gets what the pixels need, and none of the rest. Nothing here needs more than Pillow.
"""

from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from model_store.file_formats.colour_space import ColourSpace

MAX_PARTS = 1000
"""Segments, chunks or boxes before the pixels; encoders write some twenty."""

MAX_TABLES_BYTES = 2**16
"""Length of all that a decoder needs before the pixels: palettes, quantisation and code tables, some kilobytes."""


class UnusualStructure(ValueError):
    """A structure that no program writes. The message says what the file has too much of."""


@dataclass(frozen=True)
class Facts:
    """What a header says: size in pixels as stored, number of frames or pages."""

    size: tuple[int, int]
    has_alpha: bool
    frames: int


class Structure:
    """A file of a format that has no reader of its own here: Pillow's word is taken.

    Attributes:
        exif: The EXIF block, or nothing; of a TIFF nothing, since Pillow turns its pixels.
    """

    pillow = ""
    """Pillow's name of the format, for the subclasses that open files by it."""

    def __init__(self, data: bytes, pillow: str = "") -> None:
        """Walk over the structure.

        Raises:
            UnusualStructure: There is more of it than any program writes.
            ValueError: It is damaged.
        """
        self._data = data
        self.pillow = pillow or self.pillow
        self.exif = b""

    def facts(self) -> Facts:
        """Read the header.

        Raises:
            OSError: It is damaged, as ValueError, SyntaxError and others that Pillow raises.
        """
        return facts_of(self._open(self._data))

    def open(self) -> Image.Image:
        """Open the file with its pixels, which are not decoded yet."""
        return self._open(self._data)

    def colours(self, image: Image.Image) -> bytes | ColourSpace | None:
        """Return the ICC profile or the colour space that the file declares for its pixels; ``None``: sRGB.

        Args:
            image: The opened file.
        """
        profile = image.info.get("icc_profile")
        return profile if isinstance(profile, bytes) else None

    def _open(self, data: bytes) -> Image.Image:
        return Image.open(BytesIO(data), formats=[self.pillow])


def facts_of(image: Image.Image) -> Facts:
    """Return what Pillow read in a header."""
    return Facts(image.size, image.has_transparency_data, getattr(image, "n_frames", 1))
