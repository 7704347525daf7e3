"""Pictures that are too large for one forward pass, painted tile by tile: as the whole would be, and without seams.

A convolution sees no further than its margin, so a tile with a margin around it comes out as in the whole picture, as
long as its features are normalised by the statistics of the *whole*. So these are found first:

    for each stage of the network:
        for each of its normalisation layers: run all tiles up to it, accumulate its features' means and deviations
        run all tiles through the stage, with these statistics, and keep what it gives

In between the features of the whole picture are kept, in half precision. AdaIN normalises once, right after a stage:
it encodes every tile once and decodes it once, and keeps 16 bytes for a pixel of the picture. Generators normalise at
every layer: they keep about 32 bytes, and do two to three times the work of one pass.

Every step is a part of a forward pass of one tile; between two nothing runs, and to drop the iterator is to cancel.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from types import EllipsisType

import torch
from torch import Tensor

from model_store.adain import AdaIN
from model_store.layers import Measure, Statistics, pad_to_stride
from model_store.moments import Moments
from model_store.network import Stage, StyleNetwork, View
from model_store.regions import Regions, fill_of
from model_store.style import Style

TILE_PX = 768
"""Side of a tile, at most, without its margin. Larger ones waste less on margins and take more memory and time each."""


@dataclass(frozen=True)
class Box:
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom, as Pillow has them."""
        return self.left, self.top, self.left + self.width, self.top + self.height

    def grown(self, margin_px: int, within: "Box") -> "Box":
        """With a margin on all sides, as far as the box ``within`` goes."""
        large = Box(
            self.top - margin_px, self.left - margin_px, self.height + 2 * margin_px, self.width + 2 * margin_px
        )
        return large.cut(within)

    def cut(self, other: "Box") -> "Box":
        """What both have in common."""
        left, top, right, bottom = self.corners
        (other_left, other_top, other_right, other_bottom) = other.corners
        top, left = max(top, other_top), max(left, other_left)
        return Box(top, left, min(bottom, other_bottom) - top, min(right, other_right) - left)

    def within(self, outer: "Box", scale: int = 1) -> tuple[EllipsisType, slice, slice]:
        """Where it lies in a tensor (B, C, H/scale, W/scale) of a box around it."""
        top, left = (self.top - outer.top) // scale, (self.left - outer.left) // scale
        return ..., slice(top, top + self.height // scale), slice(left, left + self.width // scale)


@dataclass(frozen=True)
class Picture:
    """What is to be painted, given in parts: it need not be in memory as floats.

    Attributes:
        height: In pixels.
        width: In pixels.
        photo: A part of it as (1, 3, H, W), RGB in [0, 1], on the network's device.
        shares: The same part of the styles' regions (1, K, H, W), see ``regions.mask_shares``; ``None`` without masks.
    """

    height: int
    width: int
    photo: Callable[[Box], Tensor]
    shares: Callable[[Box], Tensor] | None = None

    @property
    def box(self) -> Box:
        """All of it."""
        return Box(0, 0, self.height, self.width)

    def bands(self, height: int = 256) -> list[Box]:
        """The whole in parts of its full width."""
        return [Box(top, 0, height, self.width).cut(self.box) for top in range(0, self.height, height)]


@dataclass(frozen=True)
class Tile:
    """A step that was taken.

    Attributes:
        step: Its number, from 1.
        steps: How many there will be.
        box: What was painted, if this step painted.
        painted: The box's pixels, (1, 3, H, W), RGB near [0, 1].
    """

    step: int
    steps: int
    box: Box | None = None
    painted: Tensor | None = None


@torch.inference_mode()
def paint_tiled(network: StyleNetwork, picture: Picture, style: Style, tile_px: int = TILE_PX) -> Iterator[Tile]:
    """Paint one picture.

    Args:
        network: Any.
        picture: Of any size.
        style: One row; with rows (1, K, C), but no regions of its own, where the picture has shares.
        tile_px: Side of a tile, at most.

    Yields:
        After every step. All boxes together are the picture.
    """
    boxes, step = tiles(network, picture, tile_px), 0
    steps = tile_steps(network, picture, tile_px)
    shown = Shown(network, picture)
    before: Tensor | None = None
    for stage, own in network.staged(style):
        statistics: list[Statistics] = []
        for _ in range(_measured(network, stage)):
            moments = Moments()
            for box in boxes:
                shown.measure(stage, own, box, before, statistics, moments)
                yield Tile(step := step + 1, steps)
            statistics.append(moments.statistics)
        given: Tensor | None = None
        for box in boxes:
            part = shown.run(stage, own, box, before, statistics)
            if stage.factor > 1:
                given = shown.kept(stage, box, part, given)
                yield Tile(step := step + 1, steps)
            else:
                seen = box.cut(picture.box)
                yield Tile(step := step + 1, steps, seen, part[seen.within(box)])
        before = given


@torch.inference_mode()
def encode_style_tiled(network: AdaIN, picture: Picture, tile_px: int = TILE_PX) -> Iterator[Style]:
    """``AdaIN.encode_style`` for a style image of any size: after every tile, the style of the tiles so far."""
    moments, shown = Moments(), Shown(network, picture)
    for box in tiles(network, picture, tile_px):
        moments.add(shown.run(network.stages[0], Style((), ()), box, None, []))
        mean, deviation = moments.statistics
        yield Style((deviation.flatten(1),), (mean.flatten(1),))


def tile_steps(network: StyleNetwork, picture: Picture, tile_px: int = TILE_PX, is_style: bool = False) -> int:
    """How many steps a picture will take, or a style image."""
    passes = 1 if is_style else sum(_measured(network, stage) + 1 for stage in network.stages)
    return passes * len(tiles(network, picture, tile_px))


def tiles(network: StyleNetwork, picture: Picture, tile_px: int) -> list[Box]:
    """The picture, extended to the network's stride, in boxes of about the same size on its coarsest grid."""
    whole = extended(picture.box, network.stride)
    height, width = (_even_part(side, network.stride, tile_px) for side in (whole.height, whole.width))
    return [
        Box(top, left, height, width).cut(whole)
        for top in range(0, whole.height, height)
        for left in range(0, whole.width, width)
    ]


def extended(box: Box, stride: int) -> Box:
    """To multiples of a stride at the bottom and right, as ``pad_to_stride`` does with pixels."""
    return Box(box.top, box.left, box.height + -box.height % stride, box.width + -box.width % stride)


def _even_part(side: int, stride: int, tile_px: int) -> int:
    """The smallest multiple of the stride by which a side falls into as few parts as ``tile_px`` allows."""
    parts = -(-side // max(stride, tile_px))
    return -(-side // (parts * stride)) * stride


def _measured(network: StyleNetwork, stage: Stage) -> int:
    """How many of a stage's layers need statistics of the content: batch norm brings its own along."""
    return 0 if network.norm == "batch" else stage.norms


# ---- one tile -----------------------------------------------------------------------------------------------------


class Shown:
    """A picture as it is shown to a network: tile by tile, each with the margin that a stage needs."""

    def __init__(self, network: StyleNetwork, picture: Picture) -> None:
        """Masks are read once, to see how much there is of each style; nothing else is."""
        self._network = network
        self._picture = picture
        self._whole = extended(picture.box, network.stride)
        self._fill: Tensor | None = None
        if picture.shares is not None:
            self._fill = fill_of(torch.stack([picture.shares(band).sum(dim=(2, 3)) for band in picture.bands()]).sum(0))

    def run(self, stage: Stage, style: Style, box: Box, before: Tensor | None, statistics: list[Statistics]) -> Tensor:
        """What a stage gives in a box.

        Args:
            stage: Of the network.
            style: Of the stage's layers.
            box: Of the extended picture.
            before: What the stage before gave, of the whole.
            statistics: Of all the stage's layers, of the whole.

        Returns:
            (1, C, H/factor, W/factor) of the box.
        """
        remembered = iter(statistics)
        outer = box.grown(stage.margin_px, self._whole)
        given = self._run(stage, style, outer, before, lambda *_: next(remembered))
        return given[box.within(outer, stage.factor)]

    def measure(
        self,
        stage: Stage,
        style: Style,
        box: Box,
        before: Tensor | None,
        statistics: list[Statistics],
        moments: Moments,
    ) -> None:
        """Add what the first layer that is not in ``statistics`` sees of a box to ``moments``; the rest is as above."""
        remembered = iter(statistics)
        outer = box.grown(stage.margin_px, self._whole)

        def measure(features: Tensor, shares: Tensor | None) -> Statistics:
            if (known := next(remembered, None)) is not None:
                return known
            inner = box.within(outer, outer.height // features.shape[2])
            moments.add(features[inner], shares[inner] if shares is not None else None)
            raise _Reached

        with suppress(_Reached):
            self._run(stage, style, outer, before, measure)

    def kept(self, stage: Stage, box: Box, part: Tensor, given: Tensor | None) -> Tensor:
        """All that a stage gives, in half precision, with its part of a box; ``given`` is what there is so far."""
        if given is None:
            size = (1, part.shape[1], self._whole.height // stage.factor, self._whole.width // stage.factor)
            dtype = part.dtype if part.dtype == torch.bfloat16 else torch.float16
            given = torch.empty(size, dtype=dtype, device=part.device, memory_format=torch.channels_last)
        largest = torch.finfo(given.dtype).max
        given[box.within(self._whole, stage.factor)] = part.clamp(-largest, largest)
        return given

    def _run(self, stage: Stage, style: Style, outer: Box, before: Tensor | None, measure: Measure) -> Tensor:
        """A stage over a box with its margin."""
        photo = self._read(self._picture.photo, outer)
        if self._picture.shares is not None and self._fill is not None:
            style = replace(style, regions=Regions(self._read(self._picture.shares, outer), self._fill))
        if before is not None:
            scale = self._whole.height // before.shape[2]
            before = before[outer.within(self._whole, scale)].to(self._network.dtype)
        given = stage.run(photo, before, style, View(outer.top, outer.left, measure))
        return self._network.finish(photo, given, style) if stage.factor == 1 else given

    def _read(self, read: Callable[[Box], Tensor], outer: Box) -> Tensor:
        """A box that may reach beyond the picture by less than a stride."""
        return pad_to_stride(read(outer.cut(self._picture.box)), self._network.stride)


class _Reached(Exception):
    """The layer whose statistics are wanted: what comes after it need not run."""
