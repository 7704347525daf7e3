"""``Run``: the settings of a training from the command line, and the options of all training commands."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from model_store.runtime import keep_freed_memory
from train.any_style import AnyStyleTask
from train.cli.options import (
    BatchOption,
    CropOption,
    DeviceOption,
    DtypeOption,
    InitOption,
    MaxMinutesOption,
    OutOption,
    PeakOption,
    ResumeOption,
    SaveOption,
    SeedOption,
    StepsOption,
    StyleWeightOption,
    WorkersOption,
    one_line_errors,
    positive,
)
from train.data import Crops, StyleDraws, folder_counts, images_left_out, list_images
from train.distributed import Rank, process_group
from train.generator import GeneratorTask, Plan, loss_network, style_images
from train.loop import Task, Training, training_runtime
from train.pool_crops import PoolCrops
from train.recipe import Recipe, SettingError, check_processes, customised
from train.state import check_continues, load_state
from train.tables import StyleFile


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training: its recipe, and the options that every training command has."""

    recipe: Recipe
    out: Path
    steps: int | None
    seed: int
    workers: int | None
    save_minutes: float
    max_minutes: float | None
    resume: bool
    init: Path | None
    device: str
    dtype: str

    def train_any_style(
        self, task: type[AnyStyleTask], content: Sequence[Path], style: Sequence[Path], vgg: str | None
    ) -> None:
        """Train a network of any style, with pools.

        Raises:
            SettingError, DataError, StateError, WeightsError, CheckpointError: See ``train``.
        """
        self.train(
            lambda: task.start(vgg, self.init, self.recipe, self.seed),
            lambda **common: PoolCrops(_images(content), style=_images(style), **common),
            {"content": folder_counts(content), "style": folder_counts(style), "seed": self.seed},
        )

    def train_generator(
        self,
        plan: Callable[[], Plan],
        files: Sequence[StyleFile],
        content: Sequence[Path],
        vgg: str,
        data: dict[str, Any],
    ) -> None:
        """Train with learned styles.

        Raises:
            SettingError, DataError, StateError, WeightsError, CheckpointError: See ``train``.
        """
        images = style_images([file.path for file in files])
        named = [asdict(file.named) | {"file": "/".join(file.path.resolve().parts[-2:])} for file in files]
        self.train(
            lambda: GeneratorTask(plan(), loss_network(vgg, self.recipe), self.recipe, images),
            lambda **common: StyleDraws(_images(content), styles=len(files), **common),
            {"content": folder_counts(content), "styles": named, "seed": self.seed, **data},
        )

    def train(self, task: Callable[[], Task], crops: Callable[..., Crops], data: dict[str, Any]) -> None:
        """Train to the end or the time limit, from the start or from the saved state.

        Raises:
            SettingError: Options that do not fit together.
            DataError: Images are missing.
            StateError: The saved state cannot be used, or is of another training.
            WeightsError: The VGG weights cannot be used.
            CheckpointError: The checkpoint to start from cannot be used.
        """
        rank = Rank.from_environment()
        runtime = training_runtime(rank.device_name(self.device), self.dtype)
        check_processes(self.recipe, rank.world_size)
        total = positive("--steps", self.recipe.steps if self.steps is None else self.steps)
        state_path = self.out / "state.pt"
        if state_path.exists() and not self.resume:
            raise SettingError(f"{state_path} exists: add --resume to go on with it, or give another --out")
        started = task()
        state = load_state(state_path, started.name) if self.resume else None
        if state is not None:
            check_continues(state, state_path, self.recipe, total, data)
        made = crops(recipe=self.recipe, steps=total, seed=self.seed, rank=rank.index, world_size=rank.world_size)
        keep_freed_memory()
        with process_group(runtime.device) as rank:
            Training(
                task=started,
                recipe=self.recipe,
                crops=made,
                runtime=runtime,
                out=self.out,
                rank=rank,
                workers=self.workers if self.workers is not None else (8 if runtime.device.type == "cuda" else 1),
                save_every_s=60 * self.save_minutes,
                max_minutes=self.max_minutes,
                data=data,
                resume=state,
            ).run()


COMMON_OPTIONS: dict[str, tuple[Any, Any]] = {
    "steps": (StepsOption, None),
    "crop": (CropOption, None),
    "batch_size": (BatchOption, None),
    "peak_lr": (PeakOption, None),
    "style_weight": (StyleWeightOption, None),
    "seed": (SeedOption, 0),
    "workers": (WorkersOption, None),
    "save_minutes": (SaveOption, 5.0),
    "max_minutes": (MaxMinutesOption, None),
    "resume": (ResumeOption, False),
    "init": (InitOption, None),
    "device": (DeviceOption, "auto"),
    "dtype": (DtypeOption, "auto"),
}
"""Options of all training commands: their types and defaults."""


def training_command(
    recipes: Mapping[str, Recipe], out: str, without: Sequence[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command, ``command(run, **its own options)``, the options of all trainings.

    Args:
        recipes: The values of ``--recipe``.
        out: Default of ``--out``.
        without: Names of common options that the command does not have.
    """
    recipe = Annotated[str, typer.Option(help=f"{', '.join(recipes)}: sizes, losses, schedule.")]
    common = {"out": (OutOption, Path(out)), "recipe": (recipe, "short"), **COMMON_OPTIONS}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def called(**values: Any) -> None:
            values = {**dict.fromkeys(without), **values}
            numbers = [values.pop(name) for name in ("recipe", "crop", "batch_size", "peak_lr", "style_weight")]
            rest = {field.name: values.pop(field.name) for field in fields(Run) if field.name != "recipe"}
            with one_line_errors():
                command(Run(recipe=customised(recipes, *numbers), **rest), **values)

        _, *own = inspect.signature(command).parameters.values()
        options = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        options += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, (kind, default) in common.items()
            if name not in without
        ]
        called.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        called.__annotations__ = {option.name: option.annotation for option in options}
        called.__name__, called.__doc__ = command.__name__, command.__doc__
        return called

    return decorate


def _images(folders: Sequence[Path]) -> list[Path]:
    """List the images of folders, and name what is left out."""
    images = list_images(folders)
    if others := images_left_out(folders):
        shown = ", ".join(map(str, others[:3])) + (", …" if len(others) > 3 else "")
        typer.echo(f"{len(others)} files are left out, of types that are not read: {shown}", err=True)
    return images
