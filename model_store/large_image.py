"""``Box``: a part of an image. ``LargeImage``: an image read in parts, so that it is never in memory as floats."""

from collections.abc import Callable
from dataclasses import dataclass
from types import EllipsisType

from torch import Tensor

from model_store.pixels import shrunk

SHRINK_MARGIN = 4
"""Margin, in pixels of the smaller image, with which a part is read, so that it is resized as within the whole."""


@dataclass(frozen=True)
class Box:
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def extended(self, stride: int) -> "Box":
        """Extend to multiples of a stride at the bottom and right, like ``pad_to_stride`` with pixels."""
        return Box(self.top, self.left, self.height + -self.height % stride, self.width + -self.width % stride)

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom, in Pillow's order."""
        return self.left, self.top, self.left + self.width, self.top + self.height

    def grown(self, margin_px: int, within: "Box") -> "Box":
        """Add a margin on all sides, up to the border of the box ``within``."""
        large = Box(
            self.top - margin_px, self.left - margin_px, self.height + 2 * margin_px, self.width + 2 * margin_px
        )
        return large.cut(within)

    def cut(self, other: "Box") -> "Box":
        """Intersect with another box."""
        left, top, right, bottom = self.corners
        (other_left, other_top, other_right, other_bottom) = other.corners
        top, left = max(top, other_top), max(left, other_left)
        return Box(top, left, min(bottom, other_bottom) - top, min(right, other_right) - left)

    def within(self, outer: "Box", scale: int = 1) -> tuple[EllipsisType, slice, slice]:
        """Return its index in a tensor (B, C, H/scale, W/scale) of a box around it."""
        top, left = (self.top - outer.top) // scale, (self.left - outer.left) // scale
        return ..., slice(top, top + self.height // scale), slice(left, left + self.width // scale)


@dataclass(frozen=True)
class LargeImage:
    """A content or style image, given in parts.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        pixels: Reads a part as (1, 3, H, W), RGB in [0, 1], on the network's device.
        mask_weights: The same part of ``spatial_masks.mask_weights``, (1, K, H, W); ``None`` without masks.
    """

    height: int
    width: int
    pixels: Callable[[Box], Tensor]
    mask_weights: Callable[[Box], Tensor] | None = None

    @property
    def box(self) -> Box:
        """The whole image."""
        return Box(0, 0, self.height, self.width)

    def shrunk(self, factor: int) -> "LargeImage":
        """Make it smaller by a whole factor, like ``pixels.shrunk``; without its masks."""
        if factor == 1:
            return self
        smaller = LargeImage(max(1, self.height // factor), max(1, self.width // factor), self.pixels)

        def part(box: Box) -> Tensor:
            outer = box.grown(SHRINK_MARGIN, smaller.box)
            read = Box(*(factor * number for number in (outer.top, outer.left, outer.height, outer.width)))
            return shrunk(self.pixels(read.cut(self.box)), factor)[box.within(outer)]

        return LargeImage(smaller.height, smaller.width, part)

    def bands(self, height: int = 256) -> list[Box]:
        """Cut the image into parts of its full width."""
        return [Box(top, 0, height, self.width).cut(self.box) for top in range(0, self.height, height)]
