"""From the fields of a request to the parameters of a job: everything is checked here, before anything is enqueued."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from secrets import randbelow
from types import MappingProxyType

from model_store.catalog import Catalog, CatalogError, ModelEntry
from service.errors import InvalidField, ModelUnavailable, NotFound
from service.formats import choose_format
from service.images import ImageLimits, fitted, read_header
from service.optimisation import check_optimisation, checked_method
from service.schemas import MAX_SEED, StylePart, StylizeParameters
from service.settings import Settings
from service.style_store import RegisteredStyle

FIELDS = ("content", "style", "style_id", "weights", "alpha", "size", "seed", "format", "quality", "method", "steps")
REPEATED = ("style", "style_id")
MAX_STYLES = 4
MIN_SIZE_PX = 64
MIN_SHORTER_PX = 16
"""Of a result: two places of AdaIN's coarsest grid, whose statistics would not exist for one."""

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
    method: str = "feedforward"
    steps: int | None = None

    @property
    def blobs(self) -> Mapping[str, bytes]:
        """The files, by the names that ``StylePart.upload`` uses."""
        return {"content": self.content, **{f"style-{index}": data for index, data in enumerate(self.styles)}}


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
    for data in asked.styles:
        read_header(data, "style", limits)
    model = _model(asked, catalog, registered)
    _check_controls(asked, model)
    method = checked_method(asked.method, asked.steps)
    width, height = _size(asked.size, header.width, header.height, settings.max_size_px)
    if method == "gatys":
        check_optimisation(asked.steps, asked.style_ids, registered, max(width, height), settings)
    if not 0 <= asked.alpha <= 1:
        raise InvalidField(f"got {asked.alpha}: alpha must be from 0 to 1", "alpha")
    if asked.seed is not None and not 0 <= asked.seed <= MAX_SEED:
        raise InvalidField(f"got {asked.seed}: a seed must be from 0 to {MAX_SEED}", "seed")
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
    given = {"weights": asked.weights is not None, "alpha": asked.alpha != 1, "seed": asked.seed is not None}
    for name, is_given in given.items():
        if is_given and name not in model.controls:
            raise InvalidField(
                f"the network {model.id!r} takes no {name}: leave it out, or take a style whose controls name it", name
            )


def _seed(asked: StylizeRequest, model: ModelEntry) -> int | None:
    """Of the noise, for a network that takes some: drawn here when not given, so that the answer can say it."""
    if "seed" not in model.controls:
        return None
    return randbelow(MAX_SEED + 1) if asked.seed is None else asked.seed


def _parts(asked: StylizeRequest, registered: Mapping[str, RegisteredStyle]) -> tuple[StylePart, ...]:
    """The mix: uploads first, then ids, their weights normalised to sum 1."""
    count = len(asked.styles) + len(asked.style_ids)
    weights = _weights(asked.weights, count)
    uploads = [
        StylePart(weight=weight, upload=f"style-{index}") for index, weight in enumerate(weights[: len(asked.styles)])
    ]
    stored = [
        StylePart(weight=weight, style_id=style_id, digest=_digest(style_id, registered))
        for weight, style_id in zip(weights[len(asked.styles) :], asked.style_ids, strict=True)
    ]
    return (*uploads, *stored)


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


def _size(text: str, width: int, height: int, max_size_px: int) -> tuple[int, int]:
    """Width and height of the result."""
    if text == "original":
        if max(width, height) > max_size_px:
            raise InvalidField(
                f"the original is {width} × {height} pixels, at most {max_size_px} are allowed: name a size", "size"
            )
    elif len(text) <= 9 and text.isascii() and text.isdecimal() and MIN_SIZE_PX <= int(text) <= max_size_px:
        width, height = fitted(width, height, int(text))
    else:
        raise InvalidField(
            f"got {text!r:.80}: the longer side must be from {MIN_SIZE_PX} to {max_size_px} pixels, or `original`",
            "size",
        )
    if min(width, height) < MIN_SHORTER_PX:
        raise InvalidField(
            f"the result would be {width} × {height} pixels, its shorter side must have at least {MIN_SHORTER_PX}:"
            " ask for a larger size",
            "size",
        )
    return width, height
