"""Painting in this process, without server or queue. Photos that become equally large share a forward pass."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from model_store.catalog import CatalogError, default_folder
from model_store.image_files import DecodedImage
from model_store.pixels import to_images
from model_store.runtime import choose_runtime, keep_freed_memory
from service import images
from service.cli.files import FilePair
from service.cli.options import unknown_style
from service.cli.progress import Outcome, ProgressDisplay
from service.engine.stylizer import Stylizer
from service.errors import ServiceError
from service.images import ImageLimits
from service.queue.jobs import Job
from service.request import StylizeRequest
from service.resolve import resolve
from service.settings import Settings
from service.worker.batching import BatchLimits, Shape, next_batch
from service.worker.codecs import Decoded, decode_job


@dataclass(frozen=True, eq=False)
class Waiting:
    """A decoded photo that is not yet painted."""

    pair: FilePair
    decoded: Decoded

    @property
    def shape(self) -> Shape:
        """Shape that a batch has in common."""
        return self.decoded.shape


def paint_here(
    pairs: Sequence[FilePair], request: StylizeRequest[bytes], settings: Settings, display: ProgressDisplay
) -> None:
    """Paint photo by photo; one that cannot be painted does not stop the others.

    Raises:
        NotFound: A style is neither a file nor an id.
        CatalogError: There is no usable checkpoint.
    """
    keep_freed_memory()
    stylizer = Stylizer(
        settings.checkpoints or default_folder(),
        choose_runtime(settings.device, settings.dtype),
        request.style_count,
        settings.model_memory_mb * 2**20,
        settings.tile_px,
        settings.backend,
    )
    for style_id in request.style_id:
        try:
            stylizer.catalog.style(style_id)
        except CatalogError as err:
            raise unknown_style(style_id, err) from err
    LocalPainter(stylizer, request, settings, display).paint(pairs)


class LocalPainter:
    """Paints many photos by one request."""

    def __init__(
        self, stylizer: Stylizer, request: StylizeRequest[bytes], settings: Settings, display: ProgressDisplay
    ) -> None:
        self._stylizer = stylizer
        self._request = request
        # The limit of uploads is the API's, which must not be filled by others; who paints files has them already.
        self._settings = settings.model_copy(update={"max_body_bytes": sys.maxsize})
        self._display = display
        self._limits = BatchLimits(settings.max_batch_size, settings.max_batch_pixels)

    def paint(self, pairs: Sequence[FilePair]) -> None:
        """Paint all photos; no more than a batch is decoded ahead."""
        waiting: list[Waiting] = []
        for pair in pairs:
            try:
                one = Waiting(pair, self._decoded(pair))
            except (ServiceError, OSError) as err:
                self._display.done(Outcome(pair, error=_text(err)))
                continue
            if one.decoded.parameters.method == "gatys" or one.decoded.parameters.tiled:
                self._finish(one, self._in_steps)
                continue
            waiting.append(one)
            if len(waiting) == self._limits.size:
                waiting = self._without_next_batch(waiting)
        while waiting:
            waiting = self._without_next_batch(waiting)

    def _decoded(self, pair: FilePair) -> Decoded:
        photo = {"content": pair.read(), "format": self._request.format or pair.format}
        request = self._request.model_copy(update=photo)
        parameters = resolve(request, self._stylizer.catalog, self._settings, request_id=str(pair))
        limits = ImageLimits(self._settings.max_body_bytes, self._settings.max_image_pixels)
        return decode_job(Job(parameters.request_id, parameters.travelling(), request.blobs()), self._stylizer, limits)

    def _without_next_batch(self, waiting: list[Waiting]) -> list[Waiting]:
        """Paint the oldest and those that fit it; returns the others."""
        batch = next_batch(waiting, self._limits)
        try:
            painted = self._stylizer.paint(batch[0].shape.model, [one.decoded.input for one in batch])
        except (ServiceError, RuntimeError):  # RuntimeError: not enough memory for all at once
            for one in batch:
                self._finish(one, self._alone)
        else:
            for one, image in zip(batch, painted, strict=True):
                self._keep(one, image)
        return [one for one in waiting if one not in batch]

    def _alone(self, one: Waiting) -> Image.Image:
        (painted,) = self._stylizer.paint(one.shape.model, [one.decoded.input])
        return painted

    def _in_steps(self, one: Waiting) -> Image.Image:
        """Paint by optimisation, or tile by tile."""
        parameters, stylize_input = one.decoded.parameters, one.decoded.input
        if parameters.method == "gatys":
            for step in self._stylizer.optimise(parameters.model, stylize_input, parameters.steps):
                self._display.step(one.pair, step.step, step.steps)
            return to_images(step.output)[0]
        for tile in self._stylizer.paint_tiled(parameters.model, stylize_input):
            self._display.step(one.pair, tile.step, tile.steps)
        return tile.output

    def _finish(self, one: Waiting, paint: Callable[[Waiting], Image.Image]) -> None:
        try:
            painted = paint(one)
        except (ServiceError, RuntimeError) as err:
            self._display.done(Outcome(one.pair, error=_text(err)))
        else:
            self._keep(one, painted)

    def _keep(self, one: Waiting, painted: Image.Image) -> None:
        """Write the output, and report it."""
        parameters = one.decoded.parameters
        try:
            picture = DecodedImage(painted, one.decoded.content.alpha)
            one.pair.write(images.encode(picture, parameters.format, parameters.quality))
        except (ServiceError, OSError) as err:
            self._display.done(Outcome(one.pair, error=_text(err)))
        else:
            self._display.done(Outcome(one.pair, seed=parameters.seed))


def _text(error: Exception) -> str:
    """Put an error on one line."""
    return error.detail if isinstance(error, ServiceError) else str(error).partition("\n")[0]
