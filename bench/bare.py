"""The bare engine loop: the worker's steps in one process, one request after the other, without queue or HTTP."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from bench.pictures import Ask, request_mix
from bench.timing import Stages
from model_store.image_files import DecodedImage
from model_store.runtime import choose_runtime, keep_freed_memory
from service import images
from service.engine.stylizer import Stylizer
from service.images import ImageLimits
from service.queue.jobs import Job
from service.resolve import resolve
from service.settings import Settings
from service.worker.codecs import decode_job


class BareLoop:
    """Decode → forward → encode for the requests that the service gets, by index into the mix."""

    def __init__(self, folder: Path, settings: Settings, shapes_px: Sequence[tuple[int, int]]) -> None:
        """Load the networks as a worker does, and warm up with every request of the mix."""
        keep_freed_memory()
        self._stylizer = Stylizer(
            folder,
            choose_runtime(settings.device, settings.dtype),
            settings.style_cache_entries,
            backend=settings.backend,
        )
        self._limits = ImageLimits(settings.max_body_bytes, settings.max_image_pixels)
        self._jobs = [self._job(ask, settings) for ask in request_mix(self._stylizer.catalog, shapes_px)]
        for index in range(len(self._jobs)):
            self.run(index)

    def run(self, index: int) -> Stages:
        """Run one request."""
        started = perf_counter()
        decoded = decode_job(self._jobs[index % len(self._jobs)], self._stylizer, self._limits)
        decoded_at = perf_counter()
        (painted,) = self._stylizer.paint(decoded.parameters.model, [decoded.input])
        painted_at = perf_counter()
        picture = DecodedImage(painted, decoded.content.alpha)
        images.encode(picture, decoded.parameters.format, decoded.parameters.quality)
        return Stages(decoded_at - started, painted_at - decoded_at, perf_counter() - painted_at)

    def _job(self, ask: Ask, settings: Settings) -> Job:
        request = ask.as_request()
        parameters = resolve(request, self._stylizer.catalog, settings, request_id="bench")
        return Job("bench", parameters.travelling(), request.blobs())
