"""Requests with controls, for tests over HTTP, and masks for them."""

from io import BytesIO

import httpx
import image_files as files
import numpy as np
from answers import PHOTO, picture
from PIL import Image

SIZE = (64, 43)
"""Of what ``painted`` returns."""


def send(
    client: httpx.Client,
    styles: tuple[bytes, ...] = (),
    masks: tuple[bytes, ...] = (),
    headers: dict[str, str] | None = None,
    **fields: object,
) -> httpx.Response:
    """A photo with uploads and masks; ``content`` is a file too, the rest are form fields."""
    parts = [("content", ("photo.jpg", fields.pop("content", PHOTO)))]
    parts += [("style", ("style.png", style)) for style in styles]
    parts += [("mask", ("mask.png", mask)) for mask in masks]
    data = {"size": "64", "format": "png", **fields}
    return client.post("/stylize", files=parts, data=data, headers=headers)


def painted(client: httpx.Client, *arguments: object, **fields: object) -> Image.Image:
    return picture(send(client, *arguments, **fields), "png", SIZE)


def registered_style(client: httpx.Client, image: bytes) -> str:
    """The id under which the service keeps it now."""
    answer = client.post("/styles", files={"image": ("painting.png", image)}, data={"title": "Mine"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def half_mask(is_left: bool, size: tuple[int, int] = SIZE, **options: object) -> bytes:
    mask = Image.new("L", size, 0)
    left, right = (0, size[0] // 2) if is_left else (size[0] // 2, size[0])
    mask.paste(255, (left, 0, right, size[1]))
    return files.saved(mask, **options)


LEFT, RIGHT = half_mask(True), half_mask(False)
WHITE, BLACK = files.saved(Image.new("L", SIZE, 255)), files.saved(Image.new("L", SIZE, 0))


def opened(data: bytes) -> Image.Image:
    """A photo at the size of a result, as the service resizes it."""
    return Image.open(BytesIO(data)).convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)


def luminance(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"), dtype=float) @ (0.299, 0.587, 0.114)


def chroma(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"), dtype=float) - luminance(image)[..., None]
