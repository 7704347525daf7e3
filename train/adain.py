"""The AdaIN task: train the decoder, with the frozen encoder as loss network (Huang & Belongie 2017, section 5).

The losses are those of ``perceptual``, which also measure: content is relu4_1 after instance normalisation, style the
statistics that it removes, on four layers. The paper instead compares relu4_1 with the target t = AdaIN(f(c), f(s))
directly; there, the few strongest channels dominate, and their statistics count twice.

A third term is ours, a reconstruction loss for contents with their own statistics. Neither of the others determines
how an edge runs between two places of the coarse grid; without it, a short training makes edges horizontal or vertical.
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
    """Losses of AdaIN: draws from pools in, the three terms out. A step encodes its outputs, and nothing else."""

    name = "adain"
    network: AdaIN
    network_class = AdaIN

    def losses(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Compute content loss and style loss of the outputs, and the reconstruction loss.

        Args:
            inputs: The fields of ``train.pools.Drawn``; half of the contents are also decoded with their own
                statistics, and the second half of the styles is not used.
        """
        content, features, _, style, _ = inputs
        network, statistics = self.network, by_layer(style[: len(content)])
        own = content[: (len(content) + 1) // 2]
        target = network.restyle(features, self._style(statistics))
        decoded = network.decode(torch.cat([target, features[: len(own)]]))
        output, reconstructed = decoded[: len(content)], decoded[len(content) :]
        found = network.encoder(output, STYLE_LAYERS)
        return {
            "content": (normalise(found[CONTENT_LAYER]) - normalise(features)).square().mean(),
            "style": style_loss(style_targets(found), statistics).mean(),
            "reconstruction": (reconstructed.float() - own).square().mean(),
        }

    @torch.no_grad()
    def sample_images(self, *inputs: Tensor) -> Tensor:
        """Rows of content and output; of the styles only statistics are kept."""
        content, features, _, style, _ = inputs
        output = self.network.decode(self.network.restyle(features, self._style(by_layer(style[: len(content)]))))
        return make_grid(torch.cat([content, output.float().clamp(0, 1)]), nrow=len(content))  # type: ignore[no-any-return]

    @staticmethod
    def _style(statistics: dict[str, Tensor]) -> Style:
        mean, std = statistics[CONTENT_LAYER].chunk(2, dim=1)
        return Style((std,), (mean,))
