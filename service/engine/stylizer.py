"""``Stylizer``: the facade over the networks. Loads them when needed, remembers encoded styles, paints batches.

Everything with torch happens here, on one device. ``warm_up`` and ``paint`` are called from one thread at a time; the
rest may be called from others.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from model_store.catalog import Catalog, CatalogError, ModelEntry
from model_store.catalog_watch import CatalogWatch
from model_store.color import ColorStatistics, color_statistics, keep_chroma, match_colors
from model_store.gatys import DEFAULT, Gatys, Progress, mix_style_targets, resized
from model_store.large_image import Box, LargeImage
from model_store.network import AnyStyle
from model_store.pixels import to_images, to_mask, to_tensor
from model_store.runtime import Runtime, give_back_freed_memory
from model_store.spatial_masks import mask_weights, spatial_masks
from model_store.style import Style, mix, side_by_side, stack
from model_store.tiling import TILE_PX, encode_style_tiled, paint_steps, paint_tiled, style_steps
from service.engine.backends import BackendName, usable_backend
from service.engine.model_cache import Networks, Resident
from service.engine.style_cache import StyleCache
from service.engine.stylize_input import Painting, TiledProgress, Upload
from service.errors import ModelUnavailable

WARM_UP_PX = (256, 512)

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
    ) -> None:
        """Look at the folder; nothing is loaded before it is used.

        Args:
            folder: Of checkpoints; it may change while they are served.
            runtime: Where and in which type the networks run.
            style_cache_entries: How many encoded uploads are remembered.
            model_memory_bytes: What the networks' weights may take of the device, see ``Networks``.
            tile_px: Side of a tile of ``paint_tiled``, at most.
            backend: Who carries out the networks' plain path, see ``service.engine.backends``.

        Raises:
            CatalogError: No such folder, or no usable checkpoint in it.
        """
        self._folder = folder
        self._watch = CatalogWatch(folder)
        self.runtime = runtime
        self._networks = Networks(self._watch, runtime, model_memory_bytes, usable_backend(backend, runtime))
        self._cache = StyleCache(style_cache_entries)
        self._tile_px = tile_px
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

    def warm_up(self, model_id: str = "") -> None:
        """Load this network, or else the first that can be loaded, and paint with it at common sizes.

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
        for side_px in WARM_UP_PX:
            image = Image.new("RGB", (side_px, side_px), (128, 96, 64))
            style = model.styles[0].id if model.styles else Upload("warm-up", image)
            self.paint(model.id, [Painting(image, [(1.0, style)], 1.0, seed=0)])

    def painting(self, style_id: str) -> Path | None:
        """Where the painting of a named style lies; ``None`` if there is none."""
        try:
            return self._watch.now([style_id]).style(style_id).style_image
        except CatalogError:
            return None

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
        resident = self._resident(model, paintings)
        with torch.inference_mode():
            content = to_tensor([painting.content for painting in paintings], self.runtime.device)
            photos = content.chunk(len(paintings))
            pairs = zip(paintings, photos, strict=True)
            style = stack(self._placed(resident, painting, photo) for painting, photo in pairs)
            painted = resident.network.paint(content, style, resident.forward)
            for image, photo, painting in zip(painted.chunk(len(paintings)), photos, paintings, strict=True):
                if painting.color == "luminance":
                    image.copy_(keep_chroma(photo, image))
            return to_images(painted)

    @torch.inference_mode()
    def paint_tiled(self, model: str, painting: Painting) -> Generator[TiledProgress, None, None]:
        """Paint one picture of any size, tile by tile; nothing is done before the first step.

        Style images that are not remembered come first, in tiles too.

        Args:
            model: A network's id.
            painting: As for ``paint``.

        Yields:
            After every tile. To close the generator is to cancel.

        Raises:
            ModelUnavailable: As for ``paint``.
        """
        resident = self._resident(model, [painting])
        content, canvas = self._content(painting), painting.content.copy()
        canvas.info = {}  # nobody shall have to copy a large picture to be rid of its metadata
        colors = color_statistics(map(content.pixels, content.bands())) if painting.color == "match" else None
        uploads = {
            source: self._style_picture(source.image, colors)
            for _, source in painting.styles
            if isinstance(source, Upload) and source.image is not None
        }
        steps = sum(style_steps(self._encoder(resident), picture, self._tile_px) for picture in uploads.values())
        steps += paint_steps(resident.network, content, self._tile_px)
        known: dict[str | Upload, str | Upload] = {}
        step = 0
        for upload, picture in uploads.items():
            for style in encode_style_tiled(self._encoder(resident), picture, self._tile_px):
                known[upload] = Upload(upload.digest, None, style, resident.entry.sha256)
                yield TiledProgress(step := step + 1, steps, canvas)
            self._remember(resident, upload, style, colors)
        sources = [(weight, known.get(source, source)) for weight, source in painting.styles]
        style = self._style(resident, replace(painting, styles=sources), colors)
        for tile in paint_tiled(resident.network, content, style, self._tile_px):
            if tile.box is not None and tile.output is not None:
                is_kept = painting.color == "luminance"
                painted = keep_chroma(content.pixels(tile.box), tile.output) if is_kept else tile.output
                canvas.paste(to_images(painted)[0], (tile.box.left, tile.box.top))
            yield TiledProgress(step := step + 1, steps, canvas)
            if step % TIDY_EVERY == 0:
                give_back_freed_memory()

    def optimise(
        self, model: str, painting: Painting, steps: int | None = None, begin: tuple[int, Image.Image] | None = None
    ) -> Iterator[Progress]:
        """Paint one picture by optimisation, seen with a network's encoder; nothing is done before the first step.

        Args:
            model: The id of a network with an encoder.
            painting: Its styles are uploads with their images; ``alpha`` mixes the content's own style targets in.
            steps: How many; the method's default when not given.
            begin: Steps that were taken elsewhere, and the picture of the content's size that they led to.

        Yields:
            After every step. To drop the iterator is to cancel.

        Raises:
            ModelUnavailable: The network cannot be used, or has no encoder.
        """
        network = self._networks.resident(model).network
        if not isinstance(network, AnyStyle):
            raise ModelUnavailable(f"the network {model!r} has no encoder to optimise with")
        gatys = Gatys(network.encoder, replace(DEFAULT, steps=steps or DEFAULT.steps))
        content = to_tensor([painting.content], self.runtime.device)
        colors = color_statistics([content]) if painting.color == "match" else None
        targets, weights = [gatys.encode_style(content)], [1 - painting.alpha]
        for weight, source in painting.styles:
            assert isinstance(source, Upload) and source.image is not None
            targets.append(gatys.encode_style(self._style_pixels(source.image, colors)))
            weights.append(weight * painting.alpha)
        done, picture = (begin[0], to_tensor([begin[1]], self.runtime.device)) if begin is not None else (0, None)
        for progress in gatys.run(content, mix_style_targets(targets, weights), done, picture):
            if painting.color == "luminance":
                photo = resized(content, (progress.iterate.shape[2], progress.iterate.shape[3]))
                progress = replace(progress, iterate=keep_chroma(photo, progress.iterate))
            yield progress

    def _resident(self, model: str, paintings: Sequence[Painting]) -> Resident:
        """The network, after a look at what the API may know of and this process has not seen yet."""
        stored = [source for painting in paintings for _, source in painting.styles if isinstance(source, str)]
        self._watch.now(stored, [model])
        return self._networks.resident(model)

    def _placed(self, resident: Resident, painting: Painting, content: Tensor) -> Style:
        """The mix that a painting asks for, or its styles each in its region: one row."""
        colors = color_statistics([content]) if painting.color == "match" else None
        style = self._style(resident, painting, colors)
        if not painting.masks:
            return style
        masks = torch.cat([to_mask(mask, self.runtime.device) for mask in painting.masks], dim=1)  # (1, K, H, W)
        return replace(style, masks=spatial_masks(masks, style_weights(painting, self.runtime.device)))

    def _style(self, resident: Resident, painting: Painting, colors: ColorStatistics | None) -> Style:
        """One row: the mix, or, for masks, the styles side by side. Uploads are recoloured to ``colors``, if given."""
        sources = [self._source(resident, source, colors) for _, source in painting.styles]
        style = side_by_side(sources) if painting.masks else mix(sources, [weight for weight, _ in painting.styles])
        if painting.alpha < 1:
            style = style.with_alpha(painting.alpha)
        return style if painting.seed is None else style.with_seed(painting.seed)

    def _source(self, resident: Resident, source: str | Upload, colors: ColorStatistics | None) -> Style:
        """One style of a mix. What was right when it was asked for may have been replaced since."""
        entry = resident.entry
        if isinstance(source, str):
            row = next((row for row, style in enumerate(entry.styles) if style.id == source), None)
            if row is None:
                raise ModelUnavailable(f"the network {entry.id!r} has no style {source!r} now: GET /styles lists them")
            return resident.network.stored_style(row)
        if source.encoder_sha256 == entry.sha256 and source.remembered is not None:
            return source.remembered
        # Another job of this batch may have brought it.
        style = self._cache.get((entry.sha256, source.digest)) if colors is None else None
        if style is None:
            network = self._encoder(resident)
            if source.image is None:
                raise _was_replaced(entry)
            style = network.encode_style(self._style_pixels(source.image, colors))
            self._remember(resident, source, style, colors)
        return style

    def _encoder(self, resident: Resident) -> AnyStyle:
        if not isinstance(resident.network, AnyStyle):
            raise _was_replaced(resident.entry)
        return resident.network

    def _remember(self, resident: Resident, upload: Upload, style: Style, colors: ColorStatistics | None) -> None:
        """Keep an encoded upload for others; one that was recoloured suits its photo alone."""
        if colors is None:
            self._cache.put((resident.entry.sha256, upload.digest), style)

    def _content(self, painting: Painting) -> LargeImage:
        """A painting's photo and masks, to be read in parts."""
        image, masks = painting.content, painting.masks
        weights = style_weights(painting, self.runtime.device)

        def mask_part(box: Box) -> Tensor:
            parts = torch.cat([to_mask(mask.crop(box.corners), self.runtime.device) for mask in masks], dim=1)
            return mask_weights(parts, weights)

        return LargeImage(image.height, image.width, self._reader(image), mask_part if masks else None)

    def _style_picture(self, image: Image.Image, colors: ColorStatistics | None) -> LargeImage:
        """A style image, to be read in parts, recoloured if so wished."""
        read = self._reader(image)
        picture = LargeImage(image.height, image.width, read)
        if colors is None:
            return picture
        match = match_colors(color_statistics(map(read, picture.bands())), colors)
        return replace(picture, pixels=lambda box: match(read(box)).clamp_(0, 1))

    def _reader(self, image: Image.Image) -> Callable[[Box], Tensor]:
        """Reads parts of an image onto the device."""
        return lambda box: to_tensor([image.crop(box.corners)], self.runtime.device)

    def _style_pixels(self, image: Image.Image, colors: ColorStatistics | None) -> Tensor:
        """A whole style image, (1, 3, H, W) in [0, 1], recoloured if so wished."""
        return self._style_picture(image, colors).pixels(Box(0, 0, image.height, image.width))

    def _nothing_usable(self) -> CatalogError:
        problems = "; ".join(self.problems.values())
        return CatalogError(f"{self._folder}: no usable checkpoint" + (f" ({problems})" if problems else ""))


def style_weights(painting: Painting, device: torch.device) -> Tensor:
    """Weights of a painting's styles, (1, K), fp32."""
    return torch.tensor([[weight for weight, _ in painting.styles]], dtype=torch.float32).to(device)


def _was_replaced(entry: ModelEntry) -> ModelUnavailable:
    return ModelUnavailable(f"the network {entry.id!r} was replaced while this waited: send it again")
