"""Pictures that are too large for one forward pass, painted tile by tile: as the whole would be, and without seams.

A convolution sees no further than its margin, so a tile with a margin around it comes out as in the whole picture, once
its features are normalised by the statistics of the *whole*.

**AdaIN** normalises once, so two passes are exact: the first encodes every tile and accumulates the statistics, the
second normalises and decodes. The features stay in memory in between, in half precision: 16 bytes for each pixel of
the picture. So every tile is encoded once and decoded once.

**Generators** normalise at every layer, and each layer's statistics depend on all layers before it. They are recorded
on a picture that is reduced to ``STATISTICS_PIXELS``, and every tile is painted with them: without seams, but not
exactly as the whole would be. Batch norm brings its statistics along: those tiles are exact.

Every step is one forward pass of a tile; between steps nothing runs, and to drop the iterator is to cancel.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import EllipsisType

import torch
from torch import Tensor

from model_store.adain import AdaIN
from model_store.generator import Generator
from model_store.layers import EPSILON, Measure, Statistics, instance_statistics, pad_to_stride
from model_store.network import StyleNetwork, View
from model_store.regions import Regions, fill_of
from model_store.style import Style

TILE_PX = 768
"""Side of a tile, at most, without its margin. Larger ones waste less on margins and take more memory and time each."""

STATISTICS_PIXELS = 2**20
"""Of the reduced picture on which generators' statistics are recorded, at most."""


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

    def grown(self, margin_px: int, height: int, width: int) -> "Box":
        """With a margin on all sides, as far as there is picture."""
        top, left = max(0, self.top - margin_px), max(0, self.left - margin_px)
        bottom = min(height, self.top + self.height + margin_px)
        right = min(width, self.left + self.width + margin_px)
        return Box(top, left, bottom - top, right - left)

    def within(self, outer: "Box", scale: int = 1) -> tuple[EllipsisType, slice, slice]:
        """Where it lies in a tensor (B, C, H/scale, W/scale) of a box around it; parts of a place are whole ones."""
        top, left = (self.top - outer.top) // scale, (self.left - outer.left) // scale
        height, width = -(-self.height // scale), -(-self.width // scale)
        return ..., slice(top, top + height), slice(left, left + width)


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

    def bands(self, height: int = 256) -> list[Box]:
        """The whole in parts of its full width."""
        return [Box(top, 0, min(height, self.height - top), self.width) for top in range(0, self.height, height)]


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
        network: AdaIN or a generator.
        picture: Of any size.
        style: One row; rows (1, K, C) where the picture has shares, and no regions of its own.
        tile_px: Side of a tile, at most; a multiple of the network's stride.

    Yields:
        After every step. All boxes together are the picture.
    """
    if isinstance(network, AdaIN):
        yield from _paint_adain(network, picture, style, tile_px)
    elif isinstance(network, Generator):
        yield from _paint_generator(network, picture, style, tile_px)
    else:
        raise TypeError(f"a {type(network).__name__} cannot be painted in tiles")


@torch.inference_mode()
def encode_style_tiled(network: AdaIN, picture: Picture, tile_px: int = TILE_PX) -> Iterator[Style]:
    """``AdaIN.encode_style`` for a style image of any size: after every tile, the style of the tiles so far."""
    moments = Moments()
    for box in tiles(picture, network.stride, tile_px):
        outer = box.grown(network.margin_px, picture.height, picture.width)
        moments.add(network.encode(picture.photo(outer))[box.within(outer, network.stride)])
        mean, deviation = moments.statistics
        yield Style((deviation.flatten(1),), (mean.flatten(1),))


def tile_steps(network: StyleNetwork, picture: Picture, tile_px: int = TILE_PX, is_style: bool = False) -> int:
    """How many steps a picture will take, or a style image."""
    count = len(tiles(picture, network.stride, tile_px))
    if is_style:
        return count
    return 2 * count if isinstance(network, AdaIN) else count + 1


def tiles(picture: Picture, stride: int, tile_px: int) -> list[Box]:
    """The picture in boxes of about the same size, whose corners lie on the network's coarsest grid."""
    height, width = (_even_part(side, stride, tile_px) for side in (picture.height, picture.width))
    return [
        Box(top, left, min(height, picture.height - top), min(width, picture.width - left))
        for top in range(0, picture.height, height)
        for left in range(0, picture.width, width)
    ]


def _even_part(side: int, stride: int, tile_px: int) -> int:
    """The smallest multiple of the stride by which a side falls into as few parts as ``tile_px`` allows."""
    parts = -(-side // tile_px)
    return -(-side // (parts * stride)) * stride


# ---- AdaIN --------------------------------------------------------------------------------------------------------


class Moments:
    """Mean and deviation of features that come in parts; each part's in fp32, merged in fp64 (Chan et al. 1979)."""

    def __init__(self) -> None:
        """Of nothing yet."""
        self._mass: Tensor | None = None  # (B, K, 1)
        self._mean = self._squares = torch.zeros(())  # (B, K, C)
        self._has_regions = False

    def add(self, features: Tensor, shares: Tensor | None = None) -> None:
        """A part: (B, C, H, W), and its regions' shares (B, K, H, W), if it has some."""
        self._has_regions = shares is not None
        mean, deviation = instance_statistics(features, shares)
        if shares is None:
            mass = torch.full((features.shape[0], 1, 1), float(features[0, 0].numel()), device=features.device)
            mean, deviation = mean.flatten(1)[:, None], deviation.flatten(1)[:, None]
        else:
            mass = shares.sum(dim=(2, 3))[..., None]
        mass, mean = mass.double(), mean.double()
        squares = (deviation.double().square() - EPSILON).clamp(min=0) * mass
        if self._mass is None:
            self._mass, self._mean, self._squares = mass, mean, squares
            return
        total = (self._mass + mass).clamp(min=torch.finfo(torch.float32).tiny)
        step = mean - self._mean
        self._squares = self._squares + squares + step.square() * (self._mass * mass / total)
        self._mean = self._mean + step * (mass / total)
        self._mass = self._mass + mass

    @property
    def statistics(self) -> Statistics:
        """Of all parts, as ``instance_statistics`` gives them for the whole."""
        assert self._mass is not None
        variance = self._squares / self._mass.clamp(min=torch.finfo(torch.float32).tiny)
        mean, deviation = self._mean.float(), (variance + EPSILON).sqrt().float()
        if self._has_regions:
            return mean, deviation
        return mean[:, 0, :, None, None], deviation[:, 0, :, None, None]


def _paint_adain(network: AdaIN, picture: Picture, style: Style, tile_px: int) -> Iterator[Tile]:
    stride, margin_px = network.stride, network.margin_px
    boxes = tiles(picture, stride, tile_px)
    whole = Box(0, 0, picture.height, picture.width)
    features = shares = torch.empty(0)
    moments = Moments()
    for number, box in enumerate(boxes):
        outer = box.grown(margin_px, picture.height, picture.width)
        encoded = network.encode(picture.photo(outer))[box.within(outer, stride)]
        part = None
        if picture.shares is not None:
            padded = pad_to_stride(picture.shares(outer), stride)
            part = torch.nn.functional.avg_pool2d(padded, stride)[box.within(outer, stride)]
        moments.add(encoded, part)
        if number == 0:
            features = _grid_for(encoded, picture, stride, torch.float16)
            shares = _grid_for(part, picture, stride, torch.float32) if part is not None else shares
        place = box.within(whole, stride)
        features[place] = encoded.clamp(max=torch.finfo(features.dtype).max)
        if part is not None:
            shares[place] = part
        yield Tile(number + 1, 2 * len(boxes))
    statistics = moments.statistics
    for number, box in enumerate(boxes, len(boxes)):
        outer = box.grown(margin_px, picture.height, picture.width)
        place = outer.within(whole, stride)
        tile_style = style
        if picture.shares is not None:
            tile_style = replace(style, regions=Regions(shares[place], torch.ones_like(shares[:, :, 0, 0])))
        restyled = network.restyle(features[place].to(encoded.dtype), tile_style, lambda *_: statistics)
        painted = network.decode(restyled)[box.within(outer)]
        yield Tile(number + 1, 2 * len(boxes), box, painted)


def _grid_for(part: Tensor, picture: Picture, stride: int, dtype: torch.dtype) -> Tensor:
    """Room for all of what ``part`` is a tile of; bf16 stays bf16."""
    size = (1, part.shape[1], -(-picture.height // stride), -(-picture.width // stride))
    dtype = part.dtype if part.dtype == torch.bfloat16 else dtype
    return torch.empty(size, dtype=dtype, device=part.device, memory_format=torch.channels_last)


# ---- generators ---------------------------------------------------------------------------------------------------


class Recorder:
    """Statistics of a network's layers, in the order in which they run."""

    def __init__(self) -> None:
        """Of none yet."""
        self._statistics: list[Statistics] = []

    def record(self, features: Tensor, shares: Tensor | None) -> Statistics:
        """A ``Measure`` that remembers what it found."""
        self._statistics.append(instance_statistics(features, shares))
        return self._statistics[-1]

    def replay(self) -> Measure:
        """A ``Measure`` that finds, layer by layer, what was recorded."""
        remembered = iter(self._statistics)
        return lambda *_: next(remembered)


def _paint_generator(network: Generator, picture: Picture, style: Style, tile_px: int) -> Iterator[Tile]:
    boxes = tiles(picture, network.stride, tile_px)
    photo, shares = reduced(picture)
    fill = fill_of(shares.sum(dim=(2, 3))) if shares is not None else None

    def placed(part: Tensor | None) -> Style:
        return style if part is None or fill is None else replace(style, regions=Regions(part, fill))

    recorder = Recorder()
    network(photo, placed(shares), View(measure=recorder.record))
    yield Tile(1, len(boxes) + 1)
    for number, box in enumerate(boxes, 1):
        outer = box.grown(network.margin_px, picture.height, picture.width)
        part = picture.shares(outer) if picture.shares is not None else None
        view = View(outer.top, outer.left, recorder.replay())
        painted = network(picture.photo(outer), placed(part), view)[box.within(outer)]
        yield Tile(number + 1, len(boxes) + 1, box, painted)


def reduced(picture: Picture, pixels: int | None = None) -> tuple[Tensor, Tensor | None]:
    """Photo and shares, averaged over squares of a whole number of pixels, until no more than ``pixels`` are left."""
    pixels = pixels or STATISTICS_PIXELS
    factor = 1
    while (picture.height // factor) * (picture.width // factor) > pixels:
        factor += 1
    height, width = picture.height // factor * factor, picture.width // factor * factor
    bands = [Box(top, 0, min(256 * factor, height - top), width) for top in range(0, height, 256 * factor)]

    def averaged(read: Callable[[Box], Tensor]) -> Tensor:
        return torch.cat([torch.nn.functional.avg_pool2d(read(band), factor) for band in bands], dim=2)

    return averaged(picture.photo), averaged(picture.shares) if picture.shares is not None else None
