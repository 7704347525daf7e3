"""What a test may expect of an answer over HTTP."""

import re
from collections.abc import Callable
from io import BytesIO

import httpx
import image_files as files
import numpy as np
import pytest
from PIL import Image

from stylize_client import ProblemError

PHOTO = files.saved(files.photo(120, 80), "jpeg")
STYLE = files.saved(files.photo(64, 64, seed=3), "png")
LIMIT = 32 * 2**20
"""Of a request's body, in bytes."""

INTERNALS = re.compile(
    r'Traceback|File "|\.py\b|line \d+|/tmp|/root|/home|site-packages|<class|0x[0-9a-f]{6}|redis|None\b'
)

Post = Callable[..., httpx.Response]
"""Send a photo and fields to ``/stylize``, see ``conftest.post``."""


def poster(client: httpx.Client) -> Post:
    """A function that sends a photo; other keyword arguments are form fields."""

    def post(
        content: bytes | None = PHOTO, styles: tuple[bytes, ...] = (), headers: dict | None = None, **fields: object
    ) -> httpx.Response:
        parts = [("style", ("style.png", style)) for style in styles]
        if content is not None:
            parts.append(("content", ("photo.jpg", content)))
        data = {"size": "64", **({} if styles or "style_id" in fields else {"style_id": "first"}), **fields}
        return client.post("/stylize", files=parts, data=data, headers=headers)

    return post


def picture(answer: httpx.Response, format: str = "jpeg", size: tuple[int, int] = (64, 43)) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"image/{format}"
    image = Image.open(BytesIO(answer.content))
    assert image.format == format.upper()
    assert image.size == size
    image.load()
    return image


def problem(answer: httpx.Response, status: int, field: str | None, *phrases: str) -> dict:
    """The answer is a problem, about this field, and says these things, and nothing that is only ours to know."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "errors"}
    assert body["status"] == status
    assert body["title"]
    assert body["instance"] == f"/requests/{answer.headers['x-request-id']}"
    assert [entry["field"] for entry in body["errors"]] == ([field] if field else [])
    for phrase in phrases:
        assert phrase in body["detail"]
    assert all(entry["detail"] in body["detail"] for entry in body["errors"])
    assert len(body["detail"]) < 400
    assert not INTERNALS.search(answer.text)
    return body


def refusal(call: Callable[[], object], status: int) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        call()
    assert caught.value.status == status
    return caught.value


def largest_difference(one: Image.Image, other: Image.Image) -> int:
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())
