"""The codec threads at both ends of the pipeline: a job's bytes become pixels, and the output's pixels a file."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TypeVar

from PIL import Image

from model_store.image_files import DecodedImage
from model_store.pixels import resize
from model_store.runtime import give_back_freed_memory
from service import images
from service.engine.stylize_input import StyleImage, StylizeInput
from service.engine.stylizer import Stylizer
from service.errors import InvalidField, JobFailed, ModelUnavailable, NotFound, ServiceError
from service.images import ImageLimits, check_style_size, naming
from service.queue.jobs import Claim, Job, Result
from service.queue.styles import StyleStore, digest_of
from service.request import ResultInfo, StylePart, StylizeParameters
from service.settings import WorkerSettings
from service.worker.batching import Shape
from service.worker.held_jobs import log_fields, patiently

PREVIEW_PX = 256
"""Longer side of a registered style's preview: that of the shipped ones."""

KEPT_PX = 1024
"""Longest side of the file that is kept of a registered style: twice that at which it is encoded."""

TIDY_ABOVE_PIXELS = 2**24
"""Pixels of a file after whose decoding freed memory is given back: a third of a gigabyte, which little else needs."""

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decoded:
    """A job's parameters and pixels, ready to run.

    Attributes:
        content: The content image, of the size of the output.
        kept: File of the style image that is to be kept, where the job registers a style.
    """

    parameters: StylizeParameters
    content: DecodedImage
    input: StylizeInput
    decode_ms: float
    kept: bytes = b""

    @property
    def shape(self) -> Shape:
        """Shape, which all jobs of a batch share."""
        return Shape(self.parameters.model, self.parameters.height, self.parameters.width)


class Codecs:
    """Decodes claimed jobs and encodes their outputs, while the device works."""

    def __init__(self, stylizer: Stylizer, styles: StyleStore, settings: WorkerSettings) -> None:
        """``stylizer`` is asked which style images it remembers: those are not decoded."""
        self._stylizer = stylizer
        self._styles = styles
        self._limits = ImageLimits(
            max(settings.max_body_bytes, images.OWN_FILES.max_bytes),
            max(settings.max_image_pixels, images.OWN_FILES.max_pixels),
        )
        threads = max(2, (os.cpu_count() or 2) // 2)
        self._pool = ThreadPoolExecutor(threads, "codec")
        self._most_pixels = settings.max_decoding_pixels
        self._least_pixels = self._most_pixels // threads  # a job counts for as many, so there are not more of them
        self._decoding_pixels = 0
        self._turn = asyncio.Lock()
        self._room = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def room(self, claim: Claim) -> AsyncIterator[None]:
        """Wait, in order of arrival, for a thread and for the memory that a job's largest file may take.

        Its header decides how much that is: a WebP of 38 bytes may have 67 million pixels.
        """
        pixels = max(self._least_pixels, claim.job.parameters.get("decoded_pixels", 0))
        async with self._turn, self._room:
            await self._room.wait_for(
                lambda: not self._decoding_pixels or self._decoding_pixels + pixels <= self._most_pixels
            )
            self._decoding_pixels += pixels
        try:
            yield
        finally:
            self._decoding_pixels -= pixels
            async with self._room:
                self._room.notify_all()

    async def decode(self, claim: Claim) -> Decoded:
        """Decode a job's images.

        Raises:
            ServiceError: One cannot be decoded, or a style is not there any more.
        """
        with _clear_failure(claim, "the images could not be decoded"):
            registered = await self._registered(claim)
            try:
                return await self.run(lambda: decode_job(claim.job, self._stylizer, self._limits, registered))
            finally:
                if claim.job.parameters.get("decoded_pixels", 0) > TIDY_ABOVE_PIXELS:
                    await self.run(give_back_freed_memory)

    async def _registered(self, claim: Claim) -> dict[str, bytes | StyleImage]:
        """Return a job's registered styles by id: as remembered where that will do, else their file, if it is there."""
        parameters = StylizeParameters.model_validate(claim.job.parameters)
        found: dict[str, bytes | StyleImage] = {}
        for part in parameters.styles:
            if part.style_id is None or part.digest is None:
                continue
            remembered = self._stylizer.remembered(parameters.model, encoding_of(part.digest, parameters.style_size))
            if remembered is not None and not needs_pixels(parameters):
                found[part.style_id] = remembered
                continue
            file = await patiently(claim, partial(self._styles.painting, part.style_id))
            if file is not None:
                found[part.style_id] = file
        return found

    async def result(
        self, claim: Claim, decoded: Decoded, output: Image.Image, batch_size: int, model_ms: float
    ) -> Result:
        """Encode a job's output, with the content image's transparency, and say how it was made.

        Raises:
            ServiceError: It cannot be encoded.
        """
        started = monotonic()
        with _clear_failure(claim, "the picture could not be encoded"):
            image = await self.run(lambda: _encode(decoded, output))
        info = ResultInfo(
            model=decoded.parameters.model,
            batch_size=batch_size,
            queue_ms=claim.waited_ms,
            decode_ms=decoded.decode_ms,
            model_ms=model_ms,
            encode_ms=(monotonic() - started) * 1000,
        )
        return Result(image, info.model_dump(), blobs={"painting": decoded.kept} if decoded.kept else {})

    async def run(self, call: Callable[[], T]) -> T:
        """Run anything else in a codec thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


def decode_job(
    job: Job, stylizer: Stylizer, limits: ImageLimits, registered: Mapping[str, bytes | StyleImage] | None = None
) -> Decoded:
    """Decode content image and masks at the size of the output, and the style images that are not remembered.

    ``registered`` are the job's registered styles by id: those that are remembered, or else their files.

    Raises:
        ServiceError: An image cannot be decoded.
        NotFound: A registered style was deleted.
        ModelUnavailable: The style image of a named style is not there any more.
        InvalidField: The masks are black all over.
    """
    started = monotonic()
    parameters = StylizeParameters.model_validate(job.parameters)
    content = images.decode(job.blobs["content"], "content", limits, max(parameters.width, parameters.height), resize)
    blobs, kept = job.blobs, b""
    if parameters.registers:
        kept = bounded_file(blobs["style-0"], limits)
        blobs = {**blobs, "style-0": kept}  # what is kept is what is encoded
    sources = StyleSources(parameters, blobs, registered or {}, stylizer, limits)
    styles = [(part.weight, sources.source(part)) for part in parameters.styles]
    masks = _masks(job, parameters, limits)
    one = StylizeInput(content.rgb, styles, parameters.alpha, parameters.seed, parameters.color, masks)
    return Decoded(parameters, content, one, (monotonic() - started) * 1000, kept)


@dataclass(frozen=True)
class StyleSources:
    """The files and encoded styles that a job's styles come from."""

    parameters: StylizeParameters
    blobs: Mapping[str, bytes]
    registered: Mapping[str, bytes | StyleImage]
    stylizer: Stylizer
    limits: ImageLimits

    def source(self, part: StylePart) -> str | StyleImage:
        """Return one style, as the stylizer takes it.

        Raises:
            ServiceError: It cannot be decoded, or is not there any more.
        """
        if part.upload is not None:
            uploads = [other.upload for other in self.parameters.styles if other.upload is not None]
            with naming("style", uploads.index(part.upload), len(uploads)):
                return self._style_image(self.blobs[part.upload])
        assert part.style_id is not None
        if part.digest is not None:
            return self._registered(part.style_id)
        return self._style_image(self._shipped(part.style_id)) if part.from_painting else part.style_id

    def _style_image(self, file: bytes) -> StyleImage:
        """Return a style image; without its pixels where its encoding is remembered and the method needs no more."""
        encoding = encoding_of(digest_of(file), self.parameters.style_size)
        if not needs_pixels(self.parameters):
            remembered = self.stylizer.remembered(self.parameters.model, encoding)
            if remembered is not None:
                return remembered
        image = images.decode(file, "style", self.limits, self.parameters.style_size, resize).rgb
        check_style_size(image.width, image.height)
        return StyleImage(encoding, image)

    def _registered(self, style_id: str) -> StyleImage:
        """Return a registered style, by the file that is kept of it."""
        found = self.registered.get(style_id)
        if found is None:
            raise NotFound(
                f"the style {style_id!r} was deleted while this waited: GET /styles lists what there is", "style_id"
            )
        return found if isinstance(found, StyleImage) else self._style_image(found)

    def _shipped(self, style_id: str) -> bytes:
        """Read the style image that lies beside the checkpoints, as it is now."""
        path = self.stylizer.style_image(style_id)
        if path is not None:
            with contextlib.suppress(OSError):
                return path.read_bytes()
        raise ModelUnavailable(f"the painting of {style_id!r} is being replaced or removed: try again", "style_id")


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
    return images.encode(DecodedImage(picture.rgb, None), "jpeg", None)


def _masks(job: Job, parameters: StylizeParameters, limits: ImageLimits) -> list[Image.Image]:
    """Decode the masks: one for each style, of the output's size, or none."""
    parts = [part for part in parameters.styles if part.mask is not None]
    size = (parameters.width, parameters.height)
    masks = []
    for index, part in enumerate(parts):
        assert part.mask is not None
        with naming("mask", index, len(parts)):
            masks.append(images.decode_mask(job.blobs[part.mask], "mask", limits, size))
    lit = [part for mask, part in zip(masks, parts, strict=True) if mask.getextrema() != (0, 0)]
    if masks and not any(part.weight > 0 for part in lit):
        why = "the masks of all styles of positive weight are black" if lit else "all masks are black"
        raise InvalidField(
            f"{why}, so that no style would be anywhere: make those places light where a style is to apply", "mask"
        )
    is_no_mask = len(masks) == 1 and masks[0].getextrema() == (255, 255)
    return [] if is_no_mask else masks


@contextlib.contextmanager
def _clear_failure(claim: Claim, text: str) -> Iterator[None]:
    """Log an unexpected error, and make it the job's."""
    try:
        yield
    except ServiceError:
        raise
    except Exception as err:
        log.exception(text, extra=log_fields(claim))
        raise JobFailed(text) from err


def _encode(decoded: Decoded, output: Image.Image) -> bytes:
    """Encode an output; a registered style's preview is small."""
    if decoded.kept:
        output.thumbnail((PREVIEW_PX, PREVIEW_PX))
    parameters = decoded.parameters
    return images.encode(DecodedImage(output, decoded.content.alpha), parameters.format, parameters.quality)
