"""``StyleNetwork``: the interface of every network, ``network.paint(content, style) -> output``.

Each network's ``forward`` is the formula of its paper. Callers use ``paint``: it supports any image size, strength and
masks. A network for any style image is an ``AnyStyle``: it encodes the image to a ``Style``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model_store.convolutions import pad_to_stride
from model_store.layers import StyledNorm
from model_store.pixels import shrunk
from model_store.statistics import Statistics, instance_statistics
from model_store.style import Style
from model_store.vgg import VGG

Forward = Callable[[Tensor, Style], Tensor]
"""A network's ``forward``, or a compiled version of it."""


@dataclass(frozen=True)
class Stage:
    """A part of a network, from one grid of features to the next; intermediate features need not be kept.

    Stages exist for ``model_store.tiling`` alone; together they compute what ``forward`` does.

    Attributes:
        run: (content (B, 3, H, W), the features that came before or ``None``, style) → (B, C, H/factor, W/factor).
        layers: Indices of its normalisation layers that no earlier stage has, in the order in which they run.
        factor: Factor between the content's size and that of the resulting grid.
        margin_px: Receptive-field radius in pixels, statistics aside; a multiple of the network's stride.
    """

    run: Callable[[Tensor, Tensor | None, Style], Tensor]
    layers: tuple[int, ...]
    factor: int
    margin_px: int


class StyleNetwork(nn.Module):
    """A feed-forward network that paints content images in styles, each image of a batch in its own.

    Attributes:
        stride: Factor between the image and the network's coarsest grid.
        norm: Where scale and shift come from: ``adaptive``, ``predicted``, ``conditional``, ``instance`` or ``batch``.
        controls: The request fields it supports, besides its styles and what ``catalog.all_controls`` adds.
    """

    stride: int
    norm: str
    controls: tuple[str, ...]

    @property
    def dtype(self) -> torch.dtype:
        """Number type of the convolutions, and so of the features between stages."""
        return next(module.weight.dtype for module in self.modules() if isinstance(module, nn.Conv2d))

    @property
    def norms(self) -> list[StyledNorm]:
        """The normalisation layers, by index."""
        return sorted(
            (layer for layer in self.modules() if isinstance(layer, StyledNorm)), key=lambda layer: layer.index
        )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The network's parts, in the order in which they run: the last gives the output, RGB."""
        raise NotImplementedError

    def forward(self, content: Tensor, style: Style) -> Tensor:
        """Compute the network's formula.

        Args:
            content: (B, 3, H, W), RGB in [0, 1]; H and W are multiples of ``stride``.
            style: B rows.

        Returns:
            (B, 3, H, W), RGB, near [0, 1] but not clamped.
        """
        raise NotImplementedError

    def paint(self, content: Tensor, style: Style, forward: Forward | None = None) -> Tensor:
        """Stylize a batch of any size: the network sees it padded to its stride, and the output is cropped back.

        Args:
            content: (B, 3, H, W), RGB in [0, 1].
            style: B rows; its masks, if any, have the content's size.
            forward: A compiled version of the network's ``forward``, to be used in its place.

        Returns:
            (B, 3, H, W), RGB, near [0, 1] but not clamped.

        Raises:
            ValueError: The style belongs to another network.
        """
        self.check(style)
        height, width = content.shape[2:]
        content = pad_to_stride(content, self.stride)
        if style.masks is not None:
            style = replace(style, masks=style.masks.padded(self.stride))
        output = (forward or self)(content, self.weakened(style))
        return self.finish(content, output, style)[:, :, :height, :width]

    def check(self, style: Style) -> None:
        """Check that a style belongs to this network.

        Raises:
            ValueError: The style has another number of layers.
        """
        if (count := len(self.norms)) != len(style.scales):
            raise ValueError(f"got a style for {len(style.scales)} layers, this network has {count}: it is another's")

    def weakened(self, style: Style) -> Style:
        """Apply a style's ``alpha``, where strength is a mix of rows; elsewhere layers or ``finish`` apply it."""
        return style

    def finish(self, content: Tensor, output: Tensor, style: Style) -> Tensor:
        """Mix content and output pixels, where the network needs it: (B, 3, H, W), twice → (B, 3, H, W)."""
        return output

    def stored_style(self, row: int) -> Style:
        """Return the style that the checkpoint lists at this row: one row."""
        raise NotImplementedError


class AnyStyle(StyleNetwork):
    """A network for any style image, which it encodes with VGG.

    Attributes:
        encoder: VGG up to the last of ``style_layers``; frozen.
        style_layers: Layers whose statistics make a style.
        style_shrink: Factor by which style images are made smaller before they are encoded.
    """

    encoder: VGG
    style_layers: tuple[str, ...]
    style_shrink = 1

    def encode_style(self, images: Tensor) -> Style:
        """Encode style images of any size: (B, 3, H, W), RGB in [0, 1] → B rows."""
        features = self.style_features(shrunk(images, self.style_shrink))
        return self.style_from({layer: instance_statistics(maps) for layer, maps in features.items()})

    def style_features(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the features whose statistics make a style: (B, 3, H, W), shrunk → by layer, (B, C, H/2ᵇ, W/2ᵇ)."""
        return self.encoder(pad_to_stride(images, self.encoder.stride), self.style_layers)  # type: ignore[no-any-return]

    def style_from(self, statistics: Mapping[str, Statistics]) -> Style:
        """Compute a style from the statistics of ``style_layers``, each (B, C, 1, 1) → B rows."""
        raise NotImplementedError

    def with_styles(self, rows: Style) -> None:
        """Store N rows as the network's named styles."""
        raise NotImplementedError
