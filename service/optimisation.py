"""``method=gatys`` in a request: what can be asked of an optimisation, which takes minutes and needs the paintings."""

from collections.abc import Container
from typing import get_args

from service.errors import InvalidField
from service.http.schemas import Method
from service.request import StylizeRequest
from service.settings import HttpSettings

METHODS: tuple[Method, ...] = get_args(Method)


def check_optimisation(
    asked: StylizeRequest, with_painting: Container[str], longer_px: int, settings: HttpSettings
) -> None:
    """Whether this can be optimised.

    Args:
        asked: The request.
        with_painting: The ids of those of its styles whose painting is here, not numbers alone.
        longer_px: Longer side of the result.
        settings: What is allowed.

    Raises:
        InvalidField: It cannot.
    """
    if asked.steps is not None and not 1 <= asked.steps <= settings.max_steps:
        raise InvalidField(f"got {asked.steps}: steps must be from 1 to {settings.max_steps}", "steps")
    if style_id := next((style_id for style_id in asked.style_ids if style_id not in with_painting), None):
        raise InvalidField(
            f"got {style_id!r:.80}: the painting of this style is not here, and the method gatys needs it: upload the"
            " painting itself as `style`, or register it with POST /styles",
            "style_id",
        )
    if asked.masks:
        raise InvalidField("the method gatys takes no masks: leave them out", "mask")
    for field, size_px in (("size", longer_px), ("style_size", asked.style_size or 0)):
        if size_px > settings.max_optimised_px:
            raise InvalidField(
                f"the longer side would be {size_px} pixels, the method gatys allows at most"
                f" {settings.max_optimised_px}: ask for a smaller {field}",
                field,
            )


def checked_method(name: str, steps: int | None) -> Method:
    """The method of this name.

    Raises:
        InvalidField: There is none, or it takes no steps, but some are given.
    """
    method = next((method for method in METHODS if method == name), None)
    if method is None:
        raise InvalidField(f"got {name!r:.80}: allowed are {', '.join(METHODS)}", "method")
    if steps is not None and method != "gatys":
        raise InvalidField(
            f"got {steps}, but the method {method} takes no steps: leave it out, or send method=gatys", "steps"
        )
    return method
