"""Short trainings with a record of the losses step by step, by the training loop of the served networks."""

import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from experiments.plots import Line, Panel, smoothed
from experiments.results import Row, environment, log
from model_store.runtime import Runtime
from train.data import Crops
from train.distributed import Rank
from train.loop import Task, Training
from train.recipe import Recipe

SMOOTHING = 0.05
"""Fraction of the steps over whose losses a plotted point is the mean."""

TOTAL = "total"
"""The weighted sum of a loss's terms."""


@dataclass(frozen=True)
class Schedule:
    """Training settings that all networks of an experiment have in common."""

    recipe: Recipe
    steps: int
    seed: int
    runtime: Runtime
    workers: int

    def settings(self) -> Row:
        """Settings for the results."""
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
        """Train to the end, and keep only the network and its losses.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM ended the loop early.
        """
        log(f"training: {label}")
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
    """Learning curve: the terms of a training's loss and their weighted sum, step by step."""

    label: str
    losses: tuple[dict[str, float], ...]
    seconds: float

    def of(self, term: str) -> list[float]:
        """Values of one term, by step."""
        return [losses[term] for losses in self.losses]

    def end(self, term: str) -> float:
        """Mean over the last tenth of the steps."""
        last = self.of(term)[-max(1, len(self.losses) // 10) :]
        return sum(last) / len(last)


def with_total(terms: Mapping[str, float], recipe: Recipe) -> dict[str, float]:
    """Add the weighted sum to the terms of a loss."""
    return {**terms, TOTAL: sum(recipe.weights[name] * value for name, value in terms.items())}


@torch.no_grad()
def held_out(task: Task, pairs: Iterable[tuple[Tensor, Tensor]], schedule: Schedule) -> dict[str, float]:
    """Median of each term of the training's loss on held-out pairs, in fp32, in evaluation mode."""
    task.network.eval()
    device = schedule.runtime.device
    rows = []
    for content, style in pairs:
        terms = task.losses(content.to(device), style.to(device))
        rows.append(with_total({name: value.item() for name, value in terms.items()}, schedule.recipe))
    return {name: median(one[name] for one in rows) for name in rows[0]}


def curve_rows(curves: Sequence[Curve]) -> list[Row]:
    """Rows for the CSV: one for each step."""
    return [
        {"training": curve.label, "step": step, **losses}
        for curve in curves
        for step, losses in enumerate(curve.losses, 1)
    ]


def curve_panels(curves: Sequence[Curve], terms: Sequence[str]) -> list[Panel]:
    """Panels for the plot: one for each term, with a line for each training."""
    panels = []
    for term in terms:
        lines = []
        for curve in curves:
            values = smoothed(curve.of(term), max(1, round(SMOOTHING * len(curve.losses))))
            lines.append(Line(curve.label, range(1, len(values) + 1), values))
        panels.append(Panel(f"{term} loss", "step", lines, log=term != "content"))
    return panels
