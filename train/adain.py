"""The AdaIN task: train the decoder, with the frozen encoder as judge (Huang & Belongie 2017, section 5).

We lose what we measure. Content is what instance normalisation leaves of relu4_1; style is the statistics that it takes
away, on four layers. The paper instead compares relu4_1 with the target t = AdaIN(f(c), f(s)) as it is; there, the few
loudest channels decide, and their statistics count twice.

A third term is ours: photos that are given their own statistics shall come back as they are. Neither of the others says
how an edge runs between two places of the coarse grid; without it, a short training draws it level or upright.
"""

import torch
from torch import Tensor
from torchvision.utils import make_grid

from model_store.adain import AdaIN
from model_store.layers import normalise
from model_store.perceptual import CONTENT_LAYER, STYLE_LAYERS, style_loss, style_targets
from model_store.style import Style
from train.any_style import AnyStyleTask
from train.pools import by_layer


class AdaINTask(AnyStyleTask):
    """Draws from pools in, the three terms of the loss out: a step encodes what it painted, and nothing else."""

    name = "adain"
    network: AdaIN
    network_class = AdaIN

    def losses(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Content and style distance of the painted batch, and how far contents come back from themselves.

        Args:
            inputs: As ``train.pools.Drawn`` has them; half of the contents are also decoded as they are, and the
                second half of the styles is not used.
        """
        content, features, _, style, _ = inputs
        network, statistics = self.network, by_layer(style[: len(content)])
        own = content[: (len(content) + 1) // 2]
        target = network.restyle(features, self._style(statistics))
        decoded = network.decode(torch.cat([target, features[: len(own)]]))
        painted, returned = decoded[: len(content)], decoded[len(content) :]
        seen = network.encoder(painted, STYLE_LAYERS)
        return {
            "content": (normalise(seen[CONTENT_LAYER]) - normalise(features)).square().mean(),
            "style": style_loss(style_targets(seen), statistics).mean(),
            "reconstruction": (returned.float() - own).square().mean(),
        }

    @torch.no_grad()
    def sample_images(self, *inputs: Tensor) -> Tensor:
        """Rows of content and result; of the styles only statistics are kept."""
        content, features, _, style, _ = inputs
        painted = self.network.decode(self.network.restyle(features, self._style(by_layer(style[: len(content)]))))
        return make_grid(torch.cat([content, painted.float().clamp(0, 1)]), nrow=len(content))  # type: ignore[no-any-return]

    @staticmethod
    def _style(statistics: dict[str, Tensor]) -> Style:
        mean, std = statistics[CONTENT_LAYER].chunk(2, dim=1)
        return Style((std,), (mean,))
