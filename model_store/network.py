"""``StyleNetwork``: what every network of ours is to its callers, ``network(content, style) -> image``."""

from torch import Tensor, nn

from model_store.layers import pad_to_stride
from model_store.style import Style


class StyleNetwork(nn.Module):
    """A feed-forward network that paints photos in styles, each image of a batch in its own.

    Attributes:
        stride: Factor between the image and the network's coarsest grid.
        norm: Where scale and shift come from: ``adaptive``, ``conditional``, ``instance`` or ``batch``.
        controls: The request fields it heeds, besides the choice of its styles.
    """

    stride: int
    norm: str
    controls: tuple[str, ...]

    def forward(self, content: Tensor, style: Style) -> Tensor:
        """Paint a batch of any size: the network sees it padded to its stride, and the result is cropped back.

        Args:
            content: (B, 3, H, W), RGB in [0, 1].
            style: B rows.

        Returns:
            (B, 3, H, W), RGB, near [0, 1] but not clamped.
        """
        height, width = content.shape[2:]
        return self.paint(pad_to_stride(content, self.stride), style)[:, :, :height, :width]

    def paint(self, content: Tensor, style: Style) -> Tensor:
        """As ``forward``, for H and W that are multiples of ``stride``."""
        raise NotImplementedError

    def stored_style(self, row: int) -> Style:
        """The style that the checkpoint lists at this row: one row."""
        raise NotImplementedError
