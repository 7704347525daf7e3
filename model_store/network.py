"""``StyleNetwork``: what every network of ours is to its callers, ``network(content, style) -> image``."""

from dataclasses import dataclass, replace

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

    def forward(self, content: Tensor, style: Style, view: View = WHOLE) -> Tensor:
        """Paint a batch of any size: the network sees it padded to its stride, and the result is cropped back.

        Args:
            content: (B, 3, H, W), RGB in [0, 1].
            style: B rows; its regions, if any, have the content's size.
            view: Of what the content is a part.

        Returns:
            (B, 3, H, W), RGB, near [0, 1] but not clamped.
        """
        height, width = content.shape[2:]
        if style.regions is not None:
            shares = pad_to_stride(style.regions.shares, self.stride)
            style = replace(style, regions=replace(style.regions, shares=shares))
        return self.paint(pad_to_stride(content, self.stride), style, view)[:, :, :height, :width]

    def paint(self, content: Tensor, style: Style, view: View = WHOLE) -> Tensor:
        """As ``forward``, for H and W that are multiples of ``stride``."""
        raise NotImplementedError

    def stored_style(self, row: int) -> Style:
        """The style that the checkpoint lists at this row: one row."""
        raise NotImplementedError
