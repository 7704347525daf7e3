"""``TiledJob``: one picture that is painted tile by tile, so that between two tiles others can have the device."""

from PIL import Image

from service.engine.stylize_input import TiledProgress
from service.engine.stylizer import Stylizer
from service.queue.jobs import JobProgress, Saved
from service.worker.decoding import Decoded
from service.worker.long_job import PREVIEW_PX, LongJob, small_jpeg


class TiledJob(LongJob):
    """What is not painted yet shows the photo. Another worker begins anew: there is more to save than is lost."""

    def __init__(self, decoded: Decoded, stylizer: Stylizer) -> None:
        """Nothing is computed before the first step."""
        super().__init__(decoded)
        self._latest: TiledProgress | None = None
        self._steps = stylizer.paint_tiled(decoded.parameters.model, decoded.painting)

    def _step(self) -> bool:
        self._latest = next(self._steps)
        is_last = self._latest.step == self._latest.steps
        if is_last:
            self._steps.close()  # which frees the features before the picture is encoded
        return is_last

    def picture(self) -> Image.Image:
        """Painted so far."""
        assert self._latest is not None
        return self._latest.picture

    def progress(self) -> JobProgress:
        """Tiles, and the picture so far."""
        assert self._latest is not None
        factor = max(1, max(self._latest.picture.size) // (2 * PREVIEW_PX))
        return JobProgress(self._latest.step, self._latest.steps, {}, small_jpeg(self._latest.picture.reduce(factor)))

    def saved(self) -> Saved | None:
        """Nothing."""
        return None
