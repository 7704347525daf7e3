"""The engine alone beside the reference implementation, from RGB pixels to RGB pixels.

Ours are AdaIN, like the reference, and swift by every backend; with cached styles, and with new ones. Each runs in a
process of its own and they alternate, call by call, so that other load of the machine affects all alike. A call ends
when its pixels are on the host, so a GPU has finished too.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.pictures import painting, photo
from bench.remote import Remote
from service.engine.backends import BackendName
from service.settings import Settings

SIDES_PX = (256, 512)
BATCHES = (1, 8)
CASE_BUDGET_S = 20.0
MIN_REPETITIONS = 3
MAX_REPETITIONS = 40
WANTED_RATIO = 3.0

Paint = Callable[[Sequence[Image.Image], Sequence[Image.Image], bool], list[Image.Image]]
"""(contents, styles, true if the styles count as new ones) → outputs."""


class Contestant:
    """A measured implementation, with the images of the current case."""

    def __init__(self, paint: Paint, facts: dict[str, Any]) -> None:
        """Store the implementation and its facts."""
        self._paint = paint
        self._facts = facts
        self._outputs: list[Image.Image] = []
        self._contents: list[Image.Image] = []
        self._styles: list[Image.Image] = []

    def facts(self) -> dict[str, Any]:
        """Device, number type, threads."""
        return self._facts

    def set_case(self, side_px: int, batch: int) -> None:
        """Prepare a size: each pair runs once, alone, which also fills the style cache."""
        self._contents = [photo(side_px, side_px, index) for index in range(batch)]
        self._styles = [painting(side_px, side_px, index) for index in range(batch)]
        for index in range(batch):
            self._paint(self._contents[index : index + 1], self._styles[index : index + 1], False)

    def time_s(self, is_new: bool) -> float:
        """Time one call, with cached or with new styles."""
        started = perf_counter()
        self._outputs = self._paint(self._contents, self._styles, is_new)
        return perf_counter() - started

    def outputs(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Outputs of the last timed call: (B, H, W, 3)."""
        return np.stack([np.asarray(image) for image in self._outputs])


def make_reference(path: Path, device: str) -> Contestant:
    """Make the baseline, which encodes its styles at every call."""
    import torch

    from bench.reference import ReferencePainter

    painter = ReferencePainter(path, device)
    facts = {"device": device, "dtype": "float32", "threads": torch.get_num_threads()}
    return Contestant(lambda contents, styles, _: painter.paint(contents, styles), facts)


def make_ours(folder: Path, model: str, backend: BackendName, device: str, dtype: str) -> Contestant:
    """Make a worker's engine: its stylizer, its number type, its allocator."""
    import torch

    from model_store.runtime import choose_runtime, keep_freed_memory
    from service.engine.stylize_input import StyleImage, StylizeInput
    from service.engine.stylizer import Stylizer

    keep_freed_memory()
    runtime = choose_runtime(device, dtype)
    stylizer = Stylizer(folder, runtime, style_cache_entries=64, backend=backend)
    digests: dict[int, str] = {}
    fresh = count()

    def paint(contents: Sequence[Image.Image], styles: Sequence[Image.Image], is_new: bool) -> list[Image.Image]:
        for style in styles:
            if id(style) not in digests:  # the service hashes the file, while it is decoded
                digests[id(style)] = hashlib.sha256(style.tobytes()).hexdigest()
        names = [str(next(fresh)) if is_new else digests[id(style)] for style in styles]
        images = [StyleImage(name, style) for name, style in zip(names, styles, strict=True)]
        pairs = zip(contents, images, strict=True)
        return stylizer.paint(model, [StylizeInput(content, [(1.0, image)], 1.0) for content, image in pairs])

    dtype_name = str(runtime.dtype).removeprefix("torch.")
    return Contestant(paint, {"device": str(runtime.device), "dtype": dtype_name, "threads": torch.get_num_threads()})


@dataclass(frozen=True)
class Way:
    """A row of the table: a contestant, with cached or new styles."""

    contestant: str
    is_new: bool = False

    def __str__(self) -> str:
        """Its name in the table."""
        return f"{self.contestant}, new style" if self.is_new else self.contestant


REFERENCE = Way("reference", is_new=True)
OURS = Way("adain")


@dataclass(frozen=True)
class Case:
    """Measurements at one size: seconds per call, and the difference of AdaIN's outputs in 1/255."""

    side_px: int
    batch: int
    seconds: dict[Way, list[float]]
    largest_difference: int
    mean_difference: float

    def ratio(self, way: Way, to: Way) -> float:
        """Return the speed of one way relative to another."""
        return median(self.seconds[to]) / median(self.seconds[way])


@dataclass(frozen=True)
class EngineReport:
    """All cases, each contestant's device, and a flag for random weights of swift."""

    cases: list[Case]
    facts: dict[str, dict[str, Any]]
    is_random: bool


def measure_engine(
    settings: Settings,
    folder: Path,
    sides_px: Sequence[int] = SIDES_PX,
    batches: Sequence[int] = BATCHES,
    case_budget_s: float = CASE_BUDGET_S,
    say: Callable[[str], None] = lambda _text: None,
) -> EngineReport:
    """Time every way at every size.

    Args:
        settings: Device, and our number type; the reference computes in fp32.
        folder: Folder of checkpoints, with ``adain.safetensors``; without ``swift.safetensors``, swift has random
            weights.
        sides_px: Sides of the square images.
        batches: Images per call.
        case_budget_s: Seconds of a case, after the least number of repetitions.
        say: Called with lines of progress.
    """
    with ExitStack() as stack:
        swift_folder, is_random = folder, not (folder / "swift.safetensors").exists()
        if is_random:
            swift_folder = Path(stack.enter_context(TemporaryDirectory()))
            say("engine: there is no checkpoint of swift, so one with random weights is timed")
            with Remote(RandomSwift, swift_folder / "swift.safetensors") as random:
                random.call("save")
        contestants = {
            name: stack.enter_context(Remote(make_ours, *arguments, settings.device, settings.dtype))
            for name, arguments in _ours(folder, swift_folder, settings.device).items()
        }
        device = contestants["adain"].call("facts")["device"]
        reference = stack.enter_context(Remote(make_reference, folder / "adain.safetensors", device))
        contestants = {"reference": reference, **contestants}
        cases = []
        for side_px in sides_px:
            for batch in batches:
                case = _measure_case(contestants, side_px, batch, case_budget_s)
                say(f"engine: {side_px} px, batch {batch}: {case.ratio(OURS, REFERENCE):.2f} × the reference")
                cases.append(case)
        return EngineReport(cases, {name: one.call("facts") for name, one in contestants.items()}, is_random)


def _ours(folder: Path, swift_folder: Path, device: str) -> dict[str, tuple[Path, str, BackendName]]:
    """Folder, model and backend of our contestants, by name."""
    ours: dict[str, tuple[Path, str, BackendName]] = {
        "adain": (folder, "adain", "torch"),
        "swift, torch": (swift_folder, "swift", "torch"),
    }
    if find_spec("openvino") is not None and device in ("auto", "cpu"):
        ours["swift, openvino"] = (swift_folder, "swift", "openvino")
    return ours


class RandomSwift:
    """A network of swift's size with random weights; it takes the same time as a trained one."""

    def __init__(self, path: Path) -> None:
        """Store the path of the checkpoint to write."""
        self._path = path

    def save(self) -> None:
        """Write the checkpoint."""
        import torch

        from model_store import checkpoint
        from model_store.checkpoint_metadata import CheckpointMetadata
        from model_store.swift import Swift

        network = Swift()
        torch.nn.init.normal_(network.last.weight, std=0.1)
        checkpoint.save(network, self._path, CheckpointMetadata(network="swift", arguments={}))


def _measure_case(contestants: dict[str, Remote], side_px: int, batch: int, budget_s: float) -> Case:
    ways = [REFERENCE, *(Way(name, is_new) for name in contestants for is_new in (False, True) if name != "reference")]
    for contestant in contestants.values():
        contestant.call("set_case", side_px, batch)
    seconds: dict[Way, list[float]] = {way: [] for way in ways}
    outputs = {}
    while (repetitions := len(seconds[OURS])) < MIN_REPETITIONS or (
        sum(map(sum, seconds.values())) < budget_s and repetitions < MAX_REPETITIONS
    ):
        for way in ways:
            seconds[way].append(contestants[way.contestant].call("time_s", way.is_new))
    for name in ("reference", "adain"):
        outputs[name] = contestants[name].call("outputs").astype(np.int16)
    difference = np.abs(outputs["reference"] - outputs["adain"])
    return Case(side_px, batch, seconds, int(difference.max()), float(difference.mean()))


def print_engine(report: EngineReport, console: Console) -> None:
    """Print the table."""
    table = Table(title="Engine: pixels to pixels, median of the repetitions", title_justify="left")
    for column in ("size", "batch", "network", "ms/image", "images/s", "× adain", "× reference", "repetitions"):
        table.add_column(column, justify="left" if column in ("size", "network") else "right")
    for case in report.cases:
        for way, seconds in case.seconds.items():
            each_s = median(seconds) / case.batch
            table.add_row(
                *(f"{case.side_px} px", str(case.batch), str(way), f"{each_s * 1000:.1f}", f"{1 / each_s:.2f}"),
                *(f"{case.ratio(way, OURS):.2f}", f"{case.ratio(way, REFERENCE):.2f}", str(len(seconds))),
            )
        table.add_section()
    console.print(table)
    if report.is_random:
        console.print("swift has random weights here: there is no checkpoint of it")
    for name, facts in report.facts.items():
        console.print(f"{name}: {facts['device']}, {facts['dtype']}, {facts['threads']} threads", highlight=False)
    for case in report.cases:
        size = f"{case.side_px} px, batch {case.batch}: adain"
        apart = f"{case.mean_difference:.2f} (mean), {case.largest_difference} (max)"
        console.print(f"{size} lies {apart} of 255 from the reference", highlight=False)
        if case.side_px == 512:
            ratio = case.ratio(OURS, REFERENCE)
            met = "met" if ratio >= WANTED_RATIO else "[red]missed[/red]"
            console.print(f"{size} is {ratio:.2f} × the reference, wanted {WANTED_RATIO:g}: {met}", highlight=False)
