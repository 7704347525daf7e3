"""Choice of the network that paints a request: the one that it names, or one that knows all its styles.

A named style is known by one network or by several. Images, uploaded or kept of registered styles, are for every
network with ``any_style``; of these the setting ``default_model`` is preferred. An optimisation looks at images alone,
with the encoder of such a network.
"""

import logging
from collections.abc import Container, Iterable

from model_store.catalog import Catalog, CatalogError, ModelEntry
from service.errors import InvalidField, ModelUnavailable, NotFound
from service.request import MAX_STYLES, StylizeRequest

log = logging.getLogger(__name__)


def find_model(
    request: StylizeRequest[bytes], catalog: Catalog, registered: Container[str], default: str
) -> ModelEntry:
    """Find the network that paints all the styles; of their ids, ``registered`` are those of registered styles.

    Raises:
        InvalidField: There is none, or it is not the one that was asked for.
        NotFound: There is no such style, or no such network.
        ModelUnavailable: The network is damaged.
    """
    _check_count(request)
    named = [_models_of(style_id, catalog) for style_id in request.style_id if style_id not in registered]
    if request.method == "gatys":
        _check_encoder(catalog, default)
        named = []  # it looks at their paintings
    if request.model is None and not named:
        return upload_model(catalog, default)
    takes_images = bool(request.style or len(named) < len(request.style_id) or not named)
    sets = [*named, {model.id for model in catalog.any_style}] if takes_images else named
    able = set.intersection(*sets)
    if request.model is not None:
        return _checked(request.model, able, catalog)
    if not able and takes_images:
        upload_model(catalog, default)  # which says what is wrong with it, if that is why
    if not able:
        names = ", ".join(sorted(set().union(*sets)))
        raise InvalidField(f"the styles belong to different networks ({names}): mix within one", "style_id")
    return catalog.model(preferred(able, catalog, default))


def preferred(model_ids: Iterable[str], catalog: Catalog, default: str) -> str:
    """Choose among networks if none is asked for: the default, else one for any style, else the first by name."""
    any_style = {model.id for model in catalog.any_style}
    return min(model_ids, key=lambda model_id: (model_id != default, model_id not in any_style, model_id))


def default_model(catalog: Catalog, name: str) -> ModelEntry | None:
    """Find the network for style images if none is asked for: the one of this name, else the first for any style.

    It may be damaged: another one would paint other pictures, so it does not take its place.
    """
    found = next((model for model in catalog.models if model.id == name), None)
    if found is not None and (found.any_style or found.problem is not None):
        return found
    return next(iter(catalog.any_style), None)


def upload_model(catalog: Catalog, default: str) -> ModelEntry:
    """Find the network for style images if none is asked for, and refuse a damaged one.

    Raises:
        ModelUnavailable: It is damaged.
        InvalidField: There is none.
    """
    found = default_model(catalog, default)
    if found is None:
        raise InvalidField("there is no network for uploaded styles here: send an id from GET /styles", "style")
    if found.problem is not None:
        raise ModelUnavailable(f"the network for uploaded styles cannot be used: {found.problem}", "style")
    return found


def warn_of_default(catalog: Catalog, default: str) -> None:
    """Log that the setting ``default_model`` names no network for any style: the folder may be filled later."""
    found = default_model(catalog, default)
    if found is None:
        log.warning("STYLIZE_DEFAULT_MODEL=%s: no network here takes style images, uploads are refused", default)
    elif found.id != default:
        log.warning("STYLIZE_DEFAULT_MODEL=%s: no network that takes style images, %s does", default, found.id)


def _check_count(request: StylizeRequest[bytes]) -> None:
    if request.style_count == 0:
        raise InvalidField(
            "no style given: send a style image as `style`, or an id from GET /styles as `style_id`", "style"
        )
    if request.style_count > MAX_STYLES:
        raise InvalidField(f"got {request.style_count} styles, at most {MAX_STYLES} are allowed: send fewer", "style")


def _check_encoder(catalog: Catalog, default: str) -> None:
    if default_model(catalog, default) is None:
        raise InvalidField(
            "the method gatys needs a network that takes style images, and there is none here: leave it out", "method"
        )


def _models_of(style_id: str, catalog: Catalog) -> set[str]:
    try:
        return set(catalog.style(style_id).models)
    except CatalogError as err:
        raise NotFound(f"there is no style {style_id!r:.80}: GET /styles lists them", "style_id") from err


def _checked(name: str, able: set[str], catalog: Catalog) -> ModelEntry:
    """Find the network that was asked for, which must be among those that are able to paint."""
    model = known_model(name, catalog)
    if model.problem is not None:
        raise ModelUnavailable(f"the network {name!r} cannot be used: {model.problem}", "model")
    if name not in able:
        hint = f"{', '.join(sorted(able))} can; leave `model` out" if able else "no network can; mix within one"
        raise InvalidField(f"got {name!r}, which cannot paint these styles: {hint}", "model")
    return model


def known_model(name: str, catalog: Catalog) -> ModelEntry:
    """Find the network of this id, damaged or not.

    Raises:
        NotFound: There is none; lists those that there are.
    """
    found = next((model for model in catalog.models if model.id == name), None)
    if found is None:
        known = ", ".join(model.id for model in catalog.models)
        listed = f"known are {known}" if known else "there are none"
        raise NotFound(f"there is no network {name!r:.80}: {listed}", "model")
    return found
