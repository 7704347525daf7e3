"""What generators with learned styles share: a style is one row in the table of every normalisation layer.

With N = 1 it is the per-style network (Ulyanov et al. 2016, Johnson et al. 2016), with more the conditional one
(Dumoulin et al. 2017); with batch norm it is the baseline that instance norm replaced. Rows of one network mix.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from model_store.layers import BatchNorm, InstanceNorm, Measure
from model_store.network import StyleNetwork, View
from model_store.regions import Regions
from model_store.style import Style

NORMS: dict[str, type[InstanceNorm]] = {
    "instance": InstanceNorm,
    "conditional": InstanceNorm,
    "batch": BatchNorm,
}

Rows = Iterator[tuple[Tensor, Tensor, Regions | None, Measure]]
"""What one normalisation layer after the other is called with, in the order in which they run: scale and shift, (B, C)
or, with regions, (B, K, C); the regions; where the content's statistics come from."""


class Generator(StyleNetwork):
    """Base of the generators. Their normalisation layers must be made in the order in which they run."""

    def __init__(self, norm: str, styles: int) -> None:
        """Check the arguments; subclasses build the layers with ``self.norm_layer``.

        Raises:
            ValueError: An unknown norm, or a number of styles that it does not take.
        """
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"unknown norm {norm!r}: known are {', '.join(NORMS)}")
        if styles < 1 or (norm == "instance" and styles > 1):
            raise ValueError(f"got {styles} styles for {norm} norm: {'1' if norm == 'instance' else 'at least 1'} fits")
        self.norm = norm
        self.styles = styles
        self.controls = ("weights", "alpha") if styles > 1 else ("alpha",)

    def norm_layer(self, channels: int) -> InstanceNorm:
        """A normalisation layer of this generator's kind, with a row for each of its styles."""
        return NORMS[self.norm](channels, self.styles)

    @property
    def norms(self) -> list[InstanceNorm]:
        """The normalisation layers, in the order in which they run."""
        return [module for module in self.modules() if isinstance(module, InstanceNorm)]

    def stored_style(self, row: int) -> Style:
        """The learned style of this row."""
        return self.learned_styles(torch.tensor([row], device=self.norms[0].scale.device))

    def learned_styles(self, rows: Tensor) -> Style:
        """Rows of the tables, (B,) → a style of B rows; gradients flow into the tables."""
        return Style(tuple(norm.scale[rows] for norm in self.norms), tuple(norm.shift[rows] for norm in self.norms))

    def finish(self, content: Tensor, painted: Tensor, style: Style) -> Tensor:
        """Cross-fade with the photo where the strength is below 1, or no style applies.

        A generator normalises at every layer, so no mix of scales and shifts gives back the photo: strength is a
        mixture of pictures here.
        """
        if style.alpha is None and style.regions is None:
            return painted
        strength = style.strength.float().view(-1, 1, 1, 1)
        if style.regions is not None:
            strength = strength * style.regions.coverage  # (B, 1, H, W)
        return torch.lerp(content.float(), painted.float(), strength)


def rows_of(style: Style, view: View) -> Rows:
    """What a style says to one layer after the other."""
    for scale, shift in zip(style.scales, style.shifts, strict=True):
        yield scale, shift, style.regions, view.measure


class NormalisedConv(nn.Module):
    """Convolution, normalisation, and ReLU unless it is left out.

    The convolution needs no bias: the normalisation would take it away again.
    """

    def __init__(self, conv: nn.Module, norm: InstanceNorm, activate: bool = True) -> None:
        """Put the layers together."""
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.activate = activate

    def forward(self, features: Tensor, rows: Rows) -> Tensor:
        """(B, C_in, H, W) → (B, C_out, H', W'), in the convolution's type; takes one of ``rows``."""
        normalised: Tensor = self.norm(self.conv(features), *next(rows))
        return nn.functional.relu(normalised) if self.activate else normalised


def run(blocks: Iterable[nn.Module], features: Tensor, rows: Rows) -> Tensor:
    """The blocks one after the other, each of which takes its ``rows``."""
    for block in blocks:
        features = block(features, rows)
    return features
