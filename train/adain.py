"""The AdaIN task: train the decoder, with the frozen encoder as judge (Huang & Belongie 2017, section 5).

We lose what we measure. Content is what instance normalisation leaves of relu4_1; style is the statistics that it takes
away, on four layers. The paper instead compares relu4_1 with the target t = AdaIN(f(c), f(s)) as it is; there, the few
loudest channels decide, and their statistics count twice.

A third term is ours: photos that are given their own statistics shall come back as they are. Neither of the others says
how an edge runs between two places of the coarse grid; without it, a short training draws it level or upright.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.utils import make_grid

from model_store.adain import AdaIN
from model_store.catalog import read_header
from model_store.checkpoint import load
from model_store.perceptual import CONTENT_LAYER, STYLE_LAYERS, content_distance, style_distance, style_summary
from model_store.statistics import instance_statistics
from model_store.vgg import WeightsError, load_vgg


class AdaINTask:
    """Content and style crops in, the three terms of the loss out."""

    name = "adain"

    def __init__(self, network: AdaIN, arguments: dict[str, Any]) -> None:
        """Train ``network``'s decoder; ``arguments`` rebuild the network."""
        self.network = network
        self.arguments = arguments

    @classmethod
    def from_vgg(cls, source: str | Path) -> "AdaINTask":
        """A new network around a VGG encoder, its decoder at random.

        Raises:
            WeightsError: The weights cannot be used.
        """
        vgg = load_vgg(source)
        arguments = {
            "architecture": "vgg19" if "conv3_4" in vgg.convs else "vgg16",
            "mean": vgg.mean.flatten().tolist(),
            "std": vgg.std.flatten().tolist(),
        }
        task = cls._around(arguments)
        task.network.encoder.load_state_dict(vgg.state_dict())
        return task

    @classmethod
    def _around(cls, arguments: dict[str, Any]) -> "AdaINTask":
        return cls(AdaIN(**arguments), arguments)

    @classmethod
    def start(cls, vgg: str | None, init: Path | None, seed: int) -> "AdaINTask":
        """A network to train: its decoder at random, or that of an exported checkpoint.

        Args:
            vgg: Where the encoder's weights come from; ``None`` for the checkpoint's own, or VGG-16 without one.
            init: The checkpoint.
            seed: Of the random decoder.

        Raises:
            WeightsError: The VGG weights cannot be used, or are not of the checkpoint's architecture.
            CheckpointError: The checkpoint cannot be used.
        """
        torch.manual_seed(seed)
        if init is None:
            return cls.from_vgg(vgg or "vgg16")
        trained, arguments = load(init, AdaIN), read_header(init).arguments
        task = cls.from_vgg(vgg) if vgg else cls._around({**arguments, "styles": 0})
        if task.arguments["architecture"] != arguments["architecture"]:
            raise WeightsError(f"{vgg} is no {arguments['architecture']}, which {init} was trained with")
        if not vgg:
            task.network.encoder.load_state_dict(trained.encoder.state_dict())
        task.network.decoder.load_state_dict(trained.decoder.state_dict())
        return task

    def to(self, device: torch.device) -> None:
        """Put the network where it is trained."""
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses(self, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        """Content and style distance of the painted batch, and how far photos come back from themselves: three scalars.

        Args:
            content: (B, 3, H, W), RGB in [0, 1]; half of them are also decoded as they are.
            style: Of the same shape.
        """
        network = self.network
        with torch.no_grad():
            features = network.encoder(torch.cat([content, style]), STYLE_LAYERS)
            content_features = features[CONTENT_LAYER][: len(content)]
            style_features = {layer: maps[len(content) :] for layer, maps in features.items()}
            encoded = network.style_from({CONTENT_LAYER: instance_statistics(style_features[CONTENT_LAYER])})
            target = network.restyle(content_features, encoded)
        own = content[: (len(content) + 1) // 2]
        decoded = network.decode(torch.cat([target, content_features[: len(own)]]))
        painted, returned = decoded[: len(content)], decoded[len(content) :]
        result = network.encoder(painted, STYLE_LAYERS)
        return {
            "content": content_distance(result[CONTENT_LAYER], content_features).mean(),
            "style": style_distance(style_summary(result), style_summary(style_features)).mean(),
            "reconstruction": (returned.float() - own).square().mean(),
        }

    @torch.no_grad()
    def pictures(self, content: Tensor, style: Tensor) -> Tensor:
        """Rows of content, style, result."""
        result = self.network(content, self.network.encode_style(style))
        rows = torch.cat([content, style, result.float().clamp(0, 1)])
        return make_grid(rows, nrow=len(content))  # type: ignore[no-any-return]
