"""``LongJob``: one picture that is being optimised, and what can be told and kept of it between two steps."""

from io import BytesIO
from time import monotonic

from PIL import Image

from model_store.gatys import Progress
from service.decoding import Decoded
from service.job import Claim
from service.job_progress import JobProgress, Saved
from service.stylizer import Stylizer, to_images

PREVIEW_PX = 256
"""Longer side, at most, of the picture that is shown while the work goes on."""


class LongJob:
    """An optimisation that goes on when it is told to. To forget it is to cancel it."""

    def __init__(self, claim: Claim, decoded: Decoded, stylizer: Stylizer) -> None:
        """Go on from what an earlier worker saved, if anything; nothing is computed before the first step."""
        begin = (claim.saved.step, Image.open(BytesIO(claim.saved.picture))) if claim.saved is not None else None
        parameters = decoded.parameters
        self.decoded = decoded
        self.model_ms = 0.0
        self.told_at = -float("inf")
        self.saved_at = monotonic()
        self._latest: Progress | None = None
        self._steps = stylizer.optimise(parameters.model, decoded.painting, parameters.steps, begin)

    def advance(self) -> None:
        """One step, in the device's thread.

        Raises:
            ModelUnavailable: The network cannot be used.
        """
        started = monotonic()
        self._latest = next(self._steps)
        self.model_ms += (monotonic() - started) * 1000

    @property
    def is_done(self) -> bool:
        """Whether that was the last step."""
        return self._latest is not None and self._latest.step == self._latest.steps

    def picture(self) -> Image.Image:
        """As it is after the last step, at its full size."""
        assert self._latest is not None
        return to_images(self._latest.picture)[0]

    def progress(self) -> JobProgress:
        """For who asks, with a small picture."""
        assert self._latest is not None
        preview, file = to_images(self._latest.iterate)[0], BytesIO()
        preview.thumbnail((PREVIEW_PX, PREVIEW_PX))
        preview.save(file, "JPEG")
        return JobProgress(self._latest.step, self._latest.steps, self._latest.losses, file.getvalue())

    def saved(self) -> Saved:
        """For the next worker."""
        assert self._latest is not None
        file = BytesIO()
        self.picture().save(file, "PNG", compress_level=1)
        return Saved(self._latest.step, file.getvalue())

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to tell or to save."""
        return self._latest is not None
