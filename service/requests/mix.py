"""The styles of a request: how they are mixed, and at which size they are encoded."""

from collections.abc import Mapping, Sequence
from math import isfinite
from types import MappingProxyType
from typing import get_args

from service.errors import InvalidField
from service.images import Header, fitted
from service.requests.fields import MIN_SHORTER_PX, MIN_SIZE_PX, StylizeRequest
from service.requests.which import naming
from service.schemas import STYLE_SIZE_PX, Color, StylePart
from service.settings import Settings
from service.stores.style_store import RegisteredStyle

COLORS: tuple[Color, ...] = get_args(Color)

NOTHING_REGISTERED: Mapping[str, RegisteredStyle] = MappingProxyType({})


def check_color(asked: StylizeRequest, registered: Mapping[str, RegisteredStyle]) -> Color:
    """Whose colours.

    Raises:
        InvalidField: There is no such way, or it needs the picture of a style of which only numbers are stored.
    """
    color = next((color for color in COLORS if color == asked.color), None)
    if color is None:
        raise InvalidField(f"got {asked.color!r:.80}: allowed are {', '.join(COLORS)}", "color")
    without_picture = next((style_id for style_id in asked.style_ids if style_id not in registered), None)
    if color == "match" and without_picture is not None:
        raise InvalidField(
            f"match recolours the style's picture before it is encoded, and of {without_picture!r:.80} only the encoded"
            " statistics are stored: ask for luminance, or send the picture itself as `style`",
            "color",
        )
    return color


def style_sizes(
    asked: StylizeRequest,
    paintings: Sequence[Header],
    registered: Mapping[str, RegisteredStyle],
    settings: Settings,
) -> list[tuple[int, int]]:
    """Width and height, at most, at which styles are encoded whose pictures are there.

    Raises:
        InvalidField: That cannot be, or no style has a picture that could be encoded.
    """
    size_px = STYLE_SIZE_PX if asked.style_size is None else asked.style_size
    if asked.style_size is not None:
        if not paintings and not registered:
            raise InvalidField(
                f"style_size is the size at which a style's picture is encoded, and of {asked.style_ids[0]!r:.80} only"
                " the encoded statistics are stored: leave it out, or send the picture itself as `style`",
                "style_size",
            )
        if not MIN_SIZE_PX <= size_px <= settings.max_size_px:
            raise InvalidField(
                f"got {size_px}: the longer side must be from {MIN_SIZE_PX} to {settings.max_size_px} pixels",
                "style_size",
            )
    sizes = [fitted(painting.width, painting.height, size_px) for painting in paintings]
    for index, (width, height) in enumerate(sizes):
        with naming("style", index, len(sizes)):
            check_shorter_side(width, height)
    return [*sizes, *([(size_px, size_px)] if registered else [])]


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


def style_parts(asked: StylizeRequest, registered: Mapping[str, RegisteredStyle]) -> tuple[StylePart, ...]:
    """The mix: uploads first, then ids, their weights normalised to sum 1, each with its mask.

    Raises:
        InvalidField: The weights are no such numbers.
    """
    parts = [StylePart(weight=1, upload=f"style-{index}") for index in range(len(asked.styles))]
    parts += [
        StylePart(weight=1, style_id=style_id, digest=_digest(style_id, registered)) for style_id in asked.style_ids
    ]
    weights = _weights(asked.weights, len(parts))
    masks = [f"mask-{index}" if asked.masks else None for index in range(len(parts))]
    return tuple(
        part.model_copy(update={"weight": weight, "mask": mask})
        for part, weight, mask in zip(parts, weights, masks, strict=True)
    )


def _digest(style_id: str, registered: Mapping[str, RegisteredStyle]) -> str | None:
    return registered[style_id].digest if style_id in registered else None


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
