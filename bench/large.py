"""Large images: time and memory of tiles, beside one pass where that fits.

Each image is processed in a process of its own, from file to file as in a worker, so that the peak of the process's
resident memory is that image's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.pictures import photo
from bench.processes import peak_resident_bytes
from bench.remote import Remote
from bench.timing import Stages, stopwatch
from model_store.catalog import Catalog, read_catalog
from service.settings import Settings

MEGAPIXELS = (1, 4, 16, 64)
ONE_PASS_UP_TO = 4
"""Megapixels up to which one pass is measured: more take several gigabytes. Generators are measured up to here."""

WANTED_PEAK_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Run:
    """One image: seconds, the peak of its process's memory if that is known, and optionally its pixels."""

    stages: Stages
    peak_bytes: int | None
    pixels: np.ndarray[Any, np.dtype[np.uint8]] | None = None


@dataclass(frozen=True)
class Size:
    """An image in tiles, and in one pass if that was measured."""

    model: str
    megapixels: float
    tiled: Run
    one_pass: Run | None

    @property
    def differences(self) -> tuple[int, float] | None:
        """Largest and mean difference between the two, in 1/255."""
        if self.one_pass is None or self.one_pass.pixels is None or self.tiled.pixels is None:
            return None
        apart = np.abs(self.one_pass.pixels.astype(np.int16) - self.tiled.pixels.astype(np.int16))
        return int(apart.max()), float(apart.mean())


class LargeRun:
    """Runs one image as a worker does; called once in its process."""

    def __init__(self, folder: Path, settings: Settings, model_id: str, style_id: str) -> None:
        """Load the network, and warm it up with a small image."""
        from model_store.runtime import choose_runtime, keep_freed_memory
        from service.engine.stylize_input import StylizeInput
        from service.engine.stylizer import Stylizer

        keep_freed_memory()
        self._settings = settings
        self._model_id, self._style_id = model_id, style_id
        self._stylizer = Stylizer(
            folder, choose_runtime(settings.device, settings.dtype), style_cache_entries=4, tile_px=settings.tile_px
        )
        model = self._stylizer.catalog.model(model_id)
        self._seed = 0 if "seed" in model.controls else None  # the same noise for both ways
        self._stylizer.paint(model_id, [StylizeInput(photo(64, 64), [(1.0, style_id)], 1.0, seed=0)])

    def run(self, content: bytes, is_tiled: bool, with_pixels: bool) -> Run:
        """Run one image, from file to file."""
        from model_store.image_files import DecodedImage
        from service import images
        from service.images import ImageLimits
        from service.queue.jobs import Job
        from service.request import StylizeRequest
        from service.resolve import resolve
        from service.worker.codecs import decode_job

        asked = StylizeRequest[bytes](
            content=content,
            style_id=[self._style_id],
            model=self._model_id,
            size="original",
            format="jpeg",
            seed=self._seed,
        )
        parameters = resolve(asked, self._stylizer.catalog, self._settings, request_id="bench")
        with stopwatch() as decode:
            limits = ImageLimits(len(content), self._settings.max_image_pixels)
            decoded = decode_job(Job("bench", parameters.travelling(), asked.blobs()), self._stylizer, limits)
        with stopwatch() as model:
            if is_tiled:
                for progress in self._stylizer.paint_tiled(parameters.model, decoded.input):
                    painted = progress.output
            else:
                (painted,) = self._stylizer.paint(parameters.model, [decoded.input])
        with stopwatch() as encode:
            images.encode(DecodedImage(painted, None), "jpeg", None)
        stages = Stages(decode.seconds, model.seconds, encode.seconds)
        return Run(stages, peak_resident_bytes(), np.asarray(painted) if with_pixels else None)


def measure_large(
    settings: Settings,
    folder: Path,
    megapixels: Sequence[float] = MEGAPIXELS,
    one_pass_up_to: float = ONE_PASS_UP_TO,
    named: tuple[str, str] | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> list[Size]:
    """Measure square images of these sizes in one style.

    Args:
        settings: Device, number type, side of a tile.
        folder: Folder of checkpoints.
        megapixels: Sizes in 2²⁰ pixels.
        one_pass_up_to: Largest size that is measured in one pass as well.
        named: Ids of the network and of its style; by default the first style of AdaIN.
        say: Called with lines of progress.

    Raises:
        CatalogError: There is no such network.
        RemoteError: A process failed, or was killed for its memory.
    """
    model_id, style_id = named or ("adain", read_catalog(folder).model("adain").styles[0].id)
    largest_px = round(sqrt(max(megapixels) * 2**20))
    settings = settings.model_copy(
        update={"max_original_px": largest_px, "max_image_pixels": largest_px**2, "max_body_bytes": 2**30}
    )

    def run(content: bytes, is_tiled: bool, with_pixels: bool) -> Run:
        with Remote(LargeRun, folder, settings, model_id, style_id) as process:
            found: Run = process.call("run", content, is_tiled, with_pixels)
            return found

    sizes = []
    for size in megapixels:
        content, is_both = _photo_file(round(sqrt(size * 2**20))), size <= one_pass_up_to
        one_pass = run(content, False, True) if is_both else None
        sizes.append(Size(model_id, size, run(content, True, is_both), one_pass))
        say(f"large: {model_id}, {size:g} megapixels: {sizes[-1].tiled.stages.total_s:.1f} s in tiles")
    return sizes


def styles_of_each_kind(catalog: Catalog) -> list[tuple[str, str]]:
    """Ids of AdaIN and one of its styles, then of one network of each other kind: they normalise at every layer."""
    named = [(model, (model.id, model.styles[0].id)) for model in reversed(catalog.models) if model.styles]
    kinds = {(model.network, model.norm): ids for model, ids in named}
    first = kinds.pop(("adain", "adaptive"), None)
    return ([] if first is None else [first]) + list(kinds.values())


def _photo_file(side_px: int) -> bytes:
    file = BytesIO()
    photo(side_px, side_px).save(file, "JPEG", quality=90)
    return file.getvalue()


def print_large(sizes: Sequence[Size], console: Console) -> None:
    """Print the table."""
    table = Table(title="Large images: from file to file, each in a process of its own", title_justify="left")
    table.add_column("network")
    table.add_column("megapixels", justify="right")
    for column in ("one pass\ns", "peak\nMB", "tiles\ns", "of it\nmodel", "s per\nmegapixel", "peak\nMB"):
        table.add_column(column, justify="right")
    table.add_column("apart, /255\nlargest", justify="right")
    table.add_column("\nmean", justify="right")
    for size in sizes:
        once, tiled = size.one_pass, size.tiled
        largest, mean = size.differences or ("", None)
        table.add_row(
            size.model,
            f"{size.megapixels:g}",
            "" if once is None else f"{once.stages.total_s:.1f}",
            "" if once is None else _megabytes(once.peak_bytes),
            f"{tiled.stages.total_s:.1f}",
            f"{tiled.stages.model_s:.1f}",
            f"{tiled.stages.total_s / size.megapixels:.2f}",
            _megabytes(tiled.peak_bytes),
            str(largest),
            "" if mean is None else f"{mean:.3f}",
        )
    console.print(table)
    peak_bytes = max((size.tiled.peak_bytes for size in sizes if size.tiled.peak_bytes is not None), default=None)
    if peak_bytes is not None:
        met = "met" if peak_bytes <= WANTED_PEAK_BYTES else "[red]missed[/red]"
        console.print(f"tiles: peak {_megabytes(peak_bytes)} MB, wanted ≤ {_megabytes(WANTED_PEAK_BYTES)}: {met}")


def _megabytes(count: int | None) -> str:
    return "?" if count is None else f"{count / 1e6:.0f}"
