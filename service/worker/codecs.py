"""``Codecs``: the threads at both ends of the pipeline, where bytes become pixels and pixels bytes."""

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

from PIL import Image

from model_store.image_files import Picture
from service import images
from service.engine.stylizer import Stylizer
from service.errors import JobFailed, ServiceError
from service.http.schemas import Facts
from service.images import ImageLimits
from service.queue.jobs import Claim, Result
from service.settings import WorkerSettings
from service.worker.answering import who
from service.worker.decoding import Decoded, decode_job
from service.worker.registered import RegisteredStyles

PREVIEW_PX = 256
"""Longer side of a style's preview: that of the shipped ones."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class Codecs:
    """Decodes claimed jobs and encodes their results, while the device works.

    Attributes:
        decoders: As many as jobs can be decoded at a time.
    """

    def __init__(self, stylizer: Stylizer, styles: RegisteredStyles, settings: WorkerSettings) -> None:
        """``stylizer`` is asked which style images it remembers: those are not decoded."""
        self._stylizer = stylizer
        self._styles = styles
        self._limits = ImageLimits(settings.max_body_bytes, settings.max_image_pixels)
        threads = max(2, (os.cpu_count() or 2) // 2)
        self._pool = ThreadPoolExecutor(threads, "codec")
        self.decoders = asyncio.Semaphore(threads)

    async def decode(self, claim: Claim) -> Decoded:
        """A job's images.

        Raises:
            ServiceError: One cannot be decoded, or the job is not one that we do.
        """
        try:
            registered = await self._styles.fetch(claim)
            return await self.run(lambda: decode_job(claim.job, self._stylizer, self._limits, registered))
        except ServiceError:
            raise
        except Exception as err:
            log.exception("decoding failed", extra=who(claim))
            raise JobFailed("the images could not be decoded") from err

    async def encode(
        self, claim: Claim, decoded: Decoded, painted: Image.Image, batch_size: int, model_ms: float
    ) -> Result:
        """The answer to a job: its picture, with the content's transparency, or an error."""
        started, parameters = monotonic(), decoded.parameters
        picture = Picture(painted, decoded.content.alpha)
        blobs: dict[str, bytes] = {}
        try:
            if decoded.kept:
                await self.run(lambda: painted.thumbnail((PREVIEW_PX, PREVIEW_PX)))
                blobs = {"painting": decoded.kept}
            image = await self.run(lambda: images.encode(picture, parameters.format, parameters.quality))
        except ServiceError as err:
            return Result(error=err)
        except Exception:
            log.exception("encoding failed", extra=who(claim))
            return Result(error=JobFailed("the picture could not be encoded"))
        facts = Facts(
            model=parameters.model,
            batch_size=batch_size,
            queue_ms=claim.waited_ms,
            decode_ms=decoded.decode_ms,
            model_ms=model_ms,
            encode_ms=(monotonic() - started) * 1000,
        )
        return Result(image, facts.model_dump(), blobs=blobs)

    async def run(self, call: Callable[[], T]) -> T:
        """Anything else that is to be done in a codec thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)
