"""The compared methods, with one interface: each encodes a style once, then stylizes content images.

The networks are those of a folder's catalog; optimisation (Gatys et al. 2016) needs none.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from model_store.catalog import ModelEntry
from model_store.checkpoint import load
from model_store.checkpoint_metadata import read_metadata
from model_store.gatys import Gatys, GatysOptions
from model_store.network import AnyStyle, StyleNetwork
from model_store.runtime import Runtime, to_runtime
from model_store.style import Style
from model_store.vgg import load_vgg
from train.data import DataError


class Painter(Protocol):
    """A method with its networks.

    Attributes:
        name: Names of the networks, for the table.
        steps: Steps of an optimisation, which is timed only once, because it takes long; 0 for one forward pass.
    """

    name: str
    steps: int

    def style(self, style_image: Tensor, path: Path) -> Any:
        """Encode a style image, (1, 3, H, W), or look up the learned style of that file."""
        ...

    def paint(self, content: Tensor, style: Any) -> Tensor:
        """Stylize (1, 3, H, W) in [0, 1] → the same, fp32."""
        ...

    def warm_up(self, content: Tensor, style: Any) -> None:
        """Do the work that only a first call needs."""
        ...


class AnyStylePainter:
    """A network for any style image."""

    steps = 0

    def __init__(self, entry: ModelEntry, runtime: Runtime) -> None:
        """Load the network.

        Raises:
            CheckpointError: It cannot be used.
        """
        self.name = entry.id
        network = to_runtime(load(entry.path, AnyStyle), runtime)
        self._network = network

    @torch.no_grad()
    def style(self, style_image: Tensor, path: Path) -> Style:
        """Encode the style image."""
        return self._network.encode_style(style_image)

    @torch.no_grad()
    def paint(self, content: Tensor, style: Style) -> Tensor:
        """Run one forward pass."""
        return self._network.paint(content, style).float().clamp(0, 1)

    def warm_up(self, content: Tensor, style: Style) -> None:
        """Run once."""
        self.paint(content, style)


class LearnedStyles:
    """Generators with learned styles: for each style the network that has learned it."""

    steps = 0

    def __init__(self, entries: Mapping[Path, tuple[ModelEntry, int]], runtime: Runtime, seed: int) -> None:
        """Load the networks.

        Args:
            entries: Checkpoint and row of each style, by its file.
            runtime: Device and number type.
            seed: Seed of the noise, for networks that use noise.

        Raises:
            CheckpointError: One cannot be used.
        """
        models = {entry.id: entry.path for entry, _ in entries.values()}
        networks = {name: to_runtime(load(path), runtime) for name, path in models.items()}
        self.name = " ".join(models)
        self._styles = {path: (networks[entry.id], row) for path, (entry, row) in entries.items()}
        self._seed = seed

    @torch.no_grad()
    def style(self, style_image: Tensor, path: Path) -> tuple[StyleNetwork, Style]:
        """Look up the network that has learned the style, and its row."""
        network, row = self._styles[path]
        return network, network.stored_style(row).with_seed(self._seed)

    @torch.no_grad()
    def paint(self, content: Tensor, style: tuple[StyleNetwork, Style]) -> Tensor:
        """Run one forward pass."""
        network, row = style
        return network.paint(content, row).float().clamp(0, 1)

    def warm_up(self, content: Tensor, style: tuple[StyleNetwork, Style]) -> None:
        """Run once."""
        self.paint(content, style)


class Optimisation:
    """Optimisation with a given number of steps; all other options are the defaults of ``GatysOptions``."""

    def __init__(self, vgg: str, steps: int, runtime: Runtime) -> None:
        """Load the VGG.

        Raises:
            WeightsError: The weights cannot be used.
        """
        self.name = Path(vgg).stem
        self.steps = steps
        self._gatys = Gatys(to_runtime(load_vgg(vgg), runtime), GatysOptions(steps=steps))

    def style(self, style_image: Tensor, path: Path) -> Any:
        """Compute the style's targets."""
        return self._gatys.encode_style(style_image)

    def paint(self, content: Tensor, style: Any) -> Tensor:
        """Take all steps."""
        return self._gatys(content, style)  # type: ignore[no-any-return]

    def warm_up(self, content: Tensor, style: Any) -> None:
        """Take one step."""
        next(self._gatys.run(content, style))


class OneStyle:
    """A network with one of its named styles."""

    def __init__(self, checkpoint: Path, style_id: str, runtime: Runtime, seed: int) -> None:
        """Load the network; ``seed`` is that of the noise, if it uses noise.

        Raises:
            CheckpointError: It cannot be used.
            DataError: It has no such style.
        """
        known = [style.id for style in read_metadata(checkpoint).styles]
        if style_id not in known:
            raise DataError(f"{checkpoint}: no style {style_id!r}; it has {', '.join(known) or 'none'}")
        self._network = to_runtime(load(checkpoint), runtime)
        self._style = self._network.stored_style(known.index(style_id)).with_seed(seed)
        self._device = runtime.device

    @torch.no_grad()
    def paint(self, content: Tensor) -> Tensor:
        """Stylize (1, 3, H, W) in [0, 1] → the same, fp32, on the device."""
        return self._network.paint(content.to(self._device), self._style).float().clamp(0, 1)


def known_files(models: Sequence[ModelEntry], files: Mapping[str, Path]) -> dict[Path, tuple[ModelEntry, int]]:
    """Find the network and row of each learned style image; ``files`` has the images by the style's id."""
    known: dict[Path, tuple[ModelEntry, int]] = {}
    for model in models:
        for row, style in enumerate(model.styles):
            if style.id in files:
                known.setdefault(files[style.id], (model, row))
    return known
