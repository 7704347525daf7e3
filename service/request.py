"""From the fields of a request to the parameters of a job: everything is checked here, before anything is enqueued."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from secrets import randbelow
from types import MappingProxyType
from typing import cast, get_args

from model_store.catalog import Catalog, CatalogError, ModelEntry
from service.errors import InvalidField, ModelUnavailable, NotFound
from service.formats import choose_format
from service.images import Header, ImageLimits, fitted, read_header
from service.optimisation import check_optimisation, checked_method
from service.schemas import MAX_SEED, STYLE_SIZE_PX, Color, StylePart, StylizeParameters
from service.settings import Settings
from service.style_store import RegisteredStyle

FIELDS = (
    *("content", "style", "style_id", "weights", "alpha", "color", "mask", "style_size"),
    *("size", "seed", "format", "quality", "method", "steps"),
)
REPEATED = ("style", "style_id", "mask")
MAX_STYLES = 4
MIN_SIZE_PX = 64
MIN_SHORTER_PX = 16
"""Of a result, and of a style: two places of AdaIN's coarsest grid, whose statistics would not exist for one."""

UPLOAD_MODEL = "adain"
"""The network for uploaded styles, registered ones among them; other ids know theirs."""

NOTHING_REGISTERED: Mapping[str, RegisteredStyle] = MappingProxyType({})


@dataclass(frozen=True)
class StylizeRequest:
    """A request's fields as they came, but for what HTTP and multipart guarantee."""

    request_id: str
    content: bytes
    styles: list[bytes]
    style_ids: list[str]
    weights: str | None
    alpha: float
    size: str
    format: str | None
    quality: int | None
    accept: str | None
    seed: int | None = None
    color: str = "style"
    masks: Sequence[bytes] = ()
    style_size: int | None = None
    method: str = "feedforward"
    steps: int | None = None

    @property
    def blobs(self) -> Mapping[str, bytes]:
        """The files, by the names that ``StylePart`` uses."""
        styles = {f"style-{index}": data for index, data in enumerate(self.styles)}
        masks = {f"mask-{index}": data for index, data in enumerate(self.masks)}
        return {"content": self.content, **styles, **masks}


def check_fields(names: Iterable[str], known: Sequence[str] = FIELDS, repeated: Container[str] = REPEATED) -> None:
    """A misspelt or repeated field must not be ignored: the answer would not be what was asked for.

    Args:
        names: Of the fields that were sent.
        known: Those that there are.
        repeated: Those that may be sent more than once.

    Raises:
        InvalidField: Names the first such field.
    """
    for name, count in Counter(names).items():
        if name not in known:
            raise InvalidField(f"unknown field {name!r:.80}: known are {', '.join(known)}", field=name[:80])
        if count > 1 and name not in repeated:
            raise InvalidField(f"got this field {count} times: send it once", field=name)


def job_parameters(
    asked: StylizeRequest,
    settings: Settings,
    catalog: Catalog,
    registered: Mapping[str, RegisteredStyle] = NOTHING_REGISTERED,
) -> StylizeParameters:
    """What the worker shall do.

    Args:
        asked: The request.
        settings: What is allowed.
        catalog: The styles of the checkpoints.
        registered: Those of the request's other styles that are registered, by id.

    Raises:
        InvalidField: A value is not allowed.
        UnsupportedImage: A file is no image of a format that we read.
        NotFound: There is no such style.
        NotAcceptable: The client accepts no format that we write.
        ModelUnavailable: The network for uploads is damaged.
    """
    limits = ImageLimits(settings.max_body_bytes, settings.max_image_pixels)
    header = read_header(asked.content, "content", limits)
    paintings = [read_header(data, "style", limits) for data in asked.styles]
    model = _model(asked, catalog, registered)
    _check_controls(asked, model)
    width, height = _size(asked.size, header, settings)
    style_sizes = _style_sizes(asked, paintings, registered, settings)
    method = checked_method(asked.method, asked.steps)
    if method == "gatys":
        check_optimisation(asked, registered, max(width, height), settings)
    if not 0 <= asked.alpha <= 1:
        raise InvalidField(f"got {asked.alpha}: alpha must be from 0 to 1", "alpha")
    if asked.seed is not None and not 0 <= asked.seed <= MAX_SEED:
        raise InvalidField(f"got {asked.seed}: a seed must be from 0 to {MAX_SEED}", "seed")
    _check_color(asked)
    _check_masks(asked, limits)
    return StylizeParameters(
        request_id=asked.request_id,
        model=model.id,
        width=width,
        height=height,
        styles=_parts(asked, registered),
        alpha=asked.alpha,
        format=choose_format(asked.accept, asked.format, header.has_alpha),
        quality=asked.quality,
        seed=_seed(asked, model),
        method=method,
        steps=asked.steps,
        color=cast(Color, asked.color),
        style_size=asked.style_size or STYLE_SIZE_PX,
        tiled=max(wide * high for wide, high in [(width, height), *style_sizes]) > settings.tile_above_pixels,
    )


def _model(asked: StylizeRequest, catalog: Catalog, registered: Mapping[str, RegisteredStyle]) -> ModelEntry:
    """The one network that can paint all the styles."""
    count = len(asked.styles) + len(asked.style_ids)
    if count == 0:
        raise InvalidField(
            "no style given: send a style image as `style`, or an id from GET /styles as `style_id`", "style"
        )
    if count > MAX_STYLES:
        raise InvalidField(f"got {count} styles, at most {MAX_STYLES} are allowed: send fewer", "style")
    models = {UPLOAD_MODEL} if asked.styles else set()
    for style_id in asked.style_ids:
        if style_id in registered:
            models.add(registered[style_id].model)
            continue
        try:
            models.add(catalog.style(style_id).model)
        except CatalogError as err:
            raise NotFound(f"there is no style {style_id!r:.80}: GET /styles lists them", "style_id") from err
    if len(models) > 1:
        raise InvalidField(
            f"the styles belong to different networks ({', '.join(sorted(models))}): mix within one", "style_id"
        )
    if asked.styles or not registered.keys().isdisjoint(asked.style_ids):
        return upload_model(catalog)
    return catalog.model(models.pop())


def upload_model(catalog: Catalog) -> ModelEntry:
    """The network for uploads.

    Raises:
        ModelUnavailable: It is damaged.
        InvalidField: There is none.
    """
    found = next((model for model in catalog.models if model.id == UPLOAD_MODEL), None)
    if found is not None and found.problem is not None:
        raise ModelUnavailable(f"the network for uploaded styles cannot be used: {found.problem}", "style")
    if found is None or "style" not in found.controls:
        raise InvalidField("there is no network for uploaded styles here: send an id from GET /styles", "style")
    return found


def _check_controls(asked: StylizeRequest, model: ModelEntry) -> None:
    """A field that the network does not heed must not be ignored either."""
    count = len(asked.styles) + len(asked.style_ids)
    if count > 1 and "weights" not in model.controls:
        raise InvalidField(f"got {count} styles, but the network {model.id!r} mixes none: send one", "style_id")
    given = {
        "weights": asked.weights is not None,
        "alpha": asked.alpha != 1,
        "seed": asked.seed is not None,
        "mask": bool(asked.masks),
        "color": asked.color != "style",
    }
    for name, is_given in given.items():
        if is_given and name not in model.controls:
            raise InvalidField(
                f"the network {model.id!r} takes no {name}: leave it out, or take a style whose controls name it", name
            )


def _check_color(asked: StylizeRequest) -> None:
    if asked.color not in get_args(Color):
        raise InvalidField(f"got {asked.color!r:.80}: allowed are {', '.join(get_args(Color))}", "color")
    if asked.color == "match" and asked.style_ids:
        raise InvalidField(
            f"match recolours the style's picture before it is encoded, and of {asked.style_ids[0]!r:.80} only the"
            " encoded statistics are stored: ask for luminance, or upload the picture itself as `style`",
            "color",
        )


def _check_masks(asked: StylizeRequest, limits: ImageLimits) -> None:
    count = len(asked.styles) + len(asked.style_ids)
    if len(asked.masks) not in (0, count):
        raise InvalidField(
            f"got {len(asked.masks)} masks for {count} styles: send one for each, uploads first, then ids, or none",
            "mask",
        )
    for data in asked.masks:
        read_header(data, "mask", limits)


def _style_sizes(asked: StylizeRequest, paintings: Sequence[Header], settings: Settings) -> list[tuple[int, int]]:
    """Width and height at which the uploaded styles are encoded."""
    if asked.style_size is not None:
        if not paintings:
            raise InvalidField(
                "style_size is the size at which an uploaded style is encoded, and of a style with an id only the"
                " encoded statistics are stored: leave it out, or upload the picture itself as `style`",
                "style_size",
            )
        if not MIN_SIZE_PX <= asked.style_size <= settings.max_size_px:
            raise InvalidField(
                f"got {asked.style_size}: the longer side must be from {MIN_SIZE_PX} to {settings.max_size_px} pixels",
                "style_size",
            )
    sizes = [fitted(painting.width, painting.height, asked.style_size or STYLE_SIZE_PX) for painting in paintings]
    for width, height in sizes:
        if min(width, height) < MIN_SHORTER_PX:
            raise InvalidField(
                f"the style would be {width} × {height} pixels, its shorter side must have at least {MIN_SHORTER_PX}:"
                " ask for a larger style_size",
                "style_size",
            )
    return sizes


def _seed(asked: StylizeRequest, model: ModelEntry) -> int | None:
    """Of the noise, for a network that takes some: drawn here when not given, so that the answer can say it."""
    if "seed" not in model.controls:
        return None
    return randbelow(MAX_SEED + 1) if asked.seed is None else asked.seed


def _parts(asked: StylizeRequest, registered: Mapping[str, RegisteredStyle]) -> tuple[StylePart, ...]:
    """The mix: uploads first, then ids, their weights normalised to sum 1, each with its mask."""
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
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError as err:
        raise InvalidField(
            f"got {text!r:.80}: weights are numbers separated by commas, such as 3,1", "weights"
        ) from err
    if len(weights) != count:
        raise InvalidField(
            f"got {len(weights)} weights for {count} styles: give one for each, uploads first", "weights"
        )
    total = sum(weights)
    if min(weights) < 0 or not isfinite(total) or total <= 0:
        raise InvalidField(f"got {text!r:.80}: weights must not be negative, and not all zero", "weights")
    return [weight / total for weight in weights]


def _size(text: str, photo: Header, settings: Settings) -> tuple[int, int]:
    """Width and height of the result."""
    width, height = photo.width, photo.height
    if text == "original":
        if max(width, height) > settings.max_original_px:
            raise InvalidField(
                f"the original is {width} × {height} pixels, at most {settings.max_original_px} are allowed:"
                " name a size",
                "size",
            )
    elif len(text) <= 9 and text.isascii() and text.isdecimal() and MIN_SIZE_PX <= int(text) <= settings.max_size_px:
        width, height = fitted(width, height, int(text))
    else:
        raise InvalidField(
            f"got {text!r:.80}: the longer side must be from {MIN_SIZE_PX} to {settings.max_size_px} pixels,"
            " or `original`",
            "size",
        )
    if min(width, height) < MIN_SHORTER_PX:
        raise InvalidField(
            f"the result would be {width} × {height} pixels, its shorter side must have at least {MIN_SHORTER_PX}:"
            " ask for a larger size",
            "size",
        )
    return width, height
