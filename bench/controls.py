"""Cost of each control: a request at 512 px with it, beside the plain request, in the same run.

From files to file, as in a worker, without queue and HTTP. All kinds alternate, round by round.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from statistics import median

from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.pictures import painting, photo
from bench.remote import Remote
from bench.timing import stopwatch
from model_store.catalog import Catalog, read_catalog
from service.request import StylizeRequest
from service.settings import Settings

SIDE_PX = 512
ROUNDS = 7
PLAIN = "plain"


@dataclass(frozen=True)
class Kind:
    """A kind of request: the fields in which it differs from the plain one."""

    changes: Mapping[str, object] = field(default_factory=dict)
    is_new_style: bool = False
    is_tiled: bool = False


def kinds(catalog: Catalog, side_px: int = SIDE_PX) -> dict[str, dict[str, Kind]]:
    """Kinds of requests by network, then by name; each network's first is the plain one, the baseline of the others."""
    paintings = [_file(painting(640, 512, index)) for index in range(4)]
    gradient = Image.linear_gradient("L").resize((side_px, side_px))
    masks = [_file(gradient.rotate(90 * index)) for index in range(4)]
    adain = {
        PLAIN: Kind({"style": paintings[:1]}),
        "alpha 0.5": Kind({"style": paintings[:1], "alpha": 0.5}),
        "mix of 4": Kind({"style": paintings}),
        "color luminance": Kind({"style": paintings[:1], "color": "luminance"}),
        "color match": Kind({"style": paintings[:1], "color": "match"}),
        "1 mask": Kind({"style": paintings[:1], "mask": masks[:1]}),
        "2 styles, 2 masks": Kind({"style": paintings[:2], "mask": masks[:2]}),
        "4 styles, 4 masks": Kind({"style": paintings, "mask": masks}),
        "a style never seen": Kind({"style": paintings[:1]}, is_new_style=True),
        "the same, style_size 1024": Kind({"style": paintings[:1], "style_size": 1024}, is_new_style=True),
        "in tiles": Kind({"style": paintings[:1]}, is_tiled=True),
    }
    found = {"adain": adain}
    learned = next((model for model in catalog.models if model.norm == "conditional" and len(model.styles) > 1), None)
    if learned is not None:
        one, *others = [style.id for style in learned.styles][:4]
        found[learned.id] = {
            PLAIN: Kind({"style_id": [one]}),
            "alpha 0.5": Kind({"style_id": [one], "alpha": 0.5}),
            "color luminance": Kind({"style_id": [one], "color": "luminance"}),
            "1 mask": Kind({"style_id": [one], "mask": masks[:1]}),
            "2 styles, 2 masks": Kind({"style_id": [one, others[0]], "mask": masks[:2]}),
            "in tiles": Kind({"style_id": [one]}, is_tiled=True),
        }
    return found


class Requests:
    """Runs requests of every kind in its process, as a worker does."""

    def __init__(self, folder: Path, settings: Settings, side_px: int) -> None:
        """Warm up with one request of each kind."""
        from model_store.runtime import choose_runtime, keep_freed_memory
        from service.engine.stylizer import Stylizer

        keep_freed_memory()
        self._stylizer = Stylizer(
            folder, choose_runtime(settings.device, settings.dtype), style_cache_entries=64, backend=settings.backend
        )
        self._settings = settings
        self._kinds = kinds(self._stylizer.catalog, side_px)
        self._content = _file(photo(2 * side_px, 2 * side_px))
        self._side_px = side_px
        self._sent = 0
        for model, by_name in self._kinds.items():
            for name in by_name:
                self.time_s(model, name)

    def time_s(self, model: str, name: str) -> float:
        """Time a request, from its files to the output's."""
        from model_store.image_files import DecodedImage
        from service import images
        from service.images import ImageLimits
        from service.queue.jobs import Job
        from service.resolve import resolve
        from service.worker.codecs import decode_job

        kind = self._kinds[model][name]
        asked = self._asked(kind)
        settings = self._settings.model_copy(update={"tile_above_pixels": 1 if kind.is_tiled else 2**40})
        parameters = resolve(asked, self._stylizer.catalog, settings, request_id="bench")
        limits = ImageLimits(settings.max_body_bytes, settings.max_image_pixels)
        with stopwatch() as watch:
            decoded = decode_job(Job("bench", parameters.travelling(), asked.blobs()), self._stylizer, limits)
            if parameters.tiled:
                for progress in self._stylizer.paint_tiled(parameters.model, decoded.input):
                    painted = progress.output
            else:
                (painted,) = self._stylizer.paint(parameters.model, [decoded.input])
            images.encode(DecodedImage(painted, None), "jpeg", None)
        return watch.seconds

    def _asked(self, kind: Kind) -> StylizeRequest[bytes]:
        plain = {"content": self._content, "size": str(self._side_px), "format": "jpeg"}
        asked = StylizeRequest[bytes].model_validate({**plain, **kind.changes})
        if kind.is_new_style:  # bytes after the end of a JPEG change nothing but its hash
            self._sent += 1
            files = [data + self._sent.to_bytes(8) for data in asked.style]
            asked = asked.model_copy(update={"style": files})
        return asked


def measure_controls(
    settings: Settings,
    folder: Path,
    rounds: int = ROUNDS,
    side_px: int = SIDE_PX,
    say: Callable[[str], None] = lambda _text: None,
) -> dict[str, dict[str, list[float]]]:
    """Measure the seconds of each request, by network and kind; the kinds alternate.

    Args:
        settings: Device and number type.
        folder: Folder of checkpoints, with AdaIN.
        rounds: Requests of each kind.
        side_px: Side of the square outputs.
        say: Called with lines of progress.

    Raises:
        RemoteError: The process failed.
    """
    wanted = kinds(read_catalog(folder), side_px)
    seconds: dict[str, dict[str, list[float]]] = {
        model: {name: [] for name in by_name} for model, by_name in wanted.items()
    }
    with Remote(Requests, folder, settings, side_px) as requests:
        for number in range(rounds):
            for model, by_name in seconds.items():
                for name, measured in by_name.items():
                    measured.append(requests.call("time_s", model, name))
            say(f"controls: round {number + 1} of {rounds}")
    return seconds


def print_controls(seconds: Mapping[str, Mapping[str, Sequence[float]]], console: Console) -> None:
    """A table for each network."""
    for model, by_name in seconds.items():
        table = Table(title=f"Controls: {model}, a request from files to file, median", title_justify="left")
        table.add_column("")
        for column in ("ms", "ratio to plain", "rounds"):
            table.add_column(column, justify="right")
        for name, measured in by_name.items():
            ratio = median(one / plain for one, plain in zip(measured, by_name[PLAIN], strict=True))
            table.add_row(name, f"{median(measured) * 1000:.0f}", f"{ratio:.2f}", str(len(measured)))
        console.print(table)


def _file(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()
