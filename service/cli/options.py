"""The options of ``stylize``: one for each field of the request, made from the model, and read into a request."""

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import annotated_types
import typer
from pydantic.fields import FieldInfo

from service.errors import InvalidField, NotFound
from service.request import MAX_STYLES, StylizeRequest
from service.resolve import read_weights

HELP_HERE = {
    "style": f"An image file or a style's id; up to {MAX_STYLES}.",
    "weights": "Comma-separated, one for each --style, in their order. 3,1 is three quarters and one; equal when not"
    " given.",
    "mask": "Grey image: where a style applies, softly; one for each --style, in their order.",
    "format": "jpeg, png, webp or avif; else as the output's name ends.",
}
"""Fields that mean something else here, where images and ids stand in one list and outputs have names."""


def request_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, in place of its last parameter ``**fields``, an option for each field of the request."""
    *own, _ = inspect.signature(command).parameters.values()
    fields = StylizeRequest[Path].model_fields.items()
    options = [_option(name, field) for name, field in fields if name not in ("content", "style_id")]
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*options, *own)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def read_request(fields: Mapping[str, Any]) -> StylizeRequest[bytes]:
    """Read the files that the options name, and bring all styles into the request's order: images first, then ids.

    Args:
        fields: The options' values; ``style`` has files and ids in any order, what is no file is an id.

    Returns:
        The request that all photos share; its own photo is empty.

    Raises:
        InvalidField: Weights or masks are not as many as the styles, or no numbers.
        OSError: A file cannot be read.
    """
    styles, masks, weights = fields["style"], fields["mask"], fields["weights"]
    numbers = read_weights(weights, len(styles), "in the order of --style") if weights is not None else None
    if len(masks) not in (0, len(styles)):
        raise InvalidField(
            f"got {len(masks)} masks for {len(styles)} styles: give one for each, in the order of --style, or none",
            "mask",
        )
    # Not Path.is_file, which raises an error where a name is too long for a file: an id may be.
    order = sorted(range(len(styles)), key=lambda index: not os.path.isfile(styles[index]))
    count = sum(map(os.path.isfile, styles))
    ordered = {
        "content": b"",
        "style": [Path(styles[index]).read_bytes() for index in order[:count]],
        "style_id": [styles[index] for index in order[count:]],
        "weights": ",".join(str(numbers[index]) for index in order) if numbers is not None else None,
        "mask": [masks[index].read_bytes() for index in order] if masks else [],
    }
    return StylizeRequest[bytes].model_validate({**fields, **ordered})


def unknown_style(style_id: str, reason: object) -> NotFound:
    """Make the error for a style that is neither a file nor an id."""
    return NotFound(f"there is no file {style_id!r:.80}, and as a style's id: {reason}", "style")


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    """A field of the request as a parameter that typer reads."""
    bounds: dict[str, Any] = {}
    for bound in field.metadata:
        if isinstance(bound, annotated_types.Ge):
            bounds["min"] = bound.ge
        elif isinstance(bound, annotated_types.Le):
            bounds["max"] = bound.le
    kind, default = field.annotation, field.get_default(call_default_factory=True)
    if name == "style":
        kind, default = list[str], inspect.Parameter.empty
    elif name == "mask":
        bounds = {"exists": True, "dir_okay": False}
    option = typer.Option(help=HELP_HERE.get(name, field.description), **bounds)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
