"""The engine alone: the reference implementation's way beside ours, from RGB pixels to RGB pixels.

Each lives in a process of its own and they take turns, call by call, so that what else the machine does meets both.
A call ends when its pixels are on the host, so a GPU has finished too.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.pictures import painting, photo
from bench.remote import Remote
from service.settings import Settings

SIDES_PX = (256, 512)
BATCHES = (1, 8)
CASE_BUDGET_S = 20.0
MIN_REPETITIONS = 3
MAX_REPETITIONS = 40
WANTED_RATIO = 3.0

Paint = Callable[[Sequence[Image.Image], Sequence[Image.Image]], list[Image.Image]]


class Contestant:
    """One way to paint, with the pictures of the current case."""

    def __init__(self, paint: Paint, facts: dict[str, Any], remembers: bool) -> None:
        """``facts`` say on what it runs; ``remembers``, whether a style is encoded once only."""
        self._paint = paint
        self._facts = facts
        self._remembers = remembers
        self._painted: list[Image.Image] = []
        self._contents: list[Image.Image] = []
        self._styles: list[Image.Image] = []

    def facts(self) -> dict[str, Any]:
        """Device, number type, threads."""
        return self._facts

    def set_case(self, side_px: int, batch: int) -> None:
        """Make ready for a size: each picture is painted once, alone, which also encodes the styles that are kept."""
        self._contents = [photo(side_px, side_px, index) for index in range(batch)]
        self._styles = [painting(side_px, side_px, index) for index in range(batch)]
        for index in range(batch if self._remembers else 1):
            self._paint(self._contents[index : index + 1], self._styles[index : index + 1])

    def time_s(self) -> float:
        """One call."""
        started = perf_counter()
        self._painted = self._paint(self._contents, self._styles)
        return perf_counter() - started

    def pictures(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Of the last timed call: (B, H, W, 3)."""
        return np.stack([np.asarray(image) for image in self._painted])


def make_reference(path: Path, device: str) -> Contestant:
    """The baseline."""
    import torch

    from bench.reference import ReferencePainter

    painter = ReferencePainter(path, device)
    facts = {"device": device, "dtype": "float32", "threads": torch.get_num_threads()}
    return Contestant(painter.paint, facts, remembers=False)


def make_ours(folder: Path, device: str, dtype: str) -> Contestant:
    """What a worker does: its stylizer, its number type, its allocator."""
    import torch

    from model_store.runtime import choose_runtime, keep_freed_memory
    from service.stylizer import Stylizer
    from service.work.painting import Painting, Upload

    keep_freed_memory()
    runtime = choose_runtime(device, dtype)
    stylizer = Stylizer(folder, runtime, style_cache_entries=64)
    digests: dict[int, str] = {}

    def paint(contents: Sequence[Image.Image], styles: Sequence[Image.Image]) -> list[Image.Image]:
        for style in styles:
            if id(style) not in digests:  # in the service this happens to the file, while it is decoded
                digests[id(style)] = hashlib.sha256(style.tobytes()).hexdigest()
        paintings = [
            Painting(content, [(1.0, Upload(digests[id(style)], style, None))], 1.0)
            for content, style in zip(contents, styles, strict=True)
        ]
        return stylizer.paint("adain", paintings)

    dtype_name = str(runtime.dtype).removeprefix("torch.")
    facts = {"device": str(runtime.device), "dtype": dtype_name, "threads": torch.get_num_threads()}
    return Contestant(paint, facts, remembers=True)


@dataclass(frozen=True)
class Case:
    """What was measured at one size: seconds per call, and how far the pictures lie apart in 1/255."""

    side_px: int
    batch: int
    reference_s: list[float]
    ours_s: list[float]
    largest_difference: int
    mean_difference: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return median(self.reference_s) / median(self.ours_s)


@dataclass(frozen=True)
class EngineReport:
    """All cases, and what both ran on."""

    cases: list[Case]
    reference_facts: dict[str, Any]
    our_facts: dict[str, Any]


def measure_engine(
    settings: Settings,
    folder: Path,
    sides_px: Sequence[int] = SIDES_PX,
    batches: Sequence[int] = BATCHES,
    case_budget_s: float = CASE_BUDGET_S,
    say: Callable[[str], None] = lambda _text: None,
) -> EngineReport:
    """Time both at every size.

    Args:
        settings: Say the device, and our number type; the reference computes in fp32.
        folder: Of checkpoints, with ``adain.safetensors``.
        sides_px: Of the square pictures.
        batches: Pictures per call.
        case_budget_s: No further repetition of a case after so long, beyond the least.
        say: Told what happens.
    """
    with Remote(make_ours, folder, settings.device, settings.dtype) as ours:
        our_facts = ours.call("facts")
        with Remote(make_reference, folder / "adain.safetensors", our_facts["device"]) as reference:
            reference_facts = reference.call("facts")
            cases = []
            for side_px in sides_px:
                for batch in batches:
                    case = _measure_case(reference, ours, side_px, batch, case_budget_s)
                    say(f"engine: {side_px} px, batch {batch}: {case.ratio:.2f} × the reference")
                    cases.append(case)
    return EngineReport(cases, reference_facts, our_facts)


def _measure_case(reference: Remote, ours: Remote, side_px: int, batch: int, budget_s: float) -> Case:
    for contestant in (reference, ours):
        contestant.call("set_case", side_px, batch)
    reference_s: list[float] = []
    ours_s: list[float] = []
    while len(ours_s) < MIN_REPETITIONS or (
        sum(reference_s) + sum(ours_s) < budget_s and len(ours_s) < MAX_REPETITIONS
    ):
        reference_s.append(reference.call("time_s"))
        ours_s.append(ours.call("time_s"))
    expected, painted = (contestant.call("pictures").astype(np.int16) for contestant in (reference, ours))
    difference = np.abs(expected - painted)
    return Case(side_px, batch, reference_s, ours_s, int(difference.max()), float(difference.mean()))


def print_engine(report: EngineReport, console: Console) -> None:
    """The table."""
    table = Table(title="Engine: pixels to pixels, median of the repetitions", title_justify="left")
    table.add_column("size")
    for column in ("batch", "ms/image\nreference", "ms/image\nours", "images/s\nreference", "images/s\nours", "ratio"):
        table.add_column(column, justify="right")
    table.add_column("repetitions", justify="right")
    table.add_column("difference/255\nmean, max", justify="right")
    for case in report.cases:
        reference_s, ours_s = median(case.reference_s) / case.batch, median(case.ours_s) / case.batch
        table.add_row(
            f"{case.side_px} px",
            str(case.batch),
            f"{reference_s * 1000:.1f}",
            f"{ours_s * 1000:.1f}",
            f"{1 / reference_s:.2f}",
            f"{1 / ours_s:.2f}",
            f"{case.ratio:.2f} ×",
            str(len(case.ours_s)),
            f"{case.mean_difference:.2f}, {case.largest_difference}",
        )
    console.print(table)
    for name, facts in (("reference", report.reference_facts), ("ours", report.our_facts)):
        console.print(f"{name}: {facts['device']}, {facts['dtype']}, {facts['threads']} threads", highlight=False)
    for case in report.cases:
        if case.side_px == 512:
            met = "met" if case.ratio >= WANTED_RATIO else "[red]missed[/red]"
            console.print(
                f"512 px, batch {case.batch}: {case.ratio:.2f} × the reference, wanted {WANTED_RATIO:g}: {met}",
                highlight=False,
            )
