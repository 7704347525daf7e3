"""Progress display of ``stylize``, and its messages at the end."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from service.cli.files import FilePair


@dataclass(frozen=True)
class Outcome:
    """Outcome of a photo: the seed of its noise, if it has one, or the reason why there is no output."""

    pair: FilePair
    seed: int | None = None
    error: str | None = None


class ProgressDisplay:
    """Bars, on a terminal only: one for all photos, and one for each that is painted in steps."""

    def __init__(self, console: Console, total: int, draws_seeds: bool) -> None:
        """Prepare the bars; ``draws_seeds`` means that no seed was given, so that those drawn are reported."""
        self._console = console
        self._draws_seeds = draws_seeds
        self._outcomes: list[Outcome] = []
        self._steps: dict[FilePair, TaskID] = {}
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._bars.add_task("painting", total=total) if total > 1 else None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def step(self, pair: FilePair, done: float, total: float) -> None:
        """Report the progress of a photo that is painted in steps."""
        if pair not in self._steps:
            self._steps[pair] = self._bars.add_task(str(pair), total=total)
        self._bars.update(self._steps[pair], completed=done, total=total)

    def done(self, outcome: Outcome) -> None:
        """Report the outcome of a photo."""
        self._outcomes.append(outcome)
        if (bar := self._steps.pop(outcome.pair, None)) is not None:
            self._bars.remove_task(bar)
        if self._all is not None:
            self._bars.advance(self._all)

    @property
    def seeds(self) -> list[str]:
        """List the seeds that were drawn, a line each."""
        drawn = [outcome for outcome in self._outcomes if outcome.seed is not None and self._draws_seeds]
        return [f"{outcome.pair.output or 'stdout'}: seed {outcome.seed}" for outcome in drawn]

    @property
    def failures(self) -> list[str]:
        """List the photos that could not be painted, a line each."""
        return [f"{outcome.pair}: {outcome.error}" for outcome in self._outcomes if outcome.error is not None]
