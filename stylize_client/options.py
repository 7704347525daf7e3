"""Keyword arguments of the client's methods, and the check of their names."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal, TypedDict

from stylize_client.image_sources import ImageSource


class StylizeOptions(TypedDict, total=False):
    """Options of ``stylize``. The service decides about those that are left out or ``None``.

    Attributes:
        styles: Up to four style images.
        style_ids: Up to four ids of the service's styles.
        weights: One for each style, images first, then ids.
        alpha: Strength, from 0 (the content's own look) to 1 (the full style).
        color: Colours of the output: the style's, or the content's by ``match`` or ``luminance``.
        masks: One grey image for each style, images first, then ids.
        style_size: Longer side at which style images are encoded, in pixels.
        size: Longer side of the output, in pixels.
        seed: Seed of the noise.
        format: ``jpeg``, ``png``, ``webp`` or ``avif``.
        quality: Quality of the file, from 1 to 100.
        model: Id of the network.
        idempotency_key: Sent again with the same request, it brings the same response. A client that retries makes one.
    """

    styles: ImageSource | Sequence[ImageSource] | None
    style_ids: str | Sequence[str] | None
    weights: Sequence[float] | None
    alpha: float | None
    color: Literal["style", "match", "luminance"] | None
    masks: ImageSource | Sequence[ImageSource] | None
    style_size: int | None
    size: int | Literal["original"] | None
    seed: int | None
    format: str | None
    quality: int | None
    model: str | None
    idempotency_key: str | None


class JobOptions(StylizeOptions, total=False):
    """Options of ``submit``; ``method="gatys"`` optimises the image in ``steps`` steps."""

    method: Literal["feedforward", "gatys"] | None
    steps: int | None


class StyleFacts(TypedDict, total=False):
    """Description of a style that is registered."""

    artist: str | None
    year: int | None
    rights: str | None
    idempotency_key: str | None


def check_names(method: str, given: Mapping[str, object], allowed: Collection[str]) -> None:
    """Check the names of a method's keyword arguments.

    Raises:
        TypeError: A name is unknown; suggests the right one.
    """
    for name in given:
        if name in allowed:
            continue
        if method == "stylize" and name in JobOptions.__annotations__:
            raise TypeError(f"stylize() has no option {name!r}: call submit(), which has it")
        near = get_close_matches(name, allowed, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"its options are {', '.join(sorted(allowed))}"
        raise TypeError(f"{method}() has no option {name!r}: {hint}")
