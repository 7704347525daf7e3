"""``LongJob``: one output that is made in steps, and what can be told and kept of it between two of them."""

from collections.abc import Iterator
from io import BytesIO
from time import monotonic

from PIL import Image

from model_store.gatys import Progress, prepare
from model_store.pixels import to_images
from service.engine.stylize_input import TiledProgress
from service.engine.stylizer import Stylizer
from service.queue.jobs import Claim, JobProgress, Saved
from service.worker.codecs import Decoded

PREVIEW_PX = 256
"""Longest side of the preview that is shown while the work goes on."""


class LongJob:
    """An output that is made step by step: by optimisation, or tile by tile. To forget the object is to cancel it.

    Attributes:
        model_ms: Time in which the device was held, so far.
        reported_at: Time of the last report of its progress, on the monotonic clock.
        saved_at: Time when it was last saved for another worker, or begun.
    """

    def __init__(self, claim: Claim, decoded: Decoded, stylizer: Stylizer) -> None:
        """Go on from what an earlier worker saved, if anything; nothing is computed before the first step."""
        self.model_ms = 0.0
        self.reported_at = -float("inf")
        self.saved_at = monotonic()
        self._latest: Progress | TiledProgress | None = None
        parameters, saved = decoded.parameters, claim.saved
        self._steps: Iterator[Progress | TiledProgress]
        if parameters.method == "gatys":
            prepare()
            begin = (saved.step, Image.open(BytesIO(saved.picture))) if saved is not None else None
            self._steps = stylizer.optimise(parameters.model, decoded.input, parameters.steps, begin)
        else:
            self._steps = stylizer.paint_tiled(parameters.model, decoded.input)

    @property
    def has_begun(self) -> bool:
        """There is something to report and to save."""
        return self._latest is not None

    @property
    def is_done(self) -> bool:
        """The last step was taken."""
        return self._latest is not None and self._latest.step == self._latest.steps

    def advance(self) -> None:
        """Take one step, in the device's thread.

        Raises:
            ModelUnavailable: The network cannot be used.
        """
        started = monotonic()
        self._latest = next(self._steps)
        if self.is_done:
            self._steps = iter(())  # which frees the features before the output is encoded
        self.model_ms += (monotonic() - started) * 1000

    def output(self) -> Image.Image:
        """Return the iterate, enlarged if it is not the last; or the content with the finished tiles in it."""
        assert self._latest is not None
        return self._latest.output if isinstance(self._latest, TiledProgress) else to_images(self._latest.output)[0]

    def progress(self) -> JobProgress:
        """Return steps, losses and a small preview."""
        latest = self._latest
        assert latest is not None
        if isinstance(latest, TiledProgress):
            losses, preview = {}, latest.output.reduce(max(1, max(latest.output.size) // (2 * PREVIEW_PX)))
        else:
            losses, preview = dict(latest.losses), to_images(latest.iterate)[0]
        file = BytesIO()
        preview.thumbnail((PREVIEW_PX, PREVIEW_PX))
        preview.save(file, "JPEG")
        return JobProgress(latest.step, latest.steps, losses, file.getvalue())

    def saved(self) -> Saved | None:
        """Return the iterate, from which another worker goes on.

        ``None`` for tiles, where it begins anew: there is more to save than is lost.
        """
        if not isinstance(self._latest, Progress):
            return None
        file = BytesIO()
        self.output().save(file, "PNG", compress_level=1)
        return Saved(self._latest.step, file.getvalue())
