"""``Stylizer``: the facade over the networks. Loads them when needed, remembers encoded styles, paints batches.

Everything with torch happens here, on one device. ``warm_up`` and ``paint`` are called from one thread at a time; the
rest may be called from others.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
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
from model_store.regions import mask_shares, regions_of
from model_store.runtime import Runtime, give_back_freed_memory
from model_store.style import Style, mix, side_by_side, stack
from model_store.tiling import TILE_PX, Box, Picture, encode_style_tiled, paint_tiled, tile_steps
from service.errors import ModelUnavailable
from service.work.networks import Networks, Resident
from service.work.painting import Painting, TiledProgress, Upload
from service.work.style_cache import StyleCache

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
    ) -> None:
        """Look at the folder; nothing is loaded before it is used.

        Args:
            folder: Of checkpoints; it may change while they are served.
            runtime: Where and in which type the networks run.
            style_cache_entries: How many encoded uploads are remembered.
            model_memory_bytes: What the networks' weights may take of the device, see ``Networks``.
            tile_px: Side of a tile of ``paint_tiled``, at most.

        Raises:
            CatalogError: No such folder, or no usable checkpoint in it.
        """
        self._folder = folder
        self._watch = CatalogWatch(folder)
        self.runtime = runtime
        self._networks = Networks(self._watch, runtime, prepare, model_memory_bytes)
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
            return self._watch.now([style_id]).style(style_id).painting
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
            content = to_tensor([painting.content for painting in paintings], self.runtime)
            photos = content.chunk(len(paintings))
            pairs = zip(paintings, photos, strict=True)
            style = stack(self._placed(resident, painting, photo) for painting, photo in pairs)
            painted = resident.network(content, style)
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
        colors = color_statistics(map(content.photo, content.bands())) if painting.color == "match" else None
        uploads = {
            source: self._style_picture(source.image, colors)
            for _, source in painting.styles
            if isinstance(source, Upload) and source.image is not None
        }
        steps = sum(tile_steps(resident.network, picture, self._tile_px, is_style=True) for picture in uploads.values())
        steps += tile_steps(resident.network, content, self._tile_px)
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
            if tile.box is not None and tile.painted is not None:
                is_kept = painting.color == "luminance"
                painted = keep_chroma(content.photo(tile.box), tile.painted) if is_kept else tile.painted
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
        masks = torch.cat([to_mask(mask, self.runtime) for mask in painting.masks], dim=1)  # (1, K, H, W)
        weights = torch.tensor([[weight for weight, _ in painting.styles]], device=masks.device)
        return replace(style, regions=regions_of(masks, weights))

    def _style(self, resident: Resident, painting: Painting, colors: ColorStatistics | None) -> Style:
        """One row: the mix, or, for masks, the styles side by side. Uploads are recoloured to ``colors``, if given."""
        sources = [self._source(resident, source, colors) for _, source in painting.styles]
        style = side_by_side(sources) if painting.masks else mix(sources, [weight for weight, _ in painting.styles])
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

    def _encoder(self, resident: Resident) -> AdaIN:
        if not isinstance(resident.network, AdaIN):
            raise _was_replaced(resident.entry)
        return resident.network

    def _remember(self, resident: Resident, upload: Upload, style: Style, colors: ColorStatistics | None) -> None:
        """Keep an encoded upload for others; one that was recoloured suits its photo alone."""
        if colors is None:
            self._cache.put((resident.entry.sha256, upload.digest), style)

    def _content(self, painting: Painting) -> Picture:
        """A painting's photo and masks, to be read in parts."""
        image, masks = painting.content, painting.masks
        weights = torch.tensor([[weight for weight, _ in painting.styles]], device=self.runtime.device)

        def shares(box: Box) -> Tensor:
            parts = torch.cat([to_mask(mask.crop(box.corners), self.runtime) for mask in masks], dim=1)
            return mask_shares(parts, weights)

        def photo(box: Box) -> Tensor:
            return to_tensor([image.crop(box.corners)], self.runtime)

        return Picture(image.height, image.width, photo, shares if masks else None)

    def _style_picture(self, image: Image.Image, colors: ColorStatistics | None) -> Picture:
        """A style image, to be read in parts, recoloured if so wished."""

        def photo(box: Box) -> Tensor:
            return to_tensor([image.crop(box.corners)], self.runtime)

        picture = Picture(image.height, image.width, photo)
        if colors is None:
            return picture
        match = match_colors(color_statistics(map(photo, picture.bands())), colors)
        return replace(picture, photo=lambda box: match(photo(box)).clamp_(0, 1))

    def _style_pixels(self, image: Image.Image, colors: ColorStatistics | None) -> Tensor:
        """A whole style image, (1, 3, H, W) in [0, 1], recoloured if so wished."""
        return self._style_picture(image, colors).photo(Box(0, 0, image.height, image.width))

    def _nothing_usable(self) -> CatalogError:
        problems = "; ".join(self.problems.values())
        return CatalogError(f"{self._folder}: no usable checkpoint" + (f" ({problems})" if problems else ""))


def _was_replaced(entry: ModelEntry) -> ModelUnavailable:
    return ModelUnavailable(f"the network {entry.id!r} was replaced while this waited: send it again")


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
