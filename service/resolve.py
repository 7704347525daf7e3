"""``resolve``: from a request to the payload of a job. Everything is checked here, before anything is enqueued.

The request's own bounds have been checked by its model; these checks are against settings, networks, styles and files.
"""

from collections.abc import Collection, Container, Mapping, Sequence
from math import isfinite
from secrets import randbelow
from types import MappingProxyType

from model_store.catalog import Catalog, ModelEntry
from service.errors import InvalidField
from service.formats import choose_format
from service.images import MIN_SHORTER_PX, Header, ImageLimits, check_style_size, fitted, naming, read_header
from service.model_choice import find_model
from service.request import MAX_SEED, MIN_SIZE_PX, STYLE_SIZE_PX, StylePart, StylizeParameters, StylizeRequest
from service.settings import HttpSettings

Request = StylizeRequest[bytes]

CONTROLS = ("weights", "alpha", "seed", "mask", "color")
"""Fields that a network may not support: its ``controls`` name those that it does."""

NOTHING_REGISTERED: Mapping[str, str] = MappingProxyType({})


def resolve(
    request: Request,
    catalog: Catalog,
    settings: HttpSettings,
    registered: Mapping[str, str] = NOTHING_REGISTERED,
    *,
    request_id: str,
    accept: str | None = None,
) -> StylizeParameters:
    """Check a request, and settle what it leaves open: network, size, mix, format, seed.

    Args:
        request: The request.
        catalog: The networks and their styles.
        settings: Limits, and the default network.
        registered: Digests of those of the request's styles that are registered, by id.
        request_id: For the log of the worker.
        accept: The header ``Accept``, if there is one.

    Raises:
        InvalidField, UnsupportedImage, NotFound, NotAcceptable, ModelUnavailable: It is refused, or cannot be done.
    """
    limits = ImageLimits(settings.max_body_bytes, settings.max_image_pixels)
    photo = read_header(request.content, "content", limits)
    uploads = _headers(request.style, "style", limits)
    model = find_model(request, catalog, registered, settings.default_model)
    _check_controls(request, model)
    width, height = _result_size(request.size, photo, settings)
    with_painting = _ids_with_painting(request, catalog, registered, model)
    upload_pixels = _upload_pixels(request, uploads, with_painting, settings)
    _check_options(request, with_painting, max(width, height), settings)
    pixels = max(file.decoded_pixels for file in (photo, *uploads, *_check_masks(request, limits)))
    styles = _style_parts(request, registered, with_painting)
    style_size = request.style_size or STYLE_SIZE_PX
    is_encoded = any(part.digest is not None or part.from_painting for part in styles)  # at most at this size squared
    largest = max(width * height, *upload_pixels, style_size**2 * is_encoded)
    found = {"request_id": request_id, "model": model.id, "width": width, "height": height, "styles": styles}
    found |= {"format": choose_format(accept, request.format, photo.has_alpha), "seed": _seed(request, model)}
    found |= {"style_size": style_size, "tiled": largest > settings.tile_above_pixels, "decoded_pixels": pixels}
    return StylizeParameters.model_validate({**dict(request), **found})


def check_steps(method: str, steps: int | None) -> None:
    """Refuse ``steps`` for a method that takes none.

    Raises:
        InvalidField: There are some.
    """
    if steps is not None and method != "gatys":
        raise InvalidField(
            f"got {steps}, but the method {method} takes no steps: leave it out, or send method=gatys", "steps"
        )


def read_weights(text: str, count: int, order: str) -> list[float]:
    """Parse the numbers as they were given; ``order`` says, in an error, which belongs to which style.

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


def _headers(files: Sequence[bytes], field: str, limits: ImageLimits) -> list[Header]:
    headers = []
    for index, data in enumerate(files):
        with naming(field, index, len(files)):
            headers.append(read_header(data, field, limits))
    return headers


def _check_controls(request: Request, model: ModelEntry) -> None:
    """Refuse a field that the network does not support: it must not be ignored."""
    if request.style_count > 1 and "weights" not in model.controls:
        raise InvalidField(
            f"got {request.style_count} styles, but the network {model.id!r} mixes none: send one", "style_id"
        )
    for name in CONTROLS:
        is_given = getattr(request, name) != type(request).model_fields[name].default
        if is_given and name not in model.controls:
            raise InvalidField(
                f"the network {model.id!r} takes no {name}: leave it out, or take a style whose controls name it", name
            )


def _result_size(text: str, photo: Header, settings: HttpSettings) -> tuple[int, int]:
    """Width and height of the result in pixels."""
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


def _ids_with_painting(
    request: Request, catalog: Catalog, registered: Container[str], model: ModelEntry
) -> frozenset[str]:
    """Ids in the request whose painting the network can encode: it is registered, or beside the checkpoints."""
    if not model.any_style:
        return frozenset()
    here = {style.id for style in catalog.styles if style.style_image is not None}
    return frozenset(style_id for style_id in request.style_id if style_id in registered or style_id in here)


def _upload_pixels(
    request: Request, uploads: Sequence[Header], with_painting: Collection[str], settings: HttpSettings
) -> list[int]:
    """Pixels at which uploaded style images are encoded; checks ``style_size``."""
    size_px = STYLE_SIZE_PX if request.style_size is None else request.style_size
    if request.style_size is not None:
        if not uploads and not with_painting:
            raise InvalidField(
                f"style_size is for paintings that are encoded, and for {request.style_id[0]!r:.80} there is none:"
                " leave it out, or send the painting itself as `style`",
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
            check_style_size(width, height)
    return [width * height for width, height in sizes]


def _check_options(request: Request, with_painting: Container[str], longer_px: int, settings: HttpSettings) -> None:
    """Refuse options that do not go together, or not with these styles."""
    check_steps(request.method, request.steps)
    without = next((style_id for style_id in request.style_id if style_id not in with_painting), None)
    if request.method == "gatys":
        _check_optimisation(request, without, longer_px, settings)
    if request.color == "match" and without is not None:
        raise InvalidField(
            f"match recolours a style's painting before it is encoded, and for {without!r:.80} there is none to encode:"
            " ask for luminance, or send the painting itself as `style`",
            "color",
        )


def _check_optimisation(request: Request, without: str | None, longer_px: int, settings: HttpSettings) -> None:
    """Refuse what ``method=gatys`` cannot do; ``without`` is a style whose painting is not here."""
    if request.steps is not None and not 1 <= request.steps <= settings.max_steps:
        raise InvalidField(f"got {request.steps}: steps must be from 1 to {settings.max_steps}", "steps")
    if without is not None:
        raise InvalidField(
            f"got {without!r:.80}: the painting of this style is not here, and the method gatys needs it: upload the"
            " painting itself as `style`, or register it with POST /styles",
            "style_id",
        )
    if request.mask:
        raise InvalidField("the method gatys takes no masks: leave them out", "mask")
    for field, size_px in (("size", longer_px), ("style_size", request.style_size or 0)):
        if size_px > settings.max_optimised_px:
            raise InvalidField(
                f"the longer side would be {size_px} pixels, the method gatys allows at most"
                f" {settings.max_optimised_px}: ask for a smaller {field}",
                field,
            )


def _check_masks(request: Request, limits: ImageLimits) -> list[Header]:
    if len(request.mask) not in (0, request.style_count):
        raise InvalidField(
            f"got {len(request.mask)} masks for {request.style_count} styles: send one for each, uploads first, then"
            " ids, or none",
            "mask",
        )
    return _headers(request.mask, "mask", limits)


def _style_parts(
    request: Request, registered: Mapping[str, str], with_painting: Container[str]
) -> tuple[StylePart, ...]:
    """The mix: uploads first, then ids, each with its weight and mask."""
    # The numbers that a network stores of a style will not do for these.
    needs_paintings = (
        request.method == "gatys" or request.color == "match" or request.style_size not in (None, STYLE_SIZE_PX)
    )
    sources: list[dict[str, object]] = [{"upload": f"style-{index}"} for index in range(len(request.style))]
    for style_id in request.style_id:
        digest = registered.get(style_id)
        is_encoded = digest is None and needs_paintings and style_id in with_painting
        sources.append({"style_id": style_id, "digest": digest, "from_painting": is_encoded})
    weights = _weights(request.weights, len(sources))
    masks = [f"mask-{index}" if request.mask else None for index in range(len(sources))]
    return tuple(
        StylePart.model_validate({**source, "weight": weight, "mask": mask})
        for source, weight, mask in zip(sources, weights, masks, strict=True)
    )


def _weights(text: str | None, count: int) -> list[float]:
    """Weights of sum 1."""
    if text is None:
        return [1 / count] * count
    weights = read_weights(text, count, "uploads first")
    total = sum(weights)
    if not isfinite(total):
        raise InvalidField(f"got {text!r:.80}: weights must be finite, and so must be their sum", "weights")
    if min(weights) < 0 or total <= 0:
        raise InvalidField(f"got {text!r:.80}: weights must not be negative, and not all zero", "weights")
    return [weight / total for weight in weights]


def _seed(request: Request, model: ModelEntry) -> int | None:
    """Seed of the noise, for a network that takes some: drawn here if not given, so that the response can say it."""
    if "seed" not in model.controls:
        return None
    return randbelow(MAX_SEED + 1) if request.seed is None else request.seed
