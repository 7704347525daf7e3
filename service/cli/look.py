"""How the photos of one call are painted: the options of ``stylize``, read and brought into the API's order."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.errors import InvalidField, NotFound
from service.mix import read_weights


@dataclass(frozen=True, kw_only=True)
class Look:
    """As ``POST /stylize`` has it: style images first, then ids; weights and masks in their order."""

    styles: Sequence[bytes]
    style_ids: Sequence[str]
    weights: Sequence[float] | None = None
    masks: Sequence[bytes] = ()
    alpha: float = 1.0
    color: Literal["style", "match", "luminance"] = "style"
    style_size: int | None = None
    size: str = "512"
    seed: int | None = None
    format: str | None = None
    quality: int | None = None
    model: str | None = None
    method: Literal["feedforward", "gatys"] = "feedforward"
    steps: int | None = None


@dataclass(frozen=True)
class Mix:
    """The styles of a call: of each its image or its id, its weight and its mask."""

    styles: Sequence[bytes]
    style_ids: Sequence[str]
    weights: Sequence[float] | None
    masks: Sequence[bytes]


def read_mix(styles: Sequence[str], weights: str | None, masks: Sequence[Path]) -> Mix:
    """Read the files; what is no file is an id.

    Args:
        styles: Image files and ids, in any order.
        weights: Numbers with commas between them, in the order of ``styles``.
        masks: Likewise one for each, or none.

    Raises:
        InvalidField: Weights or masks are not as many as the styles, or no numbers.
        OSError: A file cannot be read.
    """
    numbers = read_weights(weights, len(styles), "in the order of --style") if weights is not None else None
    if len(masks) not in (0, len(styles)):
        raise InvalidField(
            f"got {len(masks)} masks for {len(styles)} styles: give one for each, in the order of --style, or none",
            "mask",
        )
    # Not Path.is_file, which raises an error where a name is too long for a file: an id may be.
    order = sorted(range(len(styles)), key=lambda index: not os.path.isfile(styles[index]))
    count = sum(map(os.path.isfile, styles))
    return Mix(
        styles=[Path(styles[index]).read_bytes() for index in order[:count]],
        style_ids=[styles[index] for index in order[count:]],
        weights=[numbers[index] for index in order] if numbers is not None else None,
        masks=[masks[index].read_bytes() for index in order] if masks else (),
    )


def unknown_style(style_id: str, reason: object) -> NotFound:
    """What was given is no file, and no id."""
    return NotFound(f"there is no file {style_id!r:.80}, and as a style's id: {reason}", "style")
