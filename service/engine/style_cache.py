"""Encoded style images: ``StyleCache`` remembers them, ``StyleRows`` makes one row of scales and shifts of them."""

import threading
from collections import OrderedDict
from dataclasses import replace

import torch
from torch import Tensor

from model_store.catalog import ModelEntry
from model_store.color import ColorStatistics
from model_store.network import AnyStyle
from model_store.pixels import to_mask
from model_store.spatial_masks import spatial_masks
from model_store.style import Style, mix, side_by_side
from service.engine.model_cache import LoadedModel
from service.engine.stylize_input import StyleImage, StylizeInput
from service.errors import ModelUnavailable


class StyleCache:
    """The styles used last, at most ``entries``, by the hashes of encoder and style image; for several threads.

    They are copied to tables that are made once. Small tensors that stay, each taken between the large blocks of a
    forward pass, would keep those blocks from being used again: half a gigabyte for a hundred styles.
    """

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._tables: dict[tuple[int, ...], Tensor] = {}  # by the widths of a style's tensors: (entries, Σ widths)
        self._places: OrderedDict[tuple[str, str], tuple[tuple[int, ...], int]] = OrderedDict()  # table and row
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> Style | None:
        """Return a copy of the style, which becomes the one used last; ``None`` if it is not there."""
        with self._lock:
            if key not in self._places:
                return None
            self._places.move_to_end(key)
            widths, row = self._places[key]
            parts = torch.split(self._tables[widths][row : row + 1].clone(), list(widths), dim=1)
        return Style(parts[: len(parts) // 2], parts[len(parts) // 2 :])

    def put(self, key: tuple[str, str], style: Style) -> None:
        """Remember a style of one row; forget the one not used for longest."""
        parts = (*style.scales, *style.shifts)
        widths = tuple(part.shape[1] for part in parts)
        with self._lock:
            place = self._places.pop(key, None)
            if place is None and len(self._places) == self._entries:
                _, place = self._places.popitem(last=False)
            row = len(self._places) if place is None else place[1]
            if widths not in self._tables:
                with torch.inference_mode(False):
                    self._tables[widths] = torch.zeros(self._entries, sum(widths), device=style.device)
            torch.cat(parts, dim=1, out=self._tables[widths][row : row + 1])
            self._places[key] = widths, row

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._places.clear()


class StyleRows:
    """Turns the styles of an input into one row: looked up where they are known, else encoded and remembered."""

    def __init__(self, cache: StyleCache, device: torch.device) -> None:
        self._cache = cache
        self._device = device

    def row_with_masks(self, model: LoadedModel, one: StylizeInput, content: Tensor) -> Style:
        """Return the row of an input, its styles each in its mask if it has masks; ``content`` is (1, 3, H, W).

        Raises:
            ModelUnavailable: A style is not there any more.
        """
        style = self.row(model, one, one.content_colors(content))
        if not one.masks:
            return style
        masks = torch.cat([to_mask(mask, self._device) for mask in one.masks], dim=1)  # (1, K, H, W)
        return replace(style, masks=spatial_masks(masks, one.weights(self._device)))

    def row(self, model: LoadedModel, one: StylizeInput, colors: ColorStatistics | None) -> Style:
        """Return the mix of an input's styles, or for masks its styles side by side; strength and seed are set.

        Style images are recoloured to ``colors``, if they are given.

        Raises:
            ModelUnavailable: A style is not there any more.
        """
        sources = [self._source(model, source, colors) for _, source in one.styles]
        style = side_by_side(sources) if one.masks else mix(sources, [weight for weight, _ in one.styles])
        if one.alpha < 1:
            style = style.with_alpha(one.alpha)
        return style if one.seed is None else style.with_seed(one.seed)

    def remember(self, encoded: StyleImage, colors: ColorStatistics | None) -> None:
        """Keep an encoded style image for others; one that was recoloured suits its content image alone."""
        if colors is None and encoded.remembered is not None:
            self._cache.put((encoded.encoder_sha256, encoded.digest), encoded.remembered)

    def _source(self, model: LoadedModel, source: str | StyleImage, colors: ColorStatistics | None) -> Style:
        """Return one style of a mix. What was right when it was asked for may have been replaced since."""
        entry = model.entry
        if isinstance(source, str):
            row = next((row for row, style in enumerate(entry.styles) if style.id == source), None)
            if row is None:
                raise ModelUnavailable(f"the network {entry.id!r} has no style {source!r} now: GET /styles lists them")
            return model.network.stored_style(row)
        if source.encoder_sha256 == entry.sha256 and source.remembered is not None:
            return source.remembered
        # Another job of this batch may have brought it.
        style = self._cache.get((entry.sha256, source.digest)) if colors is None else None
        if style is None:
            network = encoder_of(model)
            if source.image is None:
                raise _was_replaced(entry)
            style = network.encode_style(source.pixels(colors, self._device))
            self.remember(StyleImage(source.digest, None, style, entry.sha256), colors)
        return style


def encoder_of(model: LoadedModel) -> AnyStyle:
    """Return the network as one that encodes style images.

    Raises:
        ModelUnavailable: It takes none: it was replaced since a style image was accepted for it.
    """
    if not isinstance(model.network, AnyStyle):
        raise _was_replaced(model.entry)
    return model.network


def _was_replaced(entry: ModelEntry) -> ModelUnavailable:
    return ModelUnavailable(f"the network {entry.id!r} was replaced while this waited: send it again")
