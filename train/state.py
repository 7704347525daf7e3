"""The state of a training: everything that a resumed one needs to continue exactly."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.average import STEPS
from train.recipe import Augmentation, PoolSizes, Recipe, Stage, StyleMixing


class StateError(Exception):
    """A training state that cannot be used: names the file and the reason."""


@dataclass(frozen=True)
class TrainingState:
    """State of a training, saved every few minutes.

    Attributes:
        task: The command that made it, such as ``adain``.
        arguments: Arguments of the network's constructor.
        recipe: The training's recipe.
        steps: Total number of steps.
        step: Number of steps so far.
        seconds: Computing time so far, over all runs.
        losses: Running means of each loss term.
        data: Description of the training data, for the model card.
        network: State dict, fp32.
        optimizer: State dict.
        average: State of ``train.average.WeightAverage``; empty for a recipe without one.
        task_state: State of the task, such as its pools.
    """

    task: str
    arguments: dict[str, Any]
    recipe: Recipe
    steps: int
    step: int
    seconds: float
    losses: dict[str, float]
    data: dict[str, Any]
    network: dict[str, Tensor]
    optimizer: dict[str, Any]
    average: dict[str, Tensor]
    task_state: dict[str, Any]

    @property
    def shipped(self) -> dict[str, Tensor]:
        """The weights to export: their average, if the recipe has one."""
        return {name: tensor for name, tensor in self.average.items() if name != STEPS} or self.network

    def save(self, path: Path) -> None:
        """Write the file atomically: an interrupted save leaves the previous state."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        torch.save({**self.__dict__, "recipe": asdict(self.recipe)}, unfinished)
        os.replace(unfinished, path)


def load_state(path: Path, task: str | None = None) -> TrainingState:
    """Read a state; nothing in the file is executed.

    Raises:
        StateError: No such file, not a state, or the state of another task.
    """
    if not path.is_file():
        raise StateError(f"{path}: no such file; a training writes it as state.pt into its --out folder")
    try:
        fields = torch.load(path, map_location="cpu", weights_only=True)
        state = TrainingState(**{**fields, "recipe": _recipe(fields["recipe"])})
    except Exception as err:
        raise StateError(f"{path}: not a training state ({type(err).__name__}: {err})") from err
    if task is not None and state.task != task:
        raise StateError(f"{path}: a training of {state.task!r}, not of {task!r}")
    return state


def _recipe(fields: dict[str, Any]) -> Recipe:
    """Reverse ``asdict``."""
    stages = tuple(Stage(**stage) for stage in fields["stages"])
    parts: dict[str, Any] = {"pools": PoolSizes, "augmentation": Augmentation, "mixing": StyleMixing}
    nested = {name: kind(**fields[name]) for name, kind in parts.items() if fields[name] is not None}
    return Recipe(**{**fields, "stages": stages, **nested})


def check_continues(state: TrainingState, path: Path, recipe: Recipe, steps: int, data: dict[str, Any]) -> None:
    """Check that a resumed training has the same settings as before.

    Raises:
        StateError: A setting differs; says which.
    """
    for what, before, now in (("recipe", state.recipe, recipe), ("steps", state.steps, steps)):
        if before != now:
            raise StateError(
                f"{path}: its {what}: {before}; asked for: {now}. Resume with the same, or give another --out"
            )
    # A state of an earlier version does not describe its data.
    if state.data and state.data != data:
        raise StateError(f"{path}: trained on {state.data}, asked for {data}. Resume with the same, or use --init")
