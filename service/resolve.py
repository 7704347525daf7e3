"""From the fields of a request to the parameters of a job: everything is checked here, before anything is enqueued."""

from collections.abc import Mapping, Sequence
from secrets import randbelow

from model_store.catalog import Catalog, ModelEntry
from service.errors import InvalidField
from service.formats import choose_format
from service.http.schemas import MAX_SEED, STYLE_SIZE_PX, StylizeParameters
from service.images import Header, ImageLimits, fitted, read_header
from service.mix import NOTHING_REGISTERED, check_color, ids_with_painting, style_parts, upload_sizes
from service.model_choice import find_model
from service.optimisation import check_optimisation, checked_method
from service.queue.styles import RegisteredStyle
from service.request import MIN_SHORTER_PX, MIN_SIZE_PX, StylizeRequest
from service.settings import HttpSettings
from service.which import naming


def job_parameters(
    asked: StylizeRequest,
    settings: HttpSettings,
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
        NotFound: There is no such style, or no such network.
        NotAcceptable: The client accepts no format that we write.
        ModelUnavailable: The network is damaged.
    """
    limits = ImageLimits(settings.max_body_bytes, settings.max_image_pixels)
    header = read_header(asked.content, "content", limits)
    uploads = _headers(asked.styles, "style", limits)
    model = find_model(asked, catalog, registered, settings.default_model)
    _check_controls(asked, model)
    width, height = _size(asked.size, header, settings)
    with_painting = ids_with_painting(asked, catalog, registered, model)
    sizes = [(width, height), *upload_sizes(asked, uploads, with_painting, settings)]
    method = checked_method(asked.method, asked.steps)
    if method == "gatys":
        check_optimisation(asked, with_painting, max(width, height), settings)
    if not 0 <= asked.alpha <= 1:
        raise InvalidField(f"got {asked.alpha}: alpha must be from 0 to 1", "alpha")
    if asked.seed is not None and not 0 <= asked.seed <= MAX_SEED:
        raise InvalidField(f"got {asked.seed}: a seed must be from 0 to {MAX_SEED}", "seed")
    color = check_color(asked, with_painting)
    _check_masks(asked, limits)
    styles = style_parts(asked, registered, with_painting)
    style_size_px = asked.style_size or STYLE_SIZE_PX
    if any(part.digest is not None or part.from_painting for part in styles):
        sizes.append((style_size_px, style_size_px))  # at most
    return StylizeParameters(
        request_id=asked.request_id,
        model=model.id,
        width=width,
        height=height,
        styles=styles,
        alpha=asked.alpha,
        format=choose_format(asked.accept, asked.format, header.has_alpha),
        quality=asked.quality,
        seed=_seed(asked, model),
        method=method,
        steps=asked.steps,
        color=color,
        style_size=style_size_px,
        tiled=max(wide * high for wide, high in sizes) > settings.tile_above_pixels,
    )


def _check_controls(asked: StylizeRequest, model: ModelEntry) -> None:
    """A field that the network does not heed must not be ignored either."""
    if asked.count > 1 and "weights" not in model.controls:
        raise InvalidField(f"got {asked.count} styles, but the network {model.id!r} mixes none: send one", "style_id")
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


def _check_masks(asked: StylizeRequest, limits: ImageLimits) -> None:
    if len(asked.masks) not in (0, asked.count):
        raise InvalidField(
            f"got {len(asked.masks)} masks for {asked.count} styles: send one for each, uploads first, then ids, or"
            " none",
            "mask",
        )
    _headers(asked.masks, "mask", limits)


def _headers(files: Sequence[bytes], field: str, limits: ImageLimits) -> list[Header]:
    """Of each of a field's files."""
    headers = []
    for index, data in enumerate(files):
        with naming(field, index, len(files)):
            headers.append(read_header(data, field, limits))
    return headers


def _seed(asked: StylizeRequest, model: ModelEntry) -> int | None:
    """Of the noise, for a network that takes some: drawn here when not given, so that the answer can say it."""
    if "seed" not in model.controls:
        return None
    return randbelow(MAX_SEED + 1) if asked.seed is None else asked.seed


def _size(text: str, photo: Header, settings: HttpSettings) -> tuple[int, int]:
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
