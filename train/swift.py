"""The swift task: train a small network for any style, also unseen ones (Ghiasi et al. 2017, section 3).

    L = content(x, c) + w·style(x, s) + v·lattice(x)

Content and style losses are those that also measure, see ``train.adain``. Some of the styles are mixed, because the
service mixes rows for ``weights`` and ``alpha``.
"""

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.utils import make_grid

from model_store.layers import normalise
from model_store.perceptual import CONTENT_LAYER, STYLE_LAYERS, lattice_amplitude, style_loss, style_targets
from model_store.swift import Swift
from train.any_style import AnyStyleTask
from train.pools import Drawn, by_layer
from train.recipe import Recipe, StyleMixing

PLAIN, MIXED, ROWS_MIXED, WEAKENED = range(4)
"""Kinds of mixing of a drawn style: see ``StyleMixing``."""


class SwiftTask(AnyStyleTask):
    """Losses of swift: draws from pools in, the three terms out."""

    name = "swift"
    network: Swift
    network_class = Swift

    @classmethod
    def choices(cls, recipe: Recipe) -> dict[str, Any]:
        """Return the factor by which style images are shrunk, which the predictor is trained with."""
        assert recipe.pools is not None
        return {"style_shrink": recipe.pools.style_shrink}

    def drawn_inputs(self, drawn: Drawn, rng: random.Random) -> Sequence[Tensor]:
        """Draw the mixing of each style.

        Returns:
            Content and features as in ``Drawn``; statistics of two styles, the same as the network encodes them, the
            weight of the second, and the kind of mixing, each (B, ...).
        """
        device = drawn.style.device
        kinds, weights = draw_kinds(rng, self._recipe.mixing or StyleMixing(0, 0, 0), len(drawn.content))
        kinds, weights = kinds.to(device), weights.to(device)
        first, second = drawn.style.chunk(2)
        second = torch.where((kinds == WEAKENED)[:, None], drawn.own, second)
        return drawn.content, drawn.features, first, second, *drawn.seen.chunk(2), weights, kinds

    def losses(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Compute content loss and style loss of the outputs, and the amplitude of upsampling patterns."""
        content, features, first, second, first_seen, second_seen, weights, kinds = inputs
        target = torch.lerp(first, second, weights[:, None])
        output = self.network(content, self.network.style_of_rows(self._rows(first_seen, second_seen, weights, kinds)))
        found = self.network.encoder(output, STYLE_LAYERS)
        return {
            "content": (normalise(found[CONTENT_LAYER]) - normalise(features)).square().mean(),
            "style": style_loss(style_targets(found), by_layer(target)).mean(),
            "lattice": lattice_amplitude(output).mean(),
        }

    def _rows(self, first: Tensor, second: Tensor, weights: Tensor, kinds: Tensor) -> Tensor:
        """Predict rows from mixed statistics, or mix the rows predicted from each: (B, 1920) … → (B, rows)."""
        by_rows, is_weakened = (kinds >= ROWS_MIXED)[:, None], (kinds == WEAKENED)[:, None]
        predict = self.network.predictor
        mixed = torch.lerp(first, second, torch.where(kinds == MIXED, weights, 0)[:, None])
        rows = predict(list(by_layer(mixed).values()))
        others = torch.where(is_weakened, self.network.rows_of_content, predict(list(by_layer(second).values())))
        return torch.where(by_rows, torch.lerp(rows, others, weights[:, None]), rows)

    @torch.no_grad()
    def sample_images(self, *inputs: Tensor) -> Tensor:
        """Rows of content and output; of the styles only statistics are kept."""
        content, _, _, _, first, second, weights, _ = inputs
        rows = self.network.predictor(list(by_layer(torch.lerp(first, second, weights[:, None])).values()))
        output = self.network(content, self.network.style_of_rows(rows))
        return make_grid(torch.cat([content, output]), nrow=len(content))  # type: ignore[no-any-return]


def draw_kinds(rng: random.Random, mixing: StyleMixing, count: int) -> tuple[Tensor, Tensor]:
    """Draw the mixing of so many styles: kinds (B,), and the weights of each one's partner (B,), 0 without one."""
    probabilities = [0.0, mixing.mixed, mixing.rows_mixed, mixing.weakened]
    probabilities[PLAIN] = 1 - sum(probabilities)
    kinds = rng.choices(range(len(probabilities)), probabilities, k=count)
    weights = [rng.random() if kind in (MIXED, ROWS_MIXED, WEAKENED) else 0.0 for kind in kinds]
    return torch.tensor(kinds), torch.tensor(weights)
