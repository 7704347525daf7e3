"""Short trainings whose losses are kept step by step, on the loop that trains the served networks."""

import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from experiments.plots import Line, Panel, smoothed
from experiments.results import Row, environment, say
from model_store.runtime import Runtime
from train.data import Crops
from train.distributed import Rank
from train.loop import Task, Training
from train.recipe import Recipe

SMOOTHING = 0.05
"""Share of the steps that a plotted point is the mean of."""

TOTAL = "total"
"""The weighted sum of a loss's terms."""


@dataclass(frozen=True)
class Schedule:
    """How the networks of an experiment are trained, all alike."""

    recipe: Recipe
    steps: int
    seed: int
    runtime: Runtime
    workers: int

    def settings(self) -> Row:
        """For the results."""
        stage = self.recipe.stages[-1]
        return {
            "steps": self.steps,
            "crop_px": stage.crop_px,
            "batch_size": stage.batch_size,
            "peak_lr": self.recipe.peak_lr,
            "loss_weights": " ".join(f"{name}={weight:g}" for name, weight in self.recipe.weights.items()),
            "seed": self.seed,
            **environment(self.runtime),
        }

    def train(self, label: str, task: Task, crops: Crops) -> "Curve":
        """Train to the end, and forget all but the network and its losses.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM, after which the loop ends early but in order.
        """
        say(f"training: {label}")
        losses: list[dict[str, float]] = []
        with tempfile.TemporaryDirectory() as folder:
            training = Training(
                task=task,
                recipe=self.recipe,
                crops=crops,
                runtime=self.runtime,
                out=Path(folder),
                rank=Rank(0, 0, 1),
                workers=self.workers,
                save_every_s=math.inf,
                max_minutes=None,
                data={},
                on_step=lambda _, terms: losses.append(with_total(terms, self.recipe)),
            )
            state = training.run()
        if state.step < self.steps:
            raise KeyboardInterrupt
        return Curve(label, tuple(losses), state.seconds)


@dataclass(frozen=True)
class Curve:
    """A training: the terms of its loss and their weighted sum, step by step."""

    label: str
    losses: tuple[dict[str, float], ...]
    seconds: float

    def of(self, term: str) -> list[float]:
        """One term, by step."""
        return [losses[term] for losses in self.losses]

    def end(self, term: str) -> float:
        """Mean over the last tenth of the steps."""
        last = self.of(term)[-max(1, len(self.losses) // 10) :]
        return sum(last) / len(last)


def with_total(terms: Mapping[str, float], recipe: Recipe) -> dict[str, float]:
    """The terms of a loss and what the recipe makes of them."""
    return {**terms, TOTAL: sum(recipe.weights[name] * value for name, value in terms.items())}


@torch.no_grad()
def held_out(task: Task, pictures: Iterable[tuple[Tensor, Tensor]], schedule: Schedule) -> dict[str, float]:
    """The training's own loss on pictures it has not seen: the median of each term, in fp32, in evaluation mode."""
    task.network.eval()
    device = schedule.runtime.device
    rows = []
    for content, style in pictures:
        terms = task.losses(content.to(device), style.to(device))
        rows.append(with_total({name: value.item() for name, value in terms.items()}, schedule.recipe))
    return {name: median(one[name] for one in rows) for name in rows[0]}


def curve_rows(curves: Sequence[Curve]) -> list[Row]:
    """For the CSV: one row a step."""
    return [
        {"training": curve.label, "step": step, **losses}
        for curve in curves
        for step, losses in enumerate(curve.losses, 1)
    ]


def curve_panels(curves: Sequence[Curve], terms: Sequence[str]) -> list[Panel]:
    """For the plot: a panel a term, a line a training."""
    panels = []
    for term in terms:
        lines = []
        for curve in curves:
            values = smoothed(curve.of(term), max(1, round(SMOOTHING * len(curve.losses))))
            lines.append(Line(curve.label, range(1, len(values) + 1), values))
        panels.append(Panel(f"{term} loss", "step", lines, log=term != "content"))
    return panels
