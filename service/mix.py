"""The styles of a request: how they are mixed, and at which size they are encoded."""

from collections.abc import Collection, Container, Mapping, Sequence
from math import isfinite
from types import MappingProxyType
from typing import get_args

from model_store.catalog import Catalog, ModelEntry
from service.errors import InvalidField
from service.http.schemas import STYLE_SIZE_PX, Color, StylePart
from service.images import Header, fitted
from service.queue.styles import RegisteredStyle
from service.request import MIN_SHORTER_PX, MIN_SIZE_PX, StylizeRequest
from service.settings import HttpSettings
from service.which import naming

COLORS: tuple[Color, ...] = get_args(Color)

NOTHING_REGISTERED: Mapping[str, RegisteredStyle] = MappingProxyType({})


def ids_with_painting(
    asked: StylizeRequest, catalog: Catalog, registered: Container[str], model: ModelEntry
) -> frozenset[str]:
    """The ids in a request whose painting the network can encode: it is registered, or beside the checkpoints."""
    if not model.any_style:
        return frozenset()
    here = {style.id for style in catalog.styles if style.style_image is not None}
    return frozenset(style_id for style_id in asked.style_ids if style_id in registered or style_id in here)


def needs_paintings(asked: StylizeRequest) -> bool:
    """Whether the numbers that a network stores of a style will not do."""
    return asked.method == "gatys" or asked.color == "match" or asked.style_size not in (None, STYLE_SIZE_PX)


def check_color(asked: StylizeRequest, with_painting: Container[str]) -> Color:
    """Whose colours.

    Args:
        asked: The request.
        with_painting: See ``ids_with_painting``.

    Raises:
        InvalidField: There is no such way, or it needs the painting of a style that has none.
    """
    color = next((color for color in COLORS if color == asked.color), None)
    if color is None:
        raise InvalidField(f"got {asked.color!r:.80}: allowed are {', '.join(COLORS)}", "color")
    without = next((style_id for style_id in asked.style_ids if style_id not in with_painting), None)
    if color == "match" and without is not None:
        raise InvalidField(
            f"match recolours a style's painting before it is encoded, and for {without!r:.80} there is none to encode:"
            " ask for luminance, or send the painting itself as `style`",
            "color",
        )
    return color


def upload_sizes(
    asked: StylizeRequest, uploads: Sequence[Header], with_painting: Collection[str], settings: HttpSettings
) -> list[tuple[int, int]]:
    """Width and height at which style images are encoded; checks ``style_size``.

    Args:
        asked: The request.
        uploads: Headers of its style images.
        with_painting: See ``ids_with_painting``.
        settings: What is allowed.

    Raises:
        InvalidField: That cannot be, or no style has a painting that could be encoded.
    """
    size_px = STYLE_SIZE_PX if asked.style_size is None else asked.style_size
    if asked.style_size is not None:
        if not uploads and not with_painting:
            raise InvalidField(
                f"style_size is for paintings that are encoded, and for {asked.style_ids[0]!r:.80} there is none: leave"
                " it out, or send the painting itself as `style`",
                "style_size",
            )
        if not MIN_SIZE_PX <= size_px <= settings.max_size_px:
            raise InvalidField(
                f"got {size_px}: the longer side must be from {MIN_SIZE_PX} to {settings.max_size_px} pixels",
                "style_size",
            )
    sizes = [fitted(upload.width, upload.height, size_px) for upload in uploads]
    for index, (width, height) in enumerate(sizes):
        with naming("style", index, len(sizes)):
            check_shorter_side(width, height)
    return sizes


def check_shorter_side(width: int, height: int) -> None:
    """Whether a style has statistics at this size.

    Raises:
        InvalidField: It has too few pixels.
    """
    if min(width, height) < MIN_SHORTER_PX:
        raise InvalidField(
            f"the style would be {width} × {height} pixels, its shorter side must have at least {MIN_SHORTER_PX}:"
            " ask for a larger style_size",
            "style_size",
        )


def style_parts(
    asked: StylizeRequest, registered: Mapping[str, RegisteredStyle], with_painting: Container[str]
) -> tuple[StylePart, ...]:
    """The mix: uploads first, then ids, their weights normalised to sum 1, each with its mask.

    Args:
        asked: The request.
        registered: The registered ones among its styles, by id.
        with_painting: See ``ids_with_painting``.

    Raises:
        InvalidField: The weights are no such numbers.
    """

    def stored(style_id: str) -> StylePart:
        if style_id in registered:
            return StylePart(weight=1, style_id=style_id, digest=registered[style_id].digest)
        is_encoded = needs_paintings(asked) and style_id in with_painting
        return StylePart(weight=1, style_id=style_id, from_painting=is_encoded)

    parts = [StylePart(weight=1, upload=f"style-{index}") for index in range(len(asked.styles))]
    parts += [stored(style_id) for style_id in asked.style_ids]
    weights = _weights(asked.weights, len(parts))
    masks = [f"mask-{index}" if asked.masks else None for index in range(len(parts))]
    return tuple(
        part.model_copy(update={"weight": weight, "mask": mask})
        for part, weight, mask in zip(parts, weights, masks, strict=True)
    )


def _weights(text: str | None, count: int) -> list[float]:
    if text is None:
        return [1 / count] * count
    weights = read_weights(text, count, "uploads first")
    total = sum(weights)
    if not isfinite(total):
        raise InvalidField(f"got {text!r:.80}: weights must be finite, and so must be their sum", "weights")
    if min(weights) < 0 or total <= 0:
        raise InvalidField(f"got {text!r:.80}: weights must not be negative, and not all zero", "weights")
    return [weight / total for weight in weights]


def read_weights(text: str, count: int, order: str) -> list[float]:
    """The numbers as they were given; ``order`` says, in an error, which belongs to which style.

    Raises:
        InvalidField: They are no numbers, or not as many as the styles.
    """
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError as err:
        raise InvalidField(
            f"got {text!r:.80}: weights are numbers separated by commas, such as 3,1", "weights"
        ) from err
    if len(weights) != count:
        raise InvalidField(f"got {len(weights)} weights for {count} styles: give one for each, {order}", "weights")
    return weights
