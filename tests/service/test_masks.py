"""Masks as people make them: levels from 0 to 1 are refused, since they would paint nothing without a word."""

import image_files as files
import numpy as np
import pytest
from PIL import Image

from service.errors import InvalidField
from service.images import ImageLimits, decode_mask

LIMITS = ImageLimits(max_bytes=2**20, max_pixels=1_000_000)
HALVES = np.repeat(np.arange(2, dtype=np.uint8), 32)[None].repeat(48, 0)


def mask(levels: np.ndarray, format: str = "png", mode: str = "L") -> bytes:
    return files.saved(
        Image.fromarray(levels).convert(mode), format, **({"lossless": True} if format == "webp" else {})
    )


@pytest.mark.parametrize(("format", "mode"), [("png", "L"), ("png", "LA"), ("png", "RGB"), ("webp", "RGB")])
def test_levels_of_0_and_1_are_refused(format: str, mode: str) -> None:
    for levels in (HALVES, np.ones_like(HALVES)):
        with pytest.raises(InvalidField, match="got levels of 0 and 1, of 255: multiply the mask by 255") as caught:
            decode_mask(mask(levels, format, mode), "mask", LIMITS, (64, 48))
        assert caught.value.field == "mask"


@pytest.mark.parametrize(
    "data",
    [
        mask(HALVES * 255),
        files.saved(Image.fromarray(HALVES * 255).convert("1")),
        files.saved(Image.fromarray(HALVES.astype(np.uint16) * 65_535)),
    ],
    ids=["8-bit", "1-bit", "16-bit"],
)
def test_masks_of_other_depths_are_taken_as_they_are(data: bytes) -> None:
    grey = np.asarray(decode_mask(data, "mask", LIMITS, (64, 48)))
    assert set(grey[:, :30].flat) == {0} and set(grey[:, 34:].flat) == {255}


@pytest.mark.parametrize("lightest", [0, 2, 255])
def test_what_is_dark_is_not_taken_for_truth_values(lightest: int) -> None:
    grey = decode_mask(mask(HALVES * lightest), "mask", LIMITS, (64, 48))
    assert grey.getextrema() == (0, lightest)
