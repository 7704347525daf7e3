"""Registering a style: an upload gets an id, and a worker makes the painting and the preview that are kept.

It is a job like any other: the worker paints a sample photo in the new style, which becomes the style's preview, and
returns the painting that is to be kept beside it.
"""

import hashlib
import re
import unicodedata
from dataclasses import replace
from functools import cache
from time import time
from uuid import uuid4

from starlette.datastructures import State

from model_store.catalog import Catalog, default_folder
from service.errors import Conflict
from service.http.context import Context
from service.http.forms import RegisterStyleForm
from service.http.idempotency import KeyedRequest, earlier_job, require_end
from service.images import OWN_FILES, ImageLimits, fitted, read_header
from service.model_choice import upload_model
from service.queue.jobs import Job
from service.queue.records import Accepted
from service.queue.styles import RegisteredStyle, digest_of
from service.request import StylePart, StylizeParameters

SAMPLE_PX = 512
"""Longer side at which the sample is painted: larger than the preview, so that strokes look fine."""

SLUG_CHARS = 40
SUFFIX = 6
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Characters at the end of an id, without those that are easily taken for others."""


async def register_style(
    form: RegisterStyleForm, state: State, keyed: KeyedRequest | None, catalog: Catalog, context: Context
) -> tuple[RegisteredStyle, bool]:
    """Have the preview painted, and keep the style; ``state`` has the request's id and its client.

    Returns:
        The style, and whether it is new: an earlier request with the same ``Idempotency-Key`` may have registered it.

    Raises:
        UnsupportedImage: The file is no image of a format that is read.
        Conflict: As many styles are registered as are allowed.
        ServiceError: The image cannot be encoded, or not now.
    """
    settings, store = context.settings, context.styles
    image = await form.image.read()
    limits = ImageLimits(settings.max_body_bytes, settings.max_image_pixels)
    header = await context.read_headers(lambda: read_header(image, "image", limits))
    job_id = uuid4().hex if keyed is None else keyed.job_id
    style_id = make_id(form.title, job_id)
    earlier = None if keyed is None else await earlier_job(keyed, context.records)
    if earlier is not None:
        require_end(earlier)
        if (registered := (await store.find([style_id])).get(style_id)) is not None:
            return registered, False
    model = upload_model(catalog, settings.default_model)
    await store.require_room()
    result = None
    if earlier is not None and earlier.state == "succeeded":
        result = await context.records.result(job_id)
    if result is None:
        accepted = None if keyed is None else Accepted(time(), state.request_id, "webp", None, keyed.fingerprint)
        job = _job(job_id, image, header.decoded_pixels, state.request_id, model.id)
        result = await context.dispatcher.submit(replace(job, client=state.client or ""), accepted)
    painting = result.blobs["painting"]
    style = RegisteredStyle(style_id, form.title, form.artist, form.year, form.rights, digest_of(painting))
    if not await store.add(style, painting, result.image):
        raise Conflict(f"the id {style_id!r} is taken: send the request again", retry_after_s=1)
    return style, True


def make_id(title: str, job_id: str) -> str:
    """Make an id: the title in a-z, 0-9 and -, then some characters that make it unique to the job."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_CHARS].strip("-") or "style"
    digest = hashlib.sha256(job_id.encode()).digest()
    return f"{slug}-{''.join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:SUFFIX])}"


@cache
def sample_photo() -> bytes:
    """Photo that previews show."""
    return (default_folder() / "sample.jpg").read_bytes()


def _job(job_id: str, image: bytes, decoded_pixels: int, request_id: str, model_id: str) -> Job:
    """Make the job: paint the sample in the new style, and return the painting."""
    photo = read_header(sample_photo(), "content", OWN_FILES)
    width, height = fitted(photo.width, photo.height, SAMPLE_PX)
    parameters = StylizeParameters(
        request_id=request_id,
        model=model_id,
        width=width,
        height=height,
        styles=(StylePart(weight=1, upload="style-0"),),
        format="webp",
        registers=True,
        decoded_pixels=decoded_pixels,
    )
    return Job(job_id, parameters.travelling(), {"content": sample_photo(), "style-0": image})
