"""A job's bytes to pixels: what happens in codec threads before a job can join a batch."""

import hashlib
from dataclasses import dataclass
from time import monotonic

from PIL import Image

from service import images
from service.batching import Shape
from service.errors import InvalidField
from service.images import ImageLimits, Picture
from service.queue import Job
from service.schemas import StylizeParameters
from service.stylizer import Painting, Stylizer, Upload


@dataclass(frozen=True)
class Decoded:
    """A job's parameters and pixels, ready to run."""

    parameters: StylizeParameters
    content: Picture
    painting: Painting
    decode_ms: float

    @property
    def shape(self) -> Shape:
        """What it must share with the others of its batch."""
        return Shape(self.parameters.model, self.parameters.height, self.parameters.width)


def decode_job(job: Job, stylizer: Stylizer, limits: ImageLimits) -> Decoded:
    """Decode the photo and the masks at the size of the result, and the style images that are not remembered.

    Raises:
        ServiceError: An image cannot be decoded.
        InvalidField: A stored style for an optimisation, which needs the style's image; masks for one; masks that are
            black all over.
    """
    started = monotonic()
    parameters = StylizeParameters.model_validate(job.parameters)
    content = images.decode(job.blobs["content"], "content", limits, max(parameters.width, parameters.height))
    styles: list[tuple[float, str | Upload]] = []
    for part in parameters.styles:
        if part.upload is not None:
            styles.append((part.weight, _upload(job.blobs[part.upload], parameters, stylizer, limits)))
        elif parameters.method == "gatys":
            raise InvalidField(
                f"got {part.style_id!r}: of a style with an id only the statistics are stored, which the method gatys"
                " cannot use: upload the painting itself as `style`",
                "style_id",
            )
        elif part.style_id is not None:
            styles.append((part.weight, part.style_id))
    masks = _masks(job, parameters, limits)
    painting = Painting(content.rgb, styles, parameters.alpha, parameters.seed, parameters.color, masks)
    return Decoded(parameters, content, painting, (monotonic() - started) * 1000)


def _upload(data: bytes, parameters: StylizeParameters, stylizer: Stylizer, limits: ImageLimits) -> Upload:
    """A style image; without its pixels where the network remembers it, and no more than that is needed.

    What is remembered is a picture at a size. One that is recoloured to the photo is another for every photo.
    """
    size_px = parameters.style_size
    digest = f"{hashlib.sha256(data).hexdigest()}@{size_px}"
    if parameters.method == "feedforward" and parameters.color != "match":
        remembered = stylizer.remembered(parameters.model, digest)
        if remembered is not None:
            return remembered
    return Upload(digest, images.decode(data, "style", limits, size_px).rgb)


def _masks(job: Job, parameters: StylizeParameters, limits: ImageLimits) -> list[Image.Image]:
    """One for each style, of the result's size, or none."""
    parts = [part for part in parameters.styles if part.mask is not None]
    if parts and parameters.method == "gatys":
        raise InvalidField("the method gatys takes no masks: leave them out", "mask")
    size = (parameters.width, parameters.height)
    masks = [images.decode_mask(job.blobs[part.mask], "mask", limits, size) for part in parts if part.mask is not None]
    is_anywhere = [mask.getextrema() != (0, 0) and part.weight > 0 for mask, part in zip(masks, parts, strict=True)]
    if masks and not any(is_anywhere):
        raise InvalidField(
            "all masks are black, so that no style would be anywhere: make those places light where a style shall be",
            "mask",
        )
    is_no_mask = len(masks) == 1 and masks[0].getextrema() == (255, 255)
    return [] if is_no_mask else masks
