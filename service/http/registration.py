"""Registering a style: an upload gets an id, and a worker makes the painting and the preview that are kept.

It is a job like any other: the worker paints a sample photo in the new style, which becomes the style's preview, and
returns the painting that is to be kept beside it.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from secrets import choice
from uuid import uuid4

from model_store.catalog import Catalog, default_folder
from service.errors import InvalidField
from service.http.schemas import StylePart, StylizeParameters
from service.images import ImageLimits, fitted, read_header
from service.model_choice import upload_model
from service.queue.jobs import Job
from service.queue.replies import Dispatcher
from service.queue.styles import RegisteredStyle, StyleStore, digest_of
from service.settings import HttpSettings

SAMPLE_PX = 512
"""Longer side at which the sample is painted: larger than the preview, so that strokes look fine."""

MAX_TEXT = 120
MAX_RIGHTS = 500
YEARS = range(-5000, 2101)
SLUG_CHARS = 40
SUFFIX = 6
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Characters at the end of an id, without those that are easily taken for others."""


@dataclass(frozen=True)
class StyleRequest:
    """A request's fields as they came, but for what HTTP and multipart guarantee."""

    request_id: str
    image: bytes
    title: str
    artist: str = ""
    year: int | None = None
    rights: str = ""


async def register_style(
    asked: StyleRequest, settings: HttpSettings, catalog: Catalog, dispatcher: Dispatcher, store: StyleStore
) -> RegisteredStyle:
    """Have the preview painted, and keep the style.

    Raises:
        InvalidField: A value is not allowed.
        UnsupportedImage: The file is no image of a format that we read.
        Conflict: As many styles are registered as are allowed.
        ServiceError: The image cannot be encoded, or not now.
    """
    title, artist, rights = (
        _text(asked.title, "title", MAX_TEXT),
        _text(asked.artist, "artist", MAX_TEXT),
        _text(asked.rights, "rights", MAX_RIGHTS),
    )
    if not title:
        raise InvalidField("the title is empty: send the name of the style", "title")
    if asked.year is not None and asked.year not in YEARS:
        raise InvalidField(f"got {asked.year}: a year must be from {YEARS[0]} to {YEARS[-1]}", "year")
    read_header(asked.image, "image", ImageLimits(settings.max_body_bytes, settings.max_image_pixels))
    model = upload_model(catalog, settings.default_model)
    await store.require_room()
    result = await dispatcher.submit(_job(asked, model.id, settings))
    painting = result.blobs["painting"]
    while True:
        style = RegisteredStyle(make_id(title), title, artist, asked.year, rights, digest_of(painting))
        if await store.add(style, painting, result.image):
            return style


def make_id(title: str) -> str:
    """Make an id: the title in a-z, 0-9 and -, then some characters that make it unique."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_CHARS].strip("-") or "style"
    return f"{slug}-{''.join(choice(ALPHABET) for _ in range(SUFFIX))}"


@cache
def sample_photo() -> bytes:
    """Photo that previews show."""
    return (default_folder() / "sample.jpg").read_bytes()


def _job(asked: StyleRequest, model_id: str, settings: HttpSettings) -> Job:
    """Make the job: paint the sample in the new style, and return the painting."""
    photo = read_header(sample_photo(), "content", ImageLimits(settings.max_body_bytes, settings.max_image_pixels))
    width, height = fitted(photo.width, photo.height, SAMPLE_PX)
    parameters = StylizeParameters(
        request_id=asked.request_id,
        model=model_id,
        width=width,
        height=height,
        styles=(StylePart(weight=1, upload="style-0"),),
        alpha=1.0,
        format="webp",
        quality=None,
        registers=True,
    )
    return Job(uuid4().hex, parameters.model_dump(), {"content": sample_photo(), "style-0": asked.image})


def _text(text: str, field: str, most_chars: int) -> str:
    """Put a text on one line, and check it."""
    text = " ".join(text.split())
    if len(text) > most_chars:
        raise InvalidField(f"got {len(text)} characters, at most {most_chars} are allowed: shorten it", field)
    if not text.isprintable():
        raise InvalidField("it has characters that cannot be shown: leave them out", field)
    return text
