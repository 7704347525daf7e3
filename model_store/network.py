"""``StyleNetwork``: what every network of ours is to its callers, ``network(content, style) -> image``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model_store.layers import Measure, instance_statistics, pad_to_stride
from model_store.style import Style


@dataclass(frozen=True)
class View:
    """Which part of a picture a network is shown, if not all of it.

    Attributes:
        top: Of the part in the picture, in pixels; a multiple of the network's stride.
        left: Like ``top``.
        measure: Where its normalisation layers take the content's statistics from, layer by layer.
    """

    top: int = 0
    left: int = 0
    measure: Measure = instance_statistics


WHOLE = View()


@dataclass(frozen=True)
class Stage:
    """A part of a network, from one grid of features to the next: what lies between them need not be kept.

    Attributes:
        run: (photo (B, 3, H, W), the features that came before or ``None``, the style of its own layers, view) →
            features (B, C, H/factor, W/factor).
        norms: How many normalisation layers it has.
        factor: Between the photo and the grid that it gives.
        margin_px: How far from a place its inputs still change what it gives there, but through statistics; a multiple
            of the network's stride.
    """

    run: Callable[[Tensor, Tensor | None, Style, View], Tensor]
    norms: int
    factor: int
    margin_px: int


class StyleNetwork(nn.Module):
    """A feed-forward network that paints photos in styles, each image of a batch in its own.

    Attributes:
        stride: Factor between the image and the network's coarsest grid.
        norm: Where scale and shift come from: ``adaptive``, ``conditional``, ``instance`` or ``batch``.
        controls: The request fields it heeds, besides the choice of its styles and what ``catalog.all_controls`` adds.
    """

    stride: int
    norm: str
    controls: tuple[str, ...]

    @property
    def dtype(self) -> torch.dtype:
        """Of its convolutions, and so of the features between its stages."""
        return next(module.weight.dtype for module in self.modules() if isinstance(module, nn.Conv2d))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The network, part after part: the last gives the picture, RGB."""
        raise NotImplementedError

    def forward(self, content: Tensor, style: Style) -> Tensor:
        """Paint a batch of any size: the network sees it padded to its stride, and the result is cropped back.

        Args:
            content: (B, 3, H, W), RGB in [0, 1].
            style: B rows; its regions, if any, have the content's size.

        Returns:
            (B, 3, H, W), RGB, near [0, 1] but not clamped.
        """
        height, width = content.shape[2:]
        if style.regions is not None:
            shares = pad_to_stride(style.regions.shares, self.stride)
            style = replace(style, regions=replace(style.regions, shares=shares))
        return self.paint(pad_to_stride(content, self.stride), style)[:, :, :height, :width]

    def paint(self, content: Tensor, style: Style) -> Tensor:
        """As ``forward``, for H and W that are multiples of ``stride``."""
        features = None
        for stage, own in self.staged(style):
            features = stage.run(content, features, own, WHOLE)
        assert features is not None
        return self.finish(content, features, style)

    def staged(self, style: Style) -> Iterator[tuple[Stage, Style]]:
        """Each stage with what the style says to its layers.

        Raises:
            ValueError: The style has another number of layers.
        """
        stages = self.stages
        if (count := sum(stage.norms for stage in stages)) != len(style.scales):
            raise ValueError(f"got a style for {len(style.scales)} layers, this network has {count}: it is another's")
        first = 0
        for stage in stages:
            layers = slice(first, first + stage.norms)
            yield stage, replace(style, scales=style.scales[layers], shifts=style.shifts[layers])
            first += stage.norms

    def finish(self, content: Tensor, painted: Tensor, style: Style) -> Tensor:
        """What becomes of the last stage's picture, place by place: (B, 3, H, W), twice → (B, 3, H, W)."""
        return painted

    def stored_style(self, row: int) -> Style:
        """The style that the checkpoint lists at this row: one row."""
        raise NotImplementedError
