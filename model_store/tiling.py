"""Images that are too large for one forward pass, processed tile by tile: equal to one pass, and without seams.

A convolution's receptive field ends at its margin, so a tile with a margin around it comes out as in the whole image,
as long as its features are normalised by the statistics of the *whole*. So these are computed first:

    for each stage of the network:
        for each of its normalisation layers: run all tiles up to it, accumulate its features' means and stds
        run all tiles through the stage, with these statistics, and keep the resulting features

Between stages the features of the whole image are kept, in half precision. AdaIN normalises once, right after a stage:
it encodes every tile once and decodes it once, and keeps 16 bytes for a pixel of the image. Generators normalise at
every layer: they keep up to 32 bytes, and do two to three times the work of one pass.

Every step is a part of a forward pass of one tile; nothing runs between two steps, and closing the iterator cancels.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model_store.convolutions import pad_to_stride
from model_store.large_image import Box, LargeImage
from model_store.network import AnyStyle, Stage, StyleNetwork
from model_store.spatial_masks import SpatialMasks, fill_of
from model_store.statistics import RunningStatistics, Statistics
from model_store.style import Context, StatisticsHook, Style

TILE_PX = 768
"""Largest side of a tile, without its margin. Larger tiles waste less on margins and take more memory and time each."""

ENCODER_MARGIN_PX = 32
"""Margin for VGG up to relu4_1: a wrong border affects 4 places there."""


@dataclass(frozen=True)
class Tile:
    """A step that was taken.

    Attributes:
        step: Its number, from 1.
        steps: Total number of steps.
        box: Part of the output that this step completed, if it completed one.
        output: The box's pixels, (1, 3, H, W), RGB near [0, 1].
    """

    step: int
    steps: int
    box: Box | None = None
    output: Tensor | None = None


@torch.inference_mode()
def paint_tiled(network: StyleNetwork, image: LargeImage, style: Style, tile_px: int = TILE_PX) -> Iterator[Tile]:
    """Stylize one image tile by tile, equal to ``StyleNetwork.paint``.

    Args:
        network: Any network.
        image: Content image of any size.
        style: One row; with rows (1, K, C), but no masks of its own, where the image has mask weights.
        tile_px: Largest side of a tile.

    Yields:
        A ``Tile`` after every step. All boxes together cover the image.

    Raises:
        ValueError: The style belongs to another network.
    """
    network.check(style)
    boxes, step = tiles(image.box, network.stride, tile_px), 0
    steps = paint_steps(network, image, tile_px)
    part_of = Parts(network, image, network.weakened(style))
    before: Tensor | None = None
    for stage in network.stages:
        for layer in _unknown_layers(network, stage):
            found = RunningStatistics()
            for box in boxes:
                part_of.measure(stage, layer, box, before, found)
                yield Tile(step := step + 1, steps)
            part_of.known[layer] = found.statistics
        given: Tensor | None = None
        for box in boxes:
            part = part_of.run(stage, box, before)
            if stage.factor > 1:
                given = part_of.kept(stage, box, part, given)
                yield Tile(step := step + 1, steps)
            else:
                seen = box.cut(image.box)
                yield Tile(step := step + 1, steps, seen, part[seen.within(box)])
        before = given


@torch.inference_mode()
def encode_style_tiled(network: AnyStyle, image: LargeImage, tile_px: int = TILE_PX) -> Iterator[Style]:
    """Encode a style image of any size tile by tile; yields after every tile the style of the tiles so far."""
    image = image.shrunk(network.style_shrink)
    found = {layer: RunningStatistics() for layer in network.style_layers}
    stride = network.encoder.stride
    whole = image.box.extended(stride)
    for box in tiles(image.box, stride, tile_px):
        outer = box.grown(ENCODER_MARGIN_PX, whole)
        for layer, features in network.style_features(_read(image, outer, stride)).items():
            found[layer].add(features[box.within(outer, outer.height // features.shape[2])])
        yield network.style_from({layer: one.statistics for layer, one in found.items()})


def paint_steps(network: StyleNetwork, image: LargeImage, tile_px: int = TILE_PX) -> int:
    """Count the steps of ``paint_tiled``."""
    passes = sum(len(_unknown_layers(network, stage)) + 1 for stage in network.stages)
    return passes * len(tiles(image.box, network.stride, tile_px))


def style_steps(network: AnyStyle, image: LargeImage, tile_px: int = TILE_PX) -> int:
    """Count the steps of ``encode_style_tiled``."""
    return len(tiles(image.shrunk(network.style_shrink).box, network.encoder.stride, tile_px))


def tiles(image: Box, stride: int, tile_px: int) -> list[Box]:
    """Cut an image, extended to a network's stride, into boxes of about the same size on its coarsest grid."""
    whole = image.extended(stride)
    height, width = (_even_part(side, stride, tile_px) for side in (whole.height, whole.width))
    return [
        Box(top, left, height, width).cut(whole)
        for top in range(0, whole.height, height)
        for left in range(0, whole.width, width)
    ]


def _even_part(side: int, stride: int, tile_px: int) -> int:
    """Smallest multiple of the stride that divides a side into as few parts as ``tile_px`` allows."""
    parts = -(-side // max(stride, tile_px))
    return -(-side // (parts * stride)) * stride


def _unknown_layers(network: StyleNetwork, stage: Stage) -> tuple[int, ...]:
    """Layers of a stage that need statistics of the content: batch norm has its own."""
    return () if network.norm == "batch" else stage.layers


# ---- one tile -----------------------------------------------------------------------------------------------------


class Parts:
    """Runs a network's stages on parts of an image, each with the margin that a stage needs.

    Attributes:
        known: Statistics of the whole image, by layer, as far as they are computed.
    """

    def __init__(self, network: StyleNetwork, image: LargeImage, style: Style) -> None:
        """Read the masks once, to sum up the weight of each style; pixels are read later."""
        self.known: dict[int, Statistics] = {}
        self._network = network
        self._image = image
        self._style = style
        self._whole = image.box.extended(network.stride)
        self._fill: Tensor | None = None
        if (weights := image.mask_weights) is not None:
            self._fill = fill_of(torch.stack([weights(band).sum(dim=(2, 3)) for band in image.bands()]).sum(0))

    def run(self, stage: Stage, box: Box, before: Tensor | None) -> Tensor:
        """Run a stage for which all layers' statistics are known.

        Args:
            stage: A stage of the network.
            box: A box of the extended image.
            before: The previous stage's features of the whole image.

        Returns:
            Features of the box, (1, C, H/factor, W/factor).
        """
        outer = box.grown(stage.margin_px, self._whole)
        given = self._run(stage, outer, before, lambda layer, *_: self.known[layer])
        return given[box.within(outer, stage.factor)]

    def measure(self, stage: Stage, wanted: int, box: Box, before: Tensor | None, found: RunningStatistics) -> None:
        """Add a layer's input in a box to ``found``; the statistics of the layers before it are known."""
        outer = box.grown(stage.margin_px, self._whole)

        def statistics(layer: int, features: Tensor, mask_weights: Tensor | None) -> Statistics:
            if layer != wanted:
                return self.known[layer]
            inner = box.within(outer, outer.height // features.shape[2])
            found.add(features[inner], mask_weights[inner] if mask_weights is not None else None)
            raise _Reached

        with suppress(_Reached):
            self._run(stage, outer, before, statistics)

    def kept(self, stage: Stage, box: Box, part: Tensor, given: Tensor | None) -> Tensor:
        """Write a box's features into those of the whole image, ``given``, in half precision."""
        if given is None:
            size = (1, part.shape[1], self._whole.height // stage.factor, self._whole.width // stage.factor)
            dtype = part.dtype if part.dtype == torch.bfloat16 else torch.float16
            given = torch.empty(size, dtype=dtype, device=part.device, memory_format=torch.channels_last)
        largest = torch.finfo(given.dtype).max
        given[box.within(self._whole, stage.factor)] = part.clamp(-largest, largest)
        return given

    def _run(self, stage: Stage, outer: Box, before: Tensor | None, statistics: StatisticsHook) -> Tensor:
        """Run a stage over a box with its margin."""
        network = self._network
        content = _read(self._image, outer, network.stride)
        style = replace(self._style, context=Context(statistics, outer.top, outer.left))
        if (read := self._image.mask_weights) is not None and self._fill is not None:
            weights = pad_to_stride(read(outer.cut(self._image.box)), network.stride)
            style = replace(style, masks=SpatialMasks(weights, self._fill))
        if before is not None:
            scale = self._whole.height // before.shape[2]
            before = before[outer.within(self._whole, scale)].to(network.dtype)
        given = stage.run(content, before, style)
        return network.finish(content, given, style) if stage.factor == 1 else given


def _read(image: LargeImage, outer: Box, stride: int) -> Tensor:
    """Read the pixels of a box that may extend beyond the image by less than a stride."""
    return pad_to_stride(image.pixels(outer.cut(image.box)), stride)


class _Reached(Exception):
    """Raised at the layer whose statistics are wanted: later layers need not run."""
