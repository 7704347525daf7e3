"""A file's structure, walked before Pillow sees it, so that no file costs more to read than an ordinary one.

The sender decides the number of a file's segments, chunks or boxes, and the length of its metadata. The walk over them
is bounded by counts; Pillow gets only the parts that the pixels need. Needs only Pillow.
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
    """A structure that no program writes. The message names the part of which there is too much."""


@dataclass(frozen=True)
class Facts:
    """Facts of a header: size in pixels as stored, transparency, number of frames or pages."""

    size: tuple[int, int]
    has_alpha: bool
    frames: int


class Structure:
    """Structure of a file; this base class, for formats without a reader here, relies on Pillow.

    Attributes:
        exif: The EXIF block, or nothing; nothing for a TIFF, since Pillow turns its pixels.
    """

    pillow = ""
    """Pillow's name of the format, for the subclasses that open files by it."""

    def __init__(self, data: bytes, pillow: str = "") -> None:
        """Walk over the structure.

        Raises:
            UnusualStructure: There are more parts than any program writes.
            ValueError: The file is damaged.
        """
        self._data = data
        self.pillow = pillow or self.pillow
        self.exif = b""

    def facts(self) -> Facts:
        """Read the header.

        Raises:
            OSError: The header is damaged; also ValueError, SyntaxError and others that Pillow raises.
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
    """Return the facts of a header that Pillow has read."""
    return Facts(image.size, image.has_transparency_data, getattr(image, "n_frames", 1))
