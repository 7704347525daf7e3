"""``LongJob``: one picture that is made in steps, and what can be told and kept of it between two of them."""

from abc import ABC, abstractmethod
from io import BytesIO
from time import monotonic

from PIL import Image

from model_store.gatys import Progress
from model_store.pixels import to_images
from service.engine.stylizer import Stylizer
from service.queue.jobs import Claim, JobProgress, Saved
from service.worker.decoding import Decoded

PREVIEW_PX = 256
"""Longer side, at most, of the picture that is shown while the work goes on."""


class LongJob(ABC):
    """A picture that goes on when it is told to. To forget it is to cancel it.

    Attributes:
        decoded: What to do.
        model_ms: Time in which the device was held, so far.
        told_at: When its progress was told last, on the monotonic clock.
        saved_at: When it was last saved for another worker, or begun.
        has_begun: Whether there is anything to tell or to save.
        is_done: Whether that was the last step.
    """

    def __init__(self, decoded: Decoded) -> None:
        """Nothing is computed before the first step."""
        self.decoded = decoded
        self.model_ms = 0.0
        self.told_at = -float("inf")
        self.saved_at = monotonic()
        self.has_begun = False
        self.is_done = False

    def advance(self) -> None:
        """One step, in the device's thread.

        Raises:
            ModelUnavailable: The network cannot be used.
        """
        started = monotonic()
        self.is_done = self._step()
        self.has_begun = True
        self.model_ms += (monotonic() - started) * 1000

    @abstractmethod
    def _step(self) -> bool:
        """Take it; whether it was the last."""

    @abstractmethod
    def picture(self) -> Image.Image:
        """As it is after the last step, at its full size."""

    @abstractmethod
    def progress(self) -> JobProgress:
        """For who asks, with a small picture."""

    @abstractmethod
    def saved(self) -> Saved | None:
        """For the next worker; ``None`` where it has to begin anew."""


class Optimisation(LongJob):
    """The method of Gatys et al., step by step."""

    def __init__(self, claim: Claim, decoded: Decoded, stylizer: Stylizer) -> None:
        """Go on from what an earlier worker saved, if anything."""
        super().__init__(decoded)
        begin = (claim.saved.step, Image.open(BytesIO(claim.saved.picture))) if claim.saved is not None else None
        parameters = decoded.parameters
        self._latest: Progress | None = None
        self._steps = stylizer.optimise(parameters.model, decoded.painting, parameters.steps, begin)

    def _step(self) -> bool:
        self._latest = next(self._steps)
        return self._latest.step == self._latest.steps

    def picture(self) -> Image.Image:
        """The iterate, enlarged if it is not the last."""
        assert self._latest is not None
        return to_images(self._latest.picture)[0]

    def progress(self) -> JobProgress:
        """Steps, losses and the iterate."""
        assert self._latest is not None
        return JobProgress(
            self._latest.step, self._latest.steps, self._latest.losses, small_jpeg(to_images(self._latest.iterate)[0])
        )

    def saved(self) -> Saved:
        """The iterate, from which another worker goes on."""
        assert self._latest is not None
        file = BytesIO()
        self.picture().save(file, "PNG", compress_level=1)
        return Saved(self._latest.step, file.getvalue())


def small_jpeg(image: Image.Image) -> bytes:
    """A file with a picture small enough to be shown again and again; may change ``image``."""
    file = BytesIO()
    image.thumbnail((PREVIEW_PX, PREVIEW_PX))
    image.save(file, "JPEG")
    return file.getvalue()
