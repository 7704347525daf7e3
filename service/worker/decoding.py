"""A job's bytes to pixels: what happens in codec threads before a job can join a batch."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from PIL import Image

from model_store.image_files import Picture
from service import images
from service.engine.stylize_input import Painting, Upload
from service.engine.stylizer import Stylizer
from service.errors import InvalidField, ModelUnavailable
from service.http.schemas import StylePart, StylizeParameters
from service.images import ImageLimits
from service.mix import check_shorter_side
from service.queue.jobs import Job
from service.queue.styles import digest_of
from service.which import naming
from service.worker.batching import Shape
from service.worker.registered import bounded_painting, encoding_of, gone, needs_pixels


@dataclass(frozen=True)
class Decoded:
    """A job's parameters and pixels, ready to run.

    Attributes:
        parameters: What to do.
        content: The photo.
        painting: What the network is given.
        decode_ms: How long it took.
        kept: The painting that is to be kept of a style that is registered.
    """

    parameters: StylizeParameters
    content: Picture
    painting: Painting
    decode_ms: float
    kept: bytes = b""

    @property
    def shape(self) -> Shape:
        """What it must share with the others of its batch."""
        return Shape(self.parameters.model, self.parameters.height, self.parameters.width)


def decode_job(
    job: Job, stylizer: Stylizer, limits: ImageLimits, registered: Mapping[str, bytes | Upload] | None = None
) -> Decoded:
    """Decode the photo and the masks at the size of the result, and the style images that are not remembered.

    Args:
        job: What came from the queue.
        stylizer: Says what it remembers.
        limits: Of the images.
        registered: The job's registered styles by id, as ``RegisteredStyles.fetch`` gives them.

    Raises:
        ServiceError: An image cannot be decoded.
        NotFound: A registered style was deleted.
        ModelUnavailable: The painting of a named style is not there any more.
        InvalidField: The masks are black all over.
    """
    started = monotonic()
    parameters = StylizeParameters.model_validate(job.parameters)
    content = images.decode(job.blobs["content"], "content", limits, max(parameters.width, parameters.height))
    blobs, kept = job.blobs, b""
    if parameters.registers:
        kept = bounded_painting(blobs["style-0"], limits)
        blobs = {**blobs, "style-0": kept}  # what is kept is what is encoded
    materials = Materials(parameters, blobs, registered or {}, stylizer, limits)
    styles = [(part.weight, materials.source(part)) for part in parameters.styles]
    masks = _masks(job, parameters, limits)
    painting = Painting(content.rgb, styles, parameters.alpha, parameters.seed, parameters.color, masks)
    return Decoded(parameters, content, painting, (monotonic() - started) * 1000, kept)


@dataclass(frozen=True)
class Materials:
    """What the styles of a job are made from."""

    parameters: StylizeParameters
    blobs: Mapping[str, bytes]
    registered: Mapping[str, bytes | Upload]
    stylizer: Stylizer
    limits: ImageLimits

    def source(self, part: StylePart) -> str | Upload:
        """One style, as the stylizer takes it.

        Raises:
            ServiceError: It cannot be decoded, or is not there any more.
        """
        if part.upload is not None:
            uploads = [other.upload for other in self.parameters.styles if other.upload is not None]
            with naming("style", uploads.index(part.upload), len(uploads)):
                return self._upload(self.blobs[part.upload])
        assert part.style_id is not None
        if part.digest is not None:
            return self._registered(part.style_id)
        return self._upload(self._painting(part.style_id)) if part.from_painting else part.style_id

    def _upload(self, file: bytes) -> Upload:
        """A style image; without its pixels where the network remembers it, and the method needs no more than that."""
        encoding = encoding_of(digest_of(file), self.parameters.style_size)
        if not needs_pixels(self.parameters):
            remembered = self.stylizer.remembered(self.parameters.model, encoding)
            if remembered is not None:
                return remembered
        return Upload(encoding, self._pixels(file))

    def _registered(self, style_id: str) -> Upload:
        """As an upload of the painting that is kept."""
        found = self.registered.get(style_id)
        if found is None:
            raise gone(style_id)
        return found if isinstance(found, Upload) else self._upload(found)

    def _painting(self, style_id: str) -> bytes:
        """The file that lies beside the checkpoints, as it is now."""
        path = self.stylizer.painting(style_id)
        if path is not None:
            with contextlib.suppress(OSError):
                return path.read_bytes()
        raise ModelUnavailable(f"the painting of {style_id!r} is being replaced or removed: try again", "style_id")

    def _pixels(self, file: bytes) -> Image.Image:
        image = images.decode(file, "style", self.limits, self.parameters.style_size).rgb
        check_shorter_side(image.width, image.height)
        return image


def _masks(job: Job, parameters: StylizeParameters, limits: ImageLimits) -> list[Image.Image]:
    """One for each style, of the result's size, or none."""
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
            f"{why}, so that no style would be anywhere: make those places light where a style shall be", "mask"
        )
    is_no_mask = len(masks) == 1 and masks[0].getextrema() == (255, 255)
    return [] if is_no_mask else masks
