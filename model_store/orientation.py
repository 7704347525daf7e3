"""EXIF orientation: from stored pixels to the upright image, and back. Needs only Pillow."""

from dataclasses import dataclass
from typing import TypeVar

from PIL import Image

UPRIGHT_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""

Side = TypeVar("Side", int, float)


@dataclass(frozen=True)
class Orientation:
    """One of the eight EXIF orientations: 1 is upright, from 5 on width and height are exchanged."""

    number: int

    def turned(self, size: tuple[Side, Side]) -> tuple[Side, Side]:
        """Convert a stored size to the upright image's, or back."""
        return (size[1], size[0]) if self.number >= 5 else size

    def upright(self, image: Image.Image) -> Image.Image:
        """Turn stored pixels upright."""
        return image.transpose(UPRIGHT_BY[self.number]) if self.number in UPRIGHT_BY else image

    def stored_box(self, box: Box, stored: tuple[int, int]) -> Box:
        """Convert a box of the upright image to one of the stored pixels, whose size is ``stored``."""
        left, top, right, bottom = box
        if self.number >= 5:
            left, top, right, bottom = top, left, bottom, right
        width, height = stored
        if self.number in (2, 3, 7, 8):
            left, right = width - right, width - left
        if self.number in (3, 4, 6, 7):
            top, bottom = height - bottom, height - top
        # Sums of fractions may come to lie a hair outside.
        return max(0, left), max(0, top), min(width, right), min(height, bottom)
