"""A worker's way to registered styles: fetched when a job names one, made when a job registers one.

- ``fetch``: what a job needs of them, from the store or from what this process remembers.
- ``bounded_painting``, ``to_keep``: what is stored of a new one. Its statistics are those of the file that is kept, so
  they come out the same whenever it is encoded again.
- ``refresh``: once a checkpoint was replaced, what its encoder made takes the place of the old statistics.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from time import monotonic

from model_store.image_files import Picture
from service import images
from service.errors import ModelUnavailable, NotFound, QueueUnreachable, ServiceError
from service.images import ImageLimits
from service.job import Claim
from service.schemas import STYLE_SIZE_PX, StylizeParameters
from service.stores.style_store import StyleData, StyleStore, digest_of
from service.stylizer import Stylizer
from service.work.answering import RETRY_S
from service.work.painting import Upload

PAINTING_PX = 1024
"""Longer side, at most, of the painting that is kept: twice that at which it is encoded."""

PAINTING_FORMAT = "jpeg"


class RegisteredStyles:
    """The store as a worker sees it, and what its stylizer remembers."""

    def __init__(self, store: StyleStore, stylizer: Stylizer) -> None:
        """Nothing is fetched yet."""
        self._store = store
        self._stylizer = stylizer

    async def fetch(self, claim: Claim) -> dict[str, StyleData | Upload]:
        """A job's registered styles, by id: as remembered where that will do, else as stored; without those deleted.

        Raises:
            QueueUnreachable: Redis did not answer before the job's deadline.
        """
        parameters = StylizeParameters.model_validate(claim.job.parameters)
        found: dict[str, StyleData | Upload] = {}
        for part in parameters.styles:
            if part.style_id is None or part.digest is None:
                continue
            remembered = self._stylizer.remembered(parameters.model, encoding_of(part.digest, parameters.style_size))
            if remembered is not None and not needs_painting(parameters):
                found[part.style_id] = remembered
            elif (data := await self._data(part.style_id, claim.deadline)) is not None:
                found[part.style_id] = data
        return found

    async def refresh(self, model: str, stale: Mapping[str, str]) -> None:
        """Store the statistics of styles, digest by id, which this process has just encoded anew."""
        for style_id, digest in stale.items():
            if (encoded := self._stylizer.encoded(model, encoding_of(digest, STYLE_SIZE_PX))) is not None:
                with contextlib.suppress(ServiceError):  # the next who needs it does it
                    await self._store.refresh(style_id, *encoded)

    def to_keep(self, model: str, painting: bytes) -> dict[str, bytes]:
        """What ``registration`` stores of a style that was just painted with.

        Raises:
            ModelUnavailable: Another checkpoint took the place of the one that encoded it.
        """
        if (encoded := self._stylizer.encoded(model, encoding_of(digest_of(painting), STYLE_SIZE_PX))) is None:
            raise ModelUnavailable(f"the network {model!r} was replaced while this was encoded: send it again")
        statistics, encoder = encoded
        return {"painting": painting, "statistics": statistics, "encoder": encoder.encode()}

    async def _data(self, style_id: str, deadline: float) -> StyleData | None:
        while True:
            try:
                return await self._store.data(style_id)
            except QueueUnreachable:
                if monotonic() + RETRY_S > deadline:
                    raise
                await asyncio.sleep(RETRY_S)


def needs_painting(parameters: StylizeParameters) -> bool:
    """Whether a job needs the painting of a registered style, not its statistics alone."""
    return parameters.method == "gatys" or parameters.color == "match"


def encoding_of(digest: str, size_px: int) -> str:
    """The name under which a stylizer remembers what became of a painting at a size: its ``Upload.digest``."""
    return f"{digest}@{size_px}"


def bounded_painting(upload: bytes, limits: ImageLimits) -> bytes:
    """The file that is kept of an upload: upright, in sRGB, not larger than ``PAINTING_PX``.

    Raises:
        ServiceError: The upload cannot be decoded.
    """
    header = images.read_header(upload, "image", limits)
    longer_px = min(PAINTING_PX, max(header.width, header.height))
    picture = images.decode(upload, "image", limits, longer_px)
    return images.encode(Picture(picture.rgb, None), PAINTING_FORMAT, None)


def gone(style_id: str) -> NotFound:
    """A style that was there when the job was accepted."""
    return NotFound(
        f"the style {style_id!r} was deleted while this waited: GET /styles lists what there is", "style_id"
    )
