"""A job's bytes to pixels: what happens in codec threads before a job can join a batch."""

import hashlib
from dataclasses import dataclass
from time import monotonic

from service import images
from service.batching import Shape
from service.errors import InvalidField
from service.images import ImageLimits, Picture
from service.job import Job
from service.schemas import StylizeParameters
from service.stylizer import Painting, Stylizer, Upload

STYLE_SIZE_PX = 512
"""Longer side at which style images are encoded."""


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
    """Decode the photo at the size of the result, and the style images whose statistics are not remembered.

    Raises:
        ServiceError: An image cannot be decoded.
        InvalidField: A stored style for an optimisation, which needs the style's image.
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
    painting = Painting(content.rgb, styles, parameters.alpha, parameters.seed)
    return Decoded(parameters, content, painting, (monotonic() - started) * 1000)


def _upload(data: bytes, parameters: StylizeParameters, stylizer: Stylizer, limits: ImageLimits) -> Upload:
    """A style image; without its pixels where the network remembers it, and the method needs no more than that."""
    digest = hashlib.sha256(data).hexdigest()
    if parameters.method == "feedforward":
        remembered = stylizer.remembered(parameters.model, digest)
        if remembered is not None:
            return remembered
    return Upload(digest, images.decode(data, "style", limits, STYLE_SIZE_PX).rgb)
