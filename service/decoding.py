"""A job's bytes to pixels: what happens in codec threads before a job can join a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from service import images
from service.batching import Shape
from service.errors import InvalidField
from service.images import ImageLimits, Picture
from service.job import Job
from service.registered import bounded_painting, gone, needs_painting
from service.schemas import StylePart, StylizeParameters
from service.style_store import StyleData, digest_of
from service.stylizer import Painting, Stylizer, Upload

STYLE_SIZE_PX = 512
"""Longer side at which style images are encoded."""


@dataclass(frozen=True)
class Decoded:
    """A job's parameters and pixels, ready to run.

    Attributes:
        parameters: What to do.
        content: The photo.
        painting: What the network is given.
        decode_ms: How long it took.
        stale: Registered styles, digest by id, whose stored statistics are another encoder's.
        kept: The painting that is to be kept of a style that is registered.
    """

    parameters: StylizeParameters
    content: Picture
    painting: Painting
    decode_ms: float
    stale: Mapping[str, str] = field(default_factory=dict)
    kept: bytes = b""

    @property
    def shape(self) -> Shape:
        """What it must share with the others of its batch."""
        return Shape(self.parameters.model, self.parameters.height, self.parameters.width)


def decode_job(
    job: Job, stylizer: Stylizer, limits: ImageLimits, registered: Mapping[str, StyleData | Upload] | None = None
) -> Decoded:
    """Decode the photo at the size of the result, and the style images whose statistics are not remembered.

    Args:
        job: What came from the queue.
        stylizer: Says what it remembers.
        limits: Of the images.
        registered: The job's registered styles by id, as ``RegisteredStyles.fetch`` gives them.

    Raises:
        ServiceError: An image cannot be decoded.
        NotFound: A registered style was deleted.
        InvalidField: A style of which only the statistics are stored, for an optimisation, which needs its image.
    """
    started = monotonic()
    parameters = StylizeParameters.model_validate(job.parameters)
    content = images.decode(job.blobs["content"], "content", limits, max(parameters.width, parameters.height))
    blobs, kept = job.blobs, b""
    if parameters.registers:
        kept = bounded_painting(blobs["style-0"], limits)
        blobs = {**blobs, "style-0": kept}  # what is kept is what is encoded
    materials = Materials(parameters, blobs, registered or {}, stylizer, limits)
    sources = [materials.source(part) for part in parameters.styles]
    styles = [(part.weight, source) for part, source in zip(parameters.styles, sources, strict=True)]
    stale = {
        part.style_id: part.digest
        for part, source in zip(parameters.styles, sources, strict=True)
        if part.style_id is not None
        and part.digest is not None
        and isinstance(source, Upload)
        and source.image is not None
        and not needs_painting(parameters)
    }
    painting = Painting(content.rgb, styles, parameters.alpha, parameters.seed)
    return Decoded(parameters, content, painting, (monotonic() - started) * 1000, stale, kept)


@dataclass(frozen=True)
class Materials:
    """What the styles of a job are made from."""

    parameters: StylizeParameters
    blobs: Mapping[str, bytes]
    registered: Mapping[str, StyleData | Upload]
    stylizer: Stylizer
    limits: ImageLimits

    def source(self, part: StylePart) -> str | Upload:
        """One style, as the stylizer takes it.

        Raises:
            ServiceError: It cannot be decoded, is not there any more, or is of no use to the job's method.
        """
        if part.upload is not None:
            return self._upload(self.blobs[part.upload])
        assert part.style_id is not None
        if part.digest is not None:
            return self._registered(part.style_id, part.digest)
        if self.parameters.method == "gatys":
            raise InvalidField(
                f"got {part.style_id!r}: of this style only the statistics are stored, which the method gatys cannot"
                " use: upload the painting itself as `style`",
                "style_id",
            )
        return part.style_id

    def _upload(self, file: bytes) -> Upload:
        """A style image; without its pixels where the network remembers it, and the method needs no more than that."""
        digest = digest_of(file)
        if not needs_painting(self.parameters):
            remembered = self.stylizer.remembered(self.parameters.model, digest)
            if remembered is not None:
                return remembered
        return Upload(digest, images.decode(file, "style", self.limits, STYLE_SIZE_PX).rgb)

    def _registered(self, style_id: str, digest: str) -> Upload:
        """As an upload of its painting, whose statistics are stored beside it."""
        model, data = self.parameters.model, self.registered.get(style_id)
        if data is None:
            raise gone(style_id)
        if isinstance(data, Upload):
            return data
        if not needs_painting(self.parameters):
            recalled = self.stylizer.recall(model, digest, data.statistics, data.encoder)
            if recalled is not None:
                return recalled
        return Upload(digest, images.decode(data.painting, "style", self.limits, STYLE_SIZE_PX).rgb)
