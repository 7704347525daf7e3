"""Registered styles in a worker: fetched when a job names one, made when a job registers one.

- ``fetch`` takes what a job needs of them from the store, or from what this process remembers.
- ``bounded_file`` makes the file that is stored of a new one. It is also the one that is encoded, so the style is
  the same whenever it is encoded again.
"""

import asyncio
from time import monotonic

from model_store.image_files import DecodedImage
from service import images
from service.engine.stylize_input import StyleImage
from service.engine.stylizer import Stylizer
from service.errors import NotFound, QueueUnreachable
from service.images import ImageLimits
from service.queue.jobs import Claim
from service.queue.styles import StyleStore
from service.request import StylizeParameters
from service.worker.held_jobs import RETRY_S

KEPT_PX = 1024
"""Longest side of the file that is kept: twice that at which it is encoded."""

KEPT_FORMAT = "jpeg"


class RegisteredStyles:
    """The store of registered styles, behind what a worker's stylizer remembers."""

    def __init__(self, store: StyleStore, stylizer: Stylizer) -> None:
        """Nothing is fetched before it is needed."""
        self._store = store
        self._stylizer = stylizer

    async def fetch(self, claim: Claim) -> dict[str, bytes | StyleImage]:
        """Return a job's registered styles by id: as remembered where that will do, else their file.

        Styles that were deleted are left out.

        Raises:
            QueueUnreachable: Redis did not answer before the job's deadline.
        """
        parameters = StylizeParameters.model_validate(claim.job.parameters)
        found: dict[str, bytes | StyleImage] = {}
        for part in parameters.styles:
            if part.style_id is None or part.digest is None:
                continue
            remembered = self._stylizer.remembered(parameters.model, encoding_of(part.digest, parameters.style_size))
            if remembered is not None and not needs_pixels(parameters):
                found[part.style_id] = remembered
            elif (file := await self._file(part.style_id, claim.deadline)) is not None:
                found[part.style_id] = file
        return found

    async def _file(self, style_id: str, deadline: float) -> bytes | None:
        while True:
            try:
                return await self._store.painting(style_id)
            except QueueUnreachable:
                if monotonic() + RETRY_S > deadline:
                    raise
                await asyncio.sleep(RETRY_S)


def needs_pixels(parameters: StylizeParameters) -> bool:
    """Return whether a job needs the pixels of its style images: their encodings will not do."""
    return parameters.method == "gatys" or parameters.color == "match"


def encoding_of(digest: str, size_px: int) -> str:
    """Return the ``StyleImage.digest`` of a file that is encoded at a size: a stylizer remembers it under that."""
    return f"{digest}@{size_px}"


def bounded_file(upload: bytes, limits: ImageLimits) -> bytes:
    """Return the file that is kept of an upload: upright, in sRGB, not larger than ``KEPT_PX``.

    Raises:
        ServiceError: The upload cannot be decoded.
    """
    header = images.read_header(upload, "image", limits)
    longer_px = min(KEPT_PX, max(header.width, header.height))
    picture = images.decode(upload, "image", limits, longer_px)
    return images.encode(DecodedImage(picture.rgb, None), KEPT_FORMAT, None)


def gone(style_id: str) -> NotFound:
    """Make the error for a style that was there when the job was accepted."""
    return NotFound(
        f"the style {style_id!r} was deleted while this waited: GET /styles lists what there is", "style_id"
    )
