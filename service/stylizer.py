"""``Stylizer``: the facade over the networks. Loads and warms them up, remembers encoded styles, paints batches.

Everything with torch happens here, on one device. ``paint`` is called from one thread at a time; ``remembered`` may be
called from others.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from model_store import checkpoint
from model_store.catalog import Catalog, CatalogError, read_catalog
from model_store.runtime import Runtime
from model_store.style import Style, mix, stack

WARM_UP_PX = (256, 512)


@dataclass(frozen=True)
class Upload:
    """A style image that a client sent.

    Attributes:
        digest: Of the file's bytes; the same digest is the same style.
        image: RGB; ``None`` where the style was remembered when the job was prepared.
        remembered: The encoded style, in that case.
    """

    digest: str
    image: Image.Image | None
    remembered: Style | None


@dataclass(frozen=True)
class Painting:
    """One image of a batch.

    Attributes:
        content: RGB, of the size of the result.
        styles: Weight and source of each style of the mix: a stored style's id, or an upload.
        alpha: 0 keeps the content's own statistics, 1 takes the style's.
    """

    content: Image.Image
    styles: Sequence[tuple[float, str | Upload]]
    alpha: float


class Stylizer:
    """The networks of a folder of checkpoints on one device."""

    def __init__(self, folder: Path, runtime: Runtime, style_cache_entries: int) -> None:
        """Load every usable checkpoint.

        Raises:
            CatalogError: No such folder, or no usable checkpoint in it.
            CheckpointError: A checkpoint's tensors are damaged.
        """
        self.catalog: Catalog = read_catalog(folder)
        self.runtime = runtime
        self._networks = {
            model.id: prepare(checkpoint.load(model.path), runtime)
            for model in self.catalog.models
            if model.problem is None
        }
        if not self._networks:
            problems = "; ".join(model.problem for model in self.catalog.models if model.problem is not None)
            raise CatalogError(f"{folder}: no usable checkpoint" + (f" ({problems})" if problems else ""))
        self._cache = StyleCache(style_cache_entries)

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the loaded networks."""
        return tuple(self._networks)

    def warm_up(self) -> None:
        """Paint once with every network at common sizes, so that the first request does not pay for it."""
        for model in self.models:
            for side_px in WARM_UP_PX:
                image = Image.new("RGB", (side_px, side_px), (128, 96, 64))
                self.paint(model, [Painting(image, [(1.0, Upload("warm-up", image, None))], 1.0)])
        self._cache.clear()

    def remembered(self, model: str, digest: str) -> Style | None:
        """The style of an upload, if this process encoded it before."""
        return self._cache.get((model, digest))

    @torch.inference_mode()
    def paint(self, model: str, paintings: Sequence[Painting]) -> list[Image.Image]:
        """Paint a batch in one forward pass.

        Args:
            model: A loaded network's id.
            paintings: All of one size; each with its own styles and strength.

        Returns:
            RGB images of the size of the contents, in their order.
        """
        network = self._networks[model]
        style = stack(self._style(model, painting) for painting in paintings)
        content = to_tensor([painting.content for painting in paintings], self.runtime)
        height, width = content.shape[2:]
        painted = network(pad_to_stride(content, network.stride), style)  # type: ignore[arg-type]
        return to_images(painted[:, :, :height, :width])

    def _style(self, model: str, painting: Painting) -> Style:
        """The mix that a painting asks for, one row."""
        sources = [self._source(model, source) for _, source in painting.styles]
        weights = [weight for weight, _ in painting.styles]
        return mix(sources, weights).with_alpha(painting.alpha)

    def _source(self, model: str, source: str | Upload) -> Style:
        network = self._networks[model]
        if isinstance(source, str):
            return network.stored_style(self.catalog.style(source).row)  # type: ignore[no-any-return,operator]
        if source.remembered is not None:
            return source.remembered
        if (style := self._cache.get((model, source.digest))) is None:  # another job of this batch may have brought it
            assert source.image is not None
            image = pad_to_stride(to_tensor([source.image], self.runtime), network.stride)  # type: ignore[arg-type]
            style = network.encode_style(image)  # type: ignore[operator]
            self._cache.put((model, source.digest), style)
        return style


class StyleCache:
    """The styles used last, at most ``entries``; safe to use from several threads."""

    def __init__(self, entries: int) -> None:
        """Empty."""
        self._entries = entries
        self._styles: OrderedDict[tuple[str, str], Style] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> Style | None:
        """The style, which becomes the one used last."""
        with self._lock:
            if key in self._styles:
                self._styles.move_to_end(key)
            return self._styles.get(key)

    def put(self, key: tuple[str, str], style: Style) -> None:
        """Remember a style; forget the one not used for longest."""
        with self._lock:
            self._styles[key] = style
            while len(self._styles) > self._entries:
                self._styles.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._styles.clear()


def prepare(network: nn.Module, runtime: Runtime) -> nn.Module:
    """Put a network on the device, its convolutions in the runtime's type and channels last; the rest stays fp32."""
    network.to(runtime.device).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(runtime.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def to_tensor(images: Sequence[Image.Image], runtime: Runtime) -> Tensor:
    """RGB images of one size → (B, 3, H, W) in [0, 1], fp32, channels last."""
    pixels = np.stack([np.asarray(image) for image in images])  # (B, H, W, 3)
    return torch.from_numpy(pixels).to(runtime.device).permute(0, 3, 1, 2).float() / 255


def to_images(images: Tensor) -> list[Image.Image]:
    """(B, 3, H, W) near [0, 1] → RGB images."""
    pixels = images.float().mul(255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)  # (B, H, W, 3)
    return [Image.fromarray(image) for image in pixels.contiguous().cpu().numpy()]


def pad_to_stride(images: Tensor, stride: int) -> Tensor:
    """Extend H and W to multiples of the network's stride, by reflection at the bottom and right."""
    bottom, right = -images.shape[2] % stride, -images.shape[3] % stride
    return nn.functional.pad(images, (0, right, 0, bottom), mode="reflect") if bottom or right else images
