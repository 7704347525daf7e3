"""``LongJob``: one output that is made in steps, and what can be told and kept of it between two of them."""

from abc import ABC, abstractmethod
from io import BytesIO
from time import monotonic

from PIL import Image

from model_store.gatys import Progress
from model_store.pixels import to_images
from service.engine.stylize_input import TiledProgress
from service.engine.stylizer import Stylizer
from service.queue.jobs import Claim, JobProgress, Saved
from service.worker.codecs import Decoded

PREVIEW_PX = 256
"""Longest side of the preview that is shown while the work goes on."""


class LongJob(ABC):
    """An output that is made step by step. To forget the object is to cancel the work.

    Attributes:
        decoded: The job's parameters and pixels.
        model_ms: Time in which the device was held, so far.
        reported_at: Time of the last report of its progress, on the monotonic clock.
        saved_at: Time when it was last saved for another worker, or begun.
        has_begun: Whether there is anything to report or to save.
        is_done: Whether that was the last step.
    """

    def __init__(self, decoded: Decoded) -> None:
        """Nothing is computed before the first step."""
        self.decoded = decoded
        self.model_ms = 0.0
        self.reported_at = -float("inf")
        self.saved_at = monotonic()
        self.has_begun = False
        self.is_done = False

    def advance(self) -> None:
        """Take one step, in the device's thread.

        Raises:
            ModelUnavailable: The network cannot be used.
        """
        started = monotonic()
        self.is_done = self._step()
        self.has_begun = True
        self.model_ms += (monotonic() - started) * 1000

    @abstractmethod
    def _step(self) -> bool:
        """Take a step; return whether it was the last."""

    @abstractmethod
    def output(self) -> Image.Image:
        """Return the output after the last step, at its full size."""

    @abstractmethod
    def progress(self) -> JobProgress:
        """Return what the client is told, with a small preview."""

    @abstractmethod
    def saved(self) -> Saved | None:
        """Return what another worker goes on from; ``None`` where it has to begin anew."""


class Optimisation(LongJob):
    """The method of Gatys et al., step by step."""

    def __init__(self, claim: Claim, decoded: Decoded, stylizer: Stylizer) -> None:
        """Go on from what an earlier worker saved, if anything."""
        super().__init__(decoded)
        begin = (claim.saved.step, Image.open(BytesIO(claim.saved.picture))) if claim.saved is not None else None
        parameters = decoded.parameters
        self._latest: Progress | None = None
        self._steps = stylizer.optimise(parameters.model, decoded.input, parameters.steps, begin)

    def _step(self) -> bool:
        self._latest = next(self._steps)
        return self._latest.step == self._latest.steps

    def output(self) -> Image.Image:
        """Return the iterate, enlarged if it is not the last."""
        assert self._latest is not None
        return to_images(self._latest.output)[0]

    def progress(self) -> JobProgress:
        """Return steps, losses and the iterate."""
        assert self._latest is not None
        preview = _small_jpeg(to_images(self._latest.iterate)[0])
        return JobProgress(self._latest.step, self._latest.steps, self._latest.losses, preview)

    def saved(self) -> Saved:
        """Return the iterate, from which another worker goes on."""
        assert self._latest is not None
        file = BytesIO()
        self.output().save(file, "PNG", compress_level=1)
        return Saved(self._latest.step, file.getvalue())


class TiledJob(LongJob):
    """A large image, tile by tile. Another worker begins anew: there is more to save than is lost."""

    def __init__(self, decoded: Decoded, stylizer: Stylizer) -> None:
        """Nothing is computed before the first step."""
        super().__init__(decoded)
        self._latest: TiledProgress | None = None
        self._steps = stylizer.paint_tiled(decoded.parameters.model, decoded.input)

    def _step(self) -> bool:
        self._latest = next(self._steps)
        is_last = self._latest.step == self._latest.steps
        if is_last:
            self._steps.close()  # which frees the features before the output is encoded
        return is_last

    def output(self) -> Image.Image:
        """Return the content with the finished tiles in it."""
        assert self._latest is not None
        return self._latest.output

    def progress(self) -> JobProgress:
        """Return tiles, and the output so far."""
        assert self._latest is not None
        factor = max(1, max(self._latest.output.size) // (2 * PREVIEW_PX))
        preview = _small_jpeg(self._latest.output.reduce(factor))
        return JobProgress(self._latest.step, self._latest.steps, {}, preview)

    def saved(self) -> Saved | None:
        """Return ``None``."""
        return None


def _small_jpeg(image: Image.Image) -> bytes:
    """Return a preview as a file; may change ``image``."""
    file = BytesIO()
    image.thumbnail((PREVIEW_PX, PREVIEW_PX))
    image.save(file, "JPEG")
    return file.getvalue()
