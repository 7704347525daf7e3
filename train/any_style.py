"""Common part of the trainings of any style: start from a VGG or a checkpoint, draw each step from pools."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from model_store.checkpoint import load
from model_store.checkpoint_metadata import read_metadata
from model_store.network import AnyStyle
from model_store.runtime import Runtime, to_runtime
from model_store.vgg import VGG, WIDTH, WeightsError, load_vgg
from train.data import Batch
from train.loop import Task
from train.pools import Drawn, Pools
from train.recipe import Recipe


class AnyStyleTask(Task):
    """Trains a network around a frozen VGG, which is its style encoder and the loss network.

    Attributes:
        network_class: Class of the network that is trained.
    """

    network: AnyStyle
    network_class: ClassVar[type[AnyStyle]]

    def __init__(self, network: AnyStyle, arguments: dict[str, Any], recipe: Recipe) -> None:
        """Train ``network``; ``arguments`` rebuild it, and the recipe has the sizes of its pools."""
        assert recipe.pools is not None
        self.network = network
        self.arguments = arguments
        self.fill_steps = recipe.pools.fill_steps
        self._recipe = recipe
        self._pool_sizes = recipe.pools

    @classmethod
    def start(cls, vgg: str | None, init: Path | None, recipe: Recipe, seed: int) -> Self:
        """Build a network to train: with random weights, or with those of an exported checkpoint.

        Args:
            vgg: Source of the encoder's weights; ``None`` for the checkpoint's own, or VGG-16 without one.
            init: The checkpoint.
            recipe: Sizes of the pools, and of the draws from them.
            seed: Seed of the random weights.

        Raises:
            WeightsError: The VGG weights cannot be used, or are not of the checkpoint's architecture.
            CheckpointError: The checkpoint cannot be used, or is of another network.
        """
        torch.manual_seed(seed)
        encoder = load_vgg(vgg or "vgg16") if init is None or vgg is not None else None
        arguments = _encoder_arguments(encoder) if encoder is not None else {}
        weights: dict[str, Tensor] = {}
        if init is not None:
            known = {**read_metadata(init).arguments, "styles": 0}
            if arguments and arguments["architecture"] != known["architecture"]:
                raise WeightsError(f"{vgg} is no {known['architecture']}, which {init} was trained with")
            arguments = {**known, **arguments}
            weights = load(init, cls.network_class).state_dict()
        arguments.update(cls.choices(recipe))
        network = cls.network_class(**arguments)
        named_styles = {name for name, tensor in network.state_dict().items() if len(tensor) == 0}
        network.load_state_dict(
            {name: tensor for name, tensor in weights.items() if name not in named_styles}, strict=False
        )
        if encoder is not None:
            network.encoder.load_state_dict(encoder.state_dict())
        return cls(network, arguments, recipe)

    @classmethod
    def choices(cls, recipe: Recipe) -> dict[str, Any]:
        """Return the network's arguments that depend on the recipe."""
        return {}

    def to(self, device: torch.device) -> None:
        """Move the network to the device, with empty pools."""
        to_runtime(self.network, Runtime(device, torch.float32))
        self._pools = Pools(self.network.encoder, self._pool_sizes, device)

    def state(self) -> dict[str, Any]:
        """State of the pools."""
        return self._pools.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the pools."""
        self._pools.restore(state)

    def inputs(self, batch: Batch, device: torch.device) -> Sequence[Tensor]:
        """Renew the pools with the batch, then draw from them; the batch of a step below 0 only fills them."""
        self._pools.take(batch)
        if batch.step < 0:
            return ()
        rng = random.Random(f"draw {batch.draw.seed}")
        return self.drawn_inputs(self._pools.draw(rng, batch.draw.crop_px, batch.draw.count), rng)

    def drawn_inputs(self, drawn: Drawn, rng: random.Random) -> Sequence[Tensor]:
        """Turn a draw from the pools into the arguments of ``losses``."""
        return drawn


def _encoder_arguments(vgg: VGG) -> dict[str, Any]:
    narrow = {} if vgg.width == WIDTH else {"vgg_width": vgg.width}
    return {
        **narrow,
        "architecture": "vgg19" if "conv3_4" in vgg.convs else "vgg16",
        "mean": vgg.mean.flatten().tolist(),
        "std": vgg.std.flatten().tolist(),
    }
