"""``Generator``: base of networks with learned styles. A style is one row in the table of every normalisation layer.

With N = 1 it is the per-style network (Ulyanov et al. 2016, Johnson et al. 2016), with more the conditional one
(Dumoulin et al. 2017); with batch norm it is the baseline that instance norm replaced. Rows of one network mix.
"""

import torch
from torch import Tensor

from model_store.layers import BatchNorm, InstanceNorm
from model_store.network import StyleNetwork
from model_store.style import Style

NORMS: dict[str, type[InstanceNorm]] = {
    "instance": InstanceNorm,
    "conditional": InstanceNorm,
    "batch": BatchNorm,
}


class Generator(StyleNetwork):
    """Base class of the generators. Their normalisation layers must be made in the order in which they run."""

    def __init__(self, norm: str, styles: int) -> None:
        """Check the arguments; subclasses build the layers with ``self.norm_layer``.

        Raises:
            ValueError: An unknown norm, or a number of styles that it does not support.
        """
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"unknown norm {norm!r}: known are {', '.join(NORMS)}")
        if styles < 1 or (norm == "instance" and styles > 1):
            raise ValueError(f"got {styles} styles for {norm} norm: {'1' if norm == 'instance' else 'at least 1'} fits")
        self.norm = norm
        self.styles = styles
        self._next_index = 0
        self.controls = ("weights", "alpha") if styles > 1 else ("alpha",)

    def norm_layer(self, channels: int) -> InstanceNorm:
        """Make the next normalisation layer of this generator's kind, with a row for each of its styles."""
        layer = NORMS[self.norm](self._next_index, channels, self.styles)
        self._next_index += 1
        return layer

    @property
    def tables(self) -> list[InstanceNorm]:
        """The normalisation layers, each with its table of scales and shifts, by index."""
        return [layer for layer in self.norms if isinstance(layer, InstanceNorm)]

    def stored_style(self, row: int) -> Style:
        """Return the learned style of this row."""
        part = slice(row, row + 1)
        return Style(
            tuple(table.scale[part] for table in self.tables), tuple(table.shift[part] for table in self.tables)
        )

    def learned_styles(self, rows: Tensor) -> Style:
        """Look up rows of the tables, (B,) → a style of B rows; gradients flow into the tables."""
        rows = rows.to(self.tables[0].scale.device)
        return Style(
            tuple(table.scale[rows] for table in self.tables), tuple(table.shift[rows] for table in self.tables)
        )

    def finish(self, content: Tensor, output: Tensor, style: Style) -> Tensor:
        """Cross-fade with the content where the strength is below 1, or no style applies.

        A generator of learned styles normalises at every layer and has no row that reproduces the content: strength is
        a mixture of pixels here.
        """
        if style.alpha is None and style.masks is None:
            return output
        strength = style.strength.float().view(-1, 1, 1, 1)
        if style.masks is not None:
            strength = strength * style.masks.coverage  # (B, 1, H, W)
        return torch.lerp(content.float(), output.float(), strength)
