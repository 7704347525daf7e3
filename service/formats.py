"""Image formats that are read and written, and the choice of the output's (RFC 9110, section 12.5)."""

from dataclasses import dataclass
from typing import Any

from service.errors import InvalidField, NotAcceptable


@dataclass(frozen=True)
class Format:
    """A format, and how it is written.

    Attributes:
        mime: Media type.
        pillow: Pillow's name of the format.
        has_alpha: The format keeps transparency.
        default_quality: 1 to 100; ``None`` for a lossless format.
        options: Options of Pillow's encoder, chosen for speed at a size close to the best.
    """

    mime: str
    pillow: str
    has_alpha: bool
    default_quality: int | None
    options: dict[str, Any]


FORMATS = {
    "jpeg": Format("image/jpeg", "JPEG", False, 90, {"subsampling": 0}),
    "png": Format("image/png", "PNG", True, None, {"compress_level": 1}),
    "webp": Format("image/webp", "WEBP", True, 85, {"method": 2}),
    "avif": Format("image/avif", "AVIF", True, 70, {"speed": 9}),
}

NAMES = ", ".join(FORMATS)

PROBLEM = "application/problem+json"
"""In ``Accept``, this type is about errors, not images: generated clients send it alone, as the only JSON type."""


def choose_format(accept: str | None, override: str | None, content_has_alpha: bool) -> str:
    """Choose the format of an output.

    Args:
        accept: The request's ``Accept`` header. One that cannot be parsed counts as absent.
        override: A format's name, which takes precedence over ``accept``.
        content_has_alpha: The photo has transparency: then PNG is preferred, else JPEG.

    Raises:
        InvalidField: ``override`` is unknown.
        NotAcceptable: ``accept`` allows none of the formats.
    """
    if override is not None:
        name = {"jpg": "jpeg"}.get(override.lower(), override.lower())
        if name not in FORMATS:
            raise InvalidField(f"got {override!r:.80}: allowed are {NAMES}", "format")
        return name
    default = "png" if content_has_alpha else "jpeg"
    ranges = _parse_accept(accept or "")
    if not ranges:
        return default
    # Among equals the default first, then what keeps the transparency.
    preferred = sorted(FORMATS, key=lambda name: (name != default, FORMATS[name].has_alpha < content_has_alpha))
    best = max(preferred, key=lambda name: _quality_of(FORMATS[name].mime, ranges))
    if _quality_of(FORMATS[best].mime, ranges) <= 0:
        mimes = ", ".join(format.mime for format in FORMATS.values())
        raise NotAcceptable(f"Accept is {accept!r:.200}, we write {mimes}: accept one of these, or send `format`")
    return best


def _parse_accept(accept: str) -> dict[str, float]:
    """Parse ``image/webp, */*;q=0.5`` into qualities by media range; skips malformed parts and the type of errors."""
    ranges = {}
    for part in accept.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = min(1.0, max(0.0, float(parameter[2:])))
                except ValueError:
                    quality = 0.0
        if "/" in media_range and media_range != PROBLEM:
            ranges[media_range] = quality
    return ranges


def _quality_of(mime: str, ranges: dict[str, float]) -> float:
    """Quality of a media type: that of the most specific range."""
    for media_range in (mime, "image/*", "*/*"):
        if media_range in ranges:
            return ranges[media_range]
    return 0.0
