"""Conversion of pixels to sRGB by an ICC profile. Needs only Pillow and the standard library.

A profile counts as sRGB by its primaries and curves, never by its name: many wide ones have "sRGB" in their names.
"""

from functools import lru_cache
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageChops, ImageCms

PRESS_PROFILE = Path(__file__).parent / "profiles/cgats-tr003.icc"
"""The press profile of CMYK images without a profile: SWOP on coated paper, as CGATS TR 003 measured it."""

SRGB = ImageCms.createProfile("sRGB")

TOLERANCE = 2
"""Levels of 255 by which a profile may differ from sRGB and still count as sRGB: makers round differently."""

MAX_KEPT_BYTES = 2**20
"""Size of the largest profile whose transform is kept, so that profiles cannot fill the memory."""


def to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """Convert pixels to sRGB.

    Args:
        image: An image of mode RGB, L or CMYK.
        icc_profile: Profile of its pixels; a broken or unsuitable one is ignored. Without one, RGB and L are taken for
            sRGB, and CMYK for that of ``PRESS_PROFILE``.
    """
    transform = _transform_of(icc_profile, image.mode) if icc_profile else None
    if transform is None and icc_profile and image.mode == "L":  # of a photo that was made grey, and kept its profile
        transform = _transform_of(icc_profile, "RGB")
        image = image.convert("RGB")
    if transform is None and image.mode == "CMYK":
        transform = _transform_of(PRESS_PROFILE.read_bytes(), "CMYK")
    return transform.apply(image) if transform is not None else image.convert("RGB")


def _transform_of(icc_profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    return _kept_transform(icc_profile, mode) if len(icc_profile) <= MAX_KEPT_BYTES else _transform(icc_profile, mode)


def _transform(icc_profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the transform to sRGB; ``None`` if the profile is sRGB's, broken, or not for pixels of this mode."""
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(icc_profile))
        # Without lcms' cache of the last pixel: threads share a transform.
        transform = ImageCms.buildTransform(profile, SRGB, mode, "RGB", flags=ImageCms.Flags.NOCACHE)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    return None if mode != "CMYK" and _changes_nothing(transform, mode) else transform


_kept_transform = lru_cache(maxsize=16)(_transform)
"""Building a transform takes some milliseconds, as long as the pixels of a small image."""


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a transform leaves all greys, and for RGB a grid of colours, unchanged."""
    levels, steps = range(256), range(0, 256, 51)
    probe = Image.new("RGB", (256 + len(steps) ** 3, 1))
    probe.putdata([*((v, v, v) for v in levels), *((r, g, b) for r in steps for g in steps for b in steps)])
    if mode == "L":
        probe = probe.crop((0, 0, 256, 1)).getchannel("R")
    difference = ImageChops.difference(transform.apply(probe), probe.convert("RGB"))
    return max(difference.tobytes()) <= TOLERANCE
