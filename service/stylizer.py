"""``Stylizer``: the facade over the networks. Loads them when needed, remembers encoded styles, paints batches.

Everything with torch happens here, on one device. ``warm_up`` and ``paint`` are called from one thread at a time; the
rest may be called from others.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from model_store.adain import AdaIN
from model_store.catalog import Catalog, CatalogError, ModelEntry
from model_store.catalog_watch import CatalogWatch
from model_store.color import ColorStatistics, color_statistics, keep_chroma, match_colors
from model_store.gatys import DEFAULT, Gatys, Progress, mix_summaries, resized
from model_store.network import StyleNetwork
from model_store.regions import regions_of
from model_store.runtime import Runtime
from model_store.style import Style, mix, place, stack
from service.errors import ModelUnavailable
from service.networks import Networks, Resident
from service.request import UPLOAD_MODEL
from service.schemas import Color

WARM_UP_PX = (256, 512)


@dataclass(frozen=True)
class Upload:
    """A style image that a client sent.

    Attributes:
        digest: Of the file's bytes; the same digest is the same style.
        image: RGB; ``None`` where the style was remembered when the job was prepared.
        remembered: The encoded style, in that case.
        encoder_sha256: Of the checkpoint that encoded it: another one would read other things into its numbers.
    """

    digest: str
    image: Image.Image | None
    remembered: Style | None = None
    encoder_sha256: str = ""


@dataclass(frozen=True)
class Painting:
    """One image of a batch.

    Attributes:
        content: RGB, of the size of the result.
        styles: Weight and source of each style of the mix: a stored style's id, or an upload.
        alpha: 0 keeps the content's own statistics, 1 takes the style's.
        seed: For networks that take noise; the others paint the same whatever it is. In one batch all have one or none.
        color: ``match`` recolours uploads to the content before they are encoded; ``luminance`` keeps the content's
            chroma; ``style`` does neither.
        masks: Where each of the styles applies: mode L, of the content's size; none for a mix that is everywhere.
    """

    content: Image.Image
    styles: Sequence[tuple[float, str | Upload]]
    alpha: float
    seed: int | None = None
    color: Color = "style"
    masks: Sequence[Image.Image] = ()


class Stylizer:
    """The networks of a folder of checkpoints on one device."""

    def __init__(
        self, folder: Path, runtime: Runtime, style_cache_entries: int, model_memory_bytes: float = math.inf
    ) -> None:
        """Look at the folder; nothing is loaded before it is used.

        Args:
            folder: Of checkpoints; it may change while they are served.
            runtime: Where and in which type the networks run.
            style_cache_entries: How many encoded uploads are remembered.
            model_memory_bytes: What the networks' weights may take of the device, see ``Networks``.

        Raises:
            CatalogError: No such folder, or no usable checkpoint in it.
        """
        self._folder = folder
        self._watch = CatalogWatch(folder)
        self.runtime = runtime
        self._networks = Networks(self._watch, runtime, prepare, model_memory_bytes)
        self._cache = StyleCache(style_cache_entries)
        if all(model.problem is not None for model in self.catalog.models):
            raise self._nothing_usable()

    @property
    def catalog(self) -> Catalog:
        """The folder's networks and styles, as of now."""
        return self._watch.now()

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the networks on the device."""
        return self._networks.ids

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong with the checkpoints that cannot be used as they are now, by model id."""
        return self._networks.problems

    def warm_up(self) -> None:
        """Load the network for uploads, or else the first that can be loaded, and paint with it at common sizes.

        So the first request does not pay for it; the others are loaded by theirs, and the service is ready soon.

        Raises:
            CatalogError: None can be loaded.
        """
        usable = [model for model in self.catalog.models if model.problem is None]
        for model in sorted(usable, key=lambda model: model.id != UPLOAD_MODEL):
            try:
                self._warm_up(model)
            except ModelUnavailable:
                continue  # it is logged, and in ``problems``
            self._cache.clear()
            return
        raise self._nothing_usable()

    def _warm_up(self, model: ModelEntry) -> None:
        for side_px in WARM_UP_PX:
            image = Image.new("RGB", (side_px, side_px), (128, 96, 64))
            style = model.styles[0].id if model.styles else Upload("warm-up", image)
            self.paint(model.id, [Painting(image, [(1.0, style)], 1.0, seed=0)])

    def remembered(self, model: str, digest: str) -> Upload | None:
        """An upload that this process encoded before with the network as it is now."""
        entry = next((entry for entry in self.catalog.models if entry.id == model), None)
        if entry is None or (style := self._cache.get((entry.sha256, digest))) is None:
            return None
        return Upload(digest, None, style, entry.sha256)

    def paint(self, model: str, paintings: Sequence[Painting]) -> list[Image.Image]:
        """Paint a batch in one forward pass.

        Args:
            model: A network's id.
            paintings: All of one size; each with its own styles and strength.

        Returns:
            RGB images of the size of the contents, in their order.

        Raises:
            ModelUnavailable: The network, or one of the styles, cannot be used, or not any more.
        """
        stored = [source for painting in paintings for _, source in painting.styles if isinstance(source, str)]
        self._watch.now(stored)  # the API may know styles that this process has not seen yet
        resident = self._networks.resident(model)
        with torch.inference_mode():
            content = to_tensor([painting.content for painting in paintings], self.runtime)
            photos = content.chunk(len(paintings))
            style = stack(map(self._style, repeat(resident), paintings, photos))
            painted = resident.network(content, style)
            for image, photo, painting in zip(painted.chunk(len(paintings)), photos, paintings, strict=True):
                if painting.color == "luminance":
                    image.copy_(keep_chroma(photo, image))
            return to_images(painted)

    def optimise(
        self, model: str, painting: Painting, steps: int | None = None, begin: tuple[int, Image.Image] | None = None
    ) -> Iterator[Progress]:
        """Paint one picture by optimisation, seen with a network's encoder; nothing is done before the first step.

        Args:
            model: The id of a network with an encoder.
            painting: Its styles are uploads with their images; ``alpha`` mixes the content's own summaries in.
            steps: How many; the method's default when not given.
            begin: Steps that were taken elsewhere, and the picture of the content's size that they led to.

        Yields:
            After every step. To drop the iterator is to cancel.

        Raises:
            ModelUnavailable: The network cannot be used, or has no encoder.
        """
        network = self._networks.resident(model).network
        if not isinstance(network, AdaIN):
            raise ModelUnavailable(f"the network {model!r} has no encoder to optimise with")
        gatys = Gatys(network.encoder, replace(DEFAULT, steps=steps or DEFAULT.steps))
        content = to_tensor([painting.content], self.runtime)
        colors = color_statistics([content]) if painting.color == "match" else None
        summaries, weights = [gatys.encode_style(content)], [1 - painting.alpha]
        for weight, source in painting.styles:
            assert isinstance(source, Upload) and source.image is not None
            summaries.append(gatys.encode_style(self._style_pixels(source.image, colors)))
            weights.append(weight * painting.alpha)
        done, picture = (begin[0], to_tensor([begin[1]], self.runtime)) if begin is not None else (0, None)
        for progress in gatys.run(content, mix_summaries(summaries, weights), done, picture):
            if painting.color == "luminance":
                photo = resized(content, (progress.iterate.shape[2], progress.iterate.shape[3]))
                progress = replace(progress, iterate=keep_chroma(photo, progress.iterate))
            yield progress

    def _style(self, resident: Resident, painting: Painting, content: Tensor) -> Style:
        """The mix that a painting asks for, or its styles each in its region: one row."""
        colors = color_statistics([content]) if painting.color == "match" else None
        sources = [self._source(resident, source, colors) for _, source in painting.styles]
        weights = [weight for weight, _ in painting.styles]
        if painting.masks:
            masks = torch.cat([to_mask(mask, self.runtime) for mask in painting.masks], dim=1)  # (1, K, H, W)
            style = place(sources, regions_of(masks, torch.tensor([weights], device=masks.device)))
        else:
            style = mix(sources, weights)
        style = style.with_alpha(painting.alpha)
        return style if painting.seed is None else style.with_seed(painting.seed)

    def _source(self, resident: Resident, source: str | Upload, colors: ColorStatistics | None) -> Style:
        """One style of a mix, recoloured to ``colors`` if given.

        What was right when it was asked for may have been replaced since.
        """
        entry, network = resident.entry, resident.network
        if isinstance(source, str):
            row = next((style.row for style in entry.styles if style.id == source), None)
            if row is None:
                raise ModelUnavailable(f"the network {entry.id!r} has no style {source!r} now: GET /styles lists them")
            return network.stored_style(row)
        if source.encoder_sha256 == entry.sha256 and source.remembered is not None:
            return source.remembered
        key = (entry.sha256, source.digest)
        style = self._cache.get(key) if colors is None else None  # another job of this batch may have brought it
        if style is None:
            if source.image is None or not isinstance(network, AdaIN):
                raise ModelUnavailable(f"the network {entry.id!r} was replaced while this waited: send it again")
            style = network.encode_style(self._style_pixels(source.image, colors))
            if colors is None:  # else it suits this photo alone
                self._cache.put(key, style)
        return style

    def _style_pixels(self, image: Image.Image, colors: ColorStatistics | None) -> Tensor:
        """A style image, (1, 3, H, W) in [0, 1], recoloured if so wished."""
        pixels = to_tensor([image], self.runtime)
        return pixels if colors is None else match_colors(pixels, colors).clamp_(0, 1)

    def _nothing_usable(self) -> CatalogError:
        problems = "; ".join(self.problems.values())
        return CatalogError(f"{self._folder}: no usable checkpoint" + (f" ({problems})" if problems else ""))


class StyleCache:
    """The styles used last, at most ``entries``, by their network's and their own hash; for several threads."""

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


def prepare(network: StyleNetwork, runtime: Runtime) -> StyleNetwork:
    """Put a network's convolutions into the runtime's type and channels last; the rest stays fp32, on its device."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(runtime.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def to_tensor(images: Sequence[Image.Image], runtime: Runtime) -> Tensor:
    """RGB images of one size → (B, 3, H, W) in [0, 1], fp32, channels last."""
    pixels = np.stack([np.asarray(image) for image in images])  # (B, H, W, 3)
    return torch.from_numpy(pixels).to(runtime.device).permute(0, 3, 1, 2).float() / 255


def to_mask(image: Image.Image, runtime: Runtime) -> Tensor:
    """Mode L → (1, 1, H, W) in [0, 1], fp32."""
    return torch.from_numpy(np.array(image))[None, None].to(runtime.device).float() / 255


def to_images(images: Tensor) -> list[Image.Image]:
    """(B, 3, H, W) near [0, 1] → RGB images."""
    pixels = images.float().mul(255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)  # (B, H, W, 3)
    return [Image.fromarray(image) for image in pixels.contiguous().cpu().numpy()]
