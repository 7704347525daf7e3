"""``Stylizer``: the facade over the networks. Loads them when needed, remembers encoded styles, stylizes batches.

Everything with torch happens here, on one device. ``warm_up``, ``paint``, ``paint_tiled`` and ``optimise`` are called
from one thread at a time; the rest may be called from others.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from model_store.catalog import Catalog, CatalogError, ModelEntry
from model_store.catalog_watch import CatalogWatch
from model_store.color import keep_chroma
from model_store.gatys import DEFAULT, Gatys, Progress, mix_style_targets, resized
from model_store.large_image import LargeImage
from model_store.pixels import to_images, to_tensor
from model_store.runtime import Runtime, give_back_freed_memory
from model_store.style import Style, stack
from model_store.tiling import TILE_PX, encode_style_tiled, paint_steps, paint_tiled, style_steps
from service.engine.backends import BackendName, usable_backend
from service.engine.model_cache import LoadedModel, ModelCache
from service.engine.style_cache import StyleCache, StyleRows, encoder_of
from service.engine.stylize_input import StyleImage, StylizeInput, TiledProgress
from service.errors import ModelUnavailable

WARM_UP_PX = 512

TIDY_EVERY = 8
"""Tiles after which freed memory is given back: every tile would cost time, rarely would cost memory."""


class Stylizer:
    """The networks of a folder of checkpoints on one device."""

    def __init__(
        self,
        folder: Path,
        runtime: Runtime,
        style_cache_entries: int,
        model_memory_bytes: float = math.inf,
        tile_px: int = TILE_PX,
        backend: BackendName = "auto",
        warm_up_px: int = WARM_UP_PX,
    ) -> None:
        """Read the catalog; nothing is loaded before it is used.

        The folder may change while it is served. ``model_memory_bytes`` is for the networks' weights on the device,
        ``tile_px`` the longest side of a tile, ``warm_up_px`` that of the larger of the images that ``warm_up`` paints.

        Raises:
            CatalogError: No such folder, or no usable checkpoint in it.
        """
        self._folder = folder
        self._watch = CatalogWatch(folder)
        self.runtime = runtime
        self._models = ModelCache(self._watch, runtime, model_memory_bytes, usable_backend(backend, runtime))
        self._cache = StyleCache(style_cache_entries)
        self._rows = StyleRows(self._cache, runtime.device)
        self._tile_px = tile_px
        self._warm_up_px = warm_up_px
        if all(model.problem is not None for model in self.catalog.models):
            raise self._nothing_usable()

    @property
    def catalog(self) -> Catalog:
        """The folder's networks and styles, as of now."""
        return self._watch.now()

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the networks on the device."""
        return self._models.ids

    @property
    def problems(self) -> dict[str, str]:
        """Reasons why checkpoints cannot be used as they are now, by model id."""
        return self._models.problems

    def warm_up(self, model_id: str = "") -> None:
        """Load this network, or else the first that can be loaded, and paint with it at two sizes.

        So the first request does not pay for it; the others are loaded by theirs, and the service is ready soon. Where
        there is no such network, one for any style comes first.

        Raises:
            CatalogError: None can be loaded.
        """
        usable = [model for model in self.catalog.models if model.problem is None]
        for model in sorted(usable, key=lambda model: (model.id != model_id, not model.any_style)):
            try:
                self._warm_up(model)
            except ModelUnavailable:
                continue  # it is logged, and in ``problems``
            self._cache.clear()
            return
        raise self._nothing_usable()

    def _warm_up(self, model: ModelEntry) -> None:
        for side_px in (self._warm_up_px // 2, self._warm_up_px):
            image = Image.new("RGB", (side_px, side_px), (128, 96, 64))
            style = model.styles[0].id if model.styles else StyleImage("warm-up", image)
            self.paint(model.id, [StylizeInput(image, [(1.0, style)], 1.0, seed=0)])

    def style_image(self, style_id: str) -> Path | None:
        """Return the image file of a named style; ``None`` if there is none."""
        try:
            return self._watch.now([style_id]).style(style_id).style_image
        except CatalogError:
            return None

    def remembered(self, model: str, digest: str) -> StyleImage | None:
        """Return a style image that this process encoded before with the network as it is now."""
        entry = next((entry for entry in self.catalog.models if entry.id == model), None)
        if entry is None or (style := self._cache.get((entry.sha256, digest))) is None:
            return None
        return StyleImage(digest, None, style, entry.sha256)

    def paint(self, model: str, inputs: Sequence[StylizeInput]) -> list[Image.Image]:
        """Stylize a batch in one forward pass.

        Args:
            model: A network's id.
            inputs: All of one size; each with its own styles and strength.

        Returns:
            RGB images of the size of the contents, in their order.

        Raises:
            ModelUnavailable: The network, or one of the styles, cannot be used, or not any more.
        """
        loaded = self._load(model, inputs)
        with torch.inference_mode():
            content = to_tensor([one.content for one in inputs], self.runtime.device)  # (B, 3, H, W)
            contents = content.chunk(len(inputs))
            pairs = zip(inputs, contents, strict=True)
            style = stack(self._rows.row_with_masks(loaded, one, own_content) for one, own_content in pairs)
            painted = loaded.network.paint(content, style, loaded.forward)
            for output, own_content, one in zip(painted.chunk(len(inputs)), contents, inputs, strict=True):
                if one.color == "luminance":
                    output.copy_(keep_chroma(own_content, output))
            return to_images(painted)

    @torch.inference_mode()
    def paint_tiled(self, model: str, one: StylizeInput) -> Generator[TiledProgress, None, None]:
        """Stylize one image of any size, tile by tile; nothing is done before the first step.

        Style images that are not remembered come first, in tiles too.

        Yields:
            After every tile. To close the generator is to cancel.

        Raises:
            ModelUnavailable: As for ``paint``.
        """
        loaded, device = self._load(model, [one]), self.runtime.device
        content, canvas = one.as_large_image(device), one.content.copy()
        canvas.info = {}  # without metadata, ``images.encode`` need not copy a large image
        colors = one.content_colors(content)
        unknown = [source for _, source in one.styles if isinstance(source, StyleImage) and source.image is not None]
        images = {source: source.as_large_image(colors, device) for source in unknown}
        steps = sum(style_steps(encoder_of(loaded), image, self._tile_px) for image in images.values())
        steps += paint_steps(loaded.network, content, self._tile_px)
        step = 0
        for source, image in images.items():
            for style in encode_style_tiled(encoder_of(loaded), image, self._tile_px):
                encoded = StyleImage(source.digest, None, style, loaded.entry.sha256)
                yield TiledProgress(step := step + 1, steps, canvas)
            self._rows.remember(encoded, colors)
            one = one.with_style(source, encoded)
        style = self._rows.row(loaded, one, colors)
        for _ in self._paint_tiles(loaded, one, content, style, canvas):
            yield TiledProgress(step := step + 1, steps, canvas)
            if step % TIDY_EVERY == 0:
                give_back_freed_memory()

    def _paint_tiles(
        self, loaded: LoadedModel, one: StylizeInput, content: LargeImage, style: Style, canvas: Image.Image
    ) -> Iterator[None]:
        """Paste every tile into the canvas; tiles that only take statistics give nothing to paste."""
        for tile in paint_tiled(loaded.network, content, style, self._tile_px):
            if tile.box is not None and tile.output is not None:
                keeps_chroma = one.color == "luminance"
                painted = keep_chroma(content.pixels(tile.box), tile.output) if keeps_chroma else tile.output
                canvas.paste(to_images(painted)[0], (tile.box.left, tile.box.top))
            yield

    def optimise(
        self, model: str, one: StylizeInput, steps: int | None = None, begin: tuple[int, Image.Image] | None = None
    ) -> Iterator[Progress]:
        """Stylize one image by optimisation, seen with a network's encoder; nothing is done before the first step.

        Args:
            model: The id of a network with an encoder.
            one: Its styles are style images with their pixels; ``alpha`` mixes the content's own targets in.
            steps: Number of steps; the method's default when not given.
            begin: Steps that were taken elsewhere, and the image of the content's size that they led to.

        Yields:
            After every step. To drop the iterator is to cancel.

        Raises:
            ModelUnavailable: The network cannot be used, or has no encoder.
        """
        loaded = self._models.get(model)
        if not loaded.entry.any_style:
            raise ModelUnavailable(f"the network {model!r} has no encoder to optimise with")
        gatys = Gatys(encoder_of(loaded).encoder, replace(DEFAULT, steps=steps or DEFAULT.steps))
        content = to_tensor([one.content], self.runtime.device)  # (1, 3, H, W)
        colors = one.content_colors(content)
        targets, weights = [gatys.encode_style(content)], [1 - one.alpha]
        for weight, source in one.styles:
            assert isinstance(source, StyleImage)
            targets.append(gatys.encode_style(source.pixels(colors, self.runtime.device)))
            weights.append(weight * one.alpha)
        done, iterate = (begin[0], to_tensor([begin[1]], self.runtime.device)) if begin is not None else (0, None)
        for progress in gatys.run(content, mix_style_targets(targets, weights), done, iterate):
            yield _with_chroma(progress, content) if one.color == "luminance" else progress

    def _load(self, model: str, inputs: Sequence[StylizeInput]) -> LoadedModel:
        """Return the network, after a look at what the API may know of and this process has not seen yet."""
        stored = [source for one in inputs for _, source in one.styles if isinstance(source, str)]
        self._watch.now(stored, [model])
        return self._models.get(model)

    def _nothing_usable(self) -> CatalogError:
        problems = "; ".join(self.problems.values())
        return CatalogError(f"{self._folder}: no usable checkpoint" + (f" ({problems})" if problems else ""))


def _with_chroma(progress: Progress, content: Tensor) -> Progress:
    """Give the iterate the content's chroma."""
    size = (progress.iterate.shape[2], progress.iterate.shape[3])
    return replace(progress, iterate=keep_chroma(resized(content, size), progress.iterate))
