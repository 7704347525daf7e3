"""The methods side by side: each takes a style once, then paints photos in it.

Which networks there are says the catalog of a folder; optimisation (Gatys et al. 2016) needs none.
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
    """A method with all that it needs.

    Attributes:
        name: Of the networks, for the table.
        steps: Of an optimisation, which takes so long that one run tells its time; 0 for one forward pass.
    """

    name: str
    steps: int

    def style(self, painting: Tensor, path: Path) -> Any:
        """What the method needs of a style: from its picture, (1, 3, H, W), or what it has learned of that file."""
        ...

    def paint(self, content: Tensor, style: Any) -> Tensor:
        """(1, 3, H, W) in [0, 1] → the same, fp32."""
        ...

    def warm_up(self, content: Tensor, style: Any) -> None:
        """Do whatever only a first call has to do."""
        ...


class AnyStylePainter:
    """A network that encodes any style's picture."""

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
    def style(self, painting: Tensor, path: Path) -> Style:
        """The picture's statistics."""
        return self._network.encode_style(painting)

    @torch.no_grad()
    def paint(self, content: Tensor, style: Style) -> Tensor:
        """One forward pass."""
        return self._network.paint(content, style).float().clamp(0, 1)

    def warm_up(self, content: Tensor, style: Style) -> None:
        """Paint once."""
        self.paint(content, style)


class LearnedStyles:
    """Generators: for each style the network that has learned it."""

    steps = 0

    def __init__(self, entries: Mapping[Path, tuple[ModelEntry, int]], runtime: Runtime, seed: int) -> None:
        """Load the networks.

        Args:
            entries: By the style's file: the checkpoint and the row.
            runtime: Where and how they compute.
            seed: Of the noise, for those that take any.

        Raises:
            CheckpointError: One cannot be used.
        """
        models = {entry.id: entry.path for entry, _ in entries.values()}
        networks = {name: to_runtime(load(path), runtime) for name, path in models.items()}
        self.name = " ".join(models)
        self._styles = {path: (networks[entry.id], row) for path, (entry, row) in entries.items()}
        self._seed = seed

    @torch.no_grad()
    def style(self, painting: Tensor, path: Path) -> tuple[StyleNetwork, Style]:
        """The network that knows the style, and its row there."""
        network, row = self._styles[path]
        return network, network.stored_style(row).with_seed(self._seed)

    @torch.no_grad()
    def paint(self, content: Tensor, style: tuple[StyleNetwork, Style]) -> Tensor:
        """One forward pass."""
        network, row = style
        return network.paint(content, row).float().clamp(0, 1)

    def warm_up(self, content: Tensor, style: tuple[StyleNetwork, Style]) -> None:
        """Paint once."""
        self.paint(content, style)


class Optimisation:
    """So many steps for each picture; all else as ``GatysOptions`` has it by default."""

    def __init__(self, vgg: str, steps: int, runtime: Runtime) -> None:
        """Load the VGG.

        Raises:
            WeightsError: The weights cannot be used.
        """
        self.name = Path(vgg).stem
        self.steps = steps
        self._gatys = Gatys(to_runtime(load_vgg(vgg), runtime), GatysOptions(steps=steps))

    def style(self, painting: Tensor, path: Path) -> Any:
        """What the loss compares with."""
        return self._gatys.encode_style(painting)

    def paint(self, content: Tensor, style: Any) -> Tensor:
        """All steps."""
        return self._gatys(content, style)  # type: ignore[no-any-return]

    def warm_up(self, content: Tensor, style: Any) -> None:
        """One step."""
        next(self._gatys.run(content, style))


class OneStyle:
    """A network that paints in one of its named styles."""

    def __init__(self, checkpoint: Path, style_id: str, runtime: Runtime, seed: int) -> None:
        """Load the network; ``seed`` is that of the noise, if it takes any.

        Raises:
            CheckpointError: It cannot be used.
            DataError: It names no such style.
        """
        known = [style.id for style in read_metadata(checkpoint).styles]
        if style_id not in known:
            raise DataError(f"{checkpoint}: no style {style_id!r}; it names {', '.join(known) or 'none'}")
        self._network = to_runtime(load(checkpoint), runtime)
        self._style = self._network.stored_style(known.index(style_id)).with_seed(seed)
        self._device = runtime.device

    @torch.no_grad()
    def paint(self, photo: Tensor) -> Tensor:
        """(1, 3, H, W) in [0, 1] → the same, fp32, on the device."""
        return self._network.paint(photo.to(self._device), self._style).float().clamp(0, 1)


def known_files(models: Sequence[ModelEntry], files: Mapping[str, Path]) -> dict[Path, tuple[ModelEntry, int]]:
    """Which networks have learned which pictures, and in which row; ``files`` has the pictures by the style's id."""
    known: dict[Path, tuple[ModelEntry, int]] = {}
    for model in models:
        for row, style in enumerate(model.styles):
            if style.id in files:
                known.setdefault(files[style.id], (model, row))
    return known
