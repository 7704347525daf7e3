"""``swift``, ``adain``, ``generator`` and ``add-style``: the commands that train."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from model_store.catalog import read_header
from model_store.runtime import keep_freed_memory
from train.adain import AdaINTask
from train.any_style import AnyStyleTask
from train.cli.options import (
    VGG_HELP,
    BatchOption,
    ContentOption,
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
    StyleRootOption,
    StylesOption,
    StyleWeightOption,
    WorkersOption,
    one_line_errors,
    positive,
)
from train.data import Crops, StyleDraws, folder_counts, list_images
from train.distributed import Rank, process_group
from train.generator import GeneratorTask, Plan, loss_network, new_network, style_images, with_new_row
from train.loop import Task, Training, training_runtime
from train.pool_crops import PoolCrops
from train.recipe import Recipe, SettingError, check_processes, customised
from train.recipes import ADAIN_RECIPES, ADD_STYLE_RECIPES, GENERATOR_RECIPES, SWIFT_RECIPES
from train.state import check_continues, load_state
from train.swift import SwiftTask
from train.tables import StyleFile, read_styles, unnamed_style

JudgeOption = Annotated[str, typer.Option("--vgg", help=f"The judge of the losses: {VGG_HELP}")]
StyleOption = Annotated[list[Path] | None, typer.Option(help="Image of a style; its name becomes the id. Repeat it.")]
PaintingsOption = Annotated[list[Path], typer.Option("--style", help="Folder of paintings; may be repeated.")]
EncoderOption = Annotated[
    str | None, typer.Option("--vgg", help=f"Encoder: {VGG_HELP} [default: vgg16, or that of --init]")
]
OnlyOption = Annotated[list[str] | None, typer.Option(help="Id of the table to train; all of them when not given.")]


def swift(
    content: ContentOption,
    style: PaintingsOption,
    vgg: EncoderOption = None,
    out: OutOption = Path("runs/swift"),
    recipe: Annotated[str, typer.Option(help=f"{', '.join(SWIFT_RECIPES)}: sizes and schedule.")] = "short",
    steps: StepsOption = None,
    crop: CropOption = None,
    batch_size: BatchOption = None,
    peak_lr: PeakOption = None,
    style_weight: StyleWeightOption = None,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
    save_minutes: SaveOption = 5.0,
    max_minutes: MaxMinutesOption = None,
    resume: ResumeOption = False,
    init: InitOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Train swift: any style, one small network that is fast on a CPU."""
    with one_line_errors():
        numbers = customised(SWIFT_RECIPES, recipe, crop, batch_size, peak_lr, style_weight)
        run = Run(out, numbers, steps, seed, workers, save_minutes, max_minutes, resume, init, device, dtype)
        run.train_any_style(SwiftTask, content, style, vgg)


def adain(
    content: ContentOption,
    style: PaintingsOption,
    vgg: EncoderOption = None,
    out: OutOption = Path("runs/adain"),
    recipe: Annotated[str, typer.Option(help=f"{', '.join(ADAIN_RECIPES)}: sizes and schedule.")] = "short",
    steps: StepsOption = None,
    crop: CropOption = None,
    batch_size: BatchOption = None,
    peak_lr: PeakOption = None,
    style_weight: StyleWeightOption = None,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
    save_minutes: SaveOption = 5.0,
    max_minutes: MaxMinutesOption = None,
    resume: ResumeOption = False,
    init: InitOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Train AdaIN: any style, one network."""
    with one_line_errors():
        numbers = customised(ADAIN_RECIPES, recipe, crop, batch_size, peak_lr, style_weight)
        run = Run(out, numbers, steps, seed, workers, save_minutes, max_minutes, resume, init, device, dtype)
        run.train_any_style(AdaINTask, content, style, vgg)


def generator(
    content: ContentOption,
    network: Annotated[str, typer.Option(help="residual or pyramid.")] = "residual",
    norm: Annotated[str, typer.Option(help="instance (one style), conditional or batch.")] = "conditional",
    style: StyleOption = None,
    styles: StylesOption = None,
    only: OnlyOption = None,
    style_root: StyleRootOption = Path(),
    vgg: JudgeOption = "vgg16",
    out: OutOption = Path("runs/generator"),
    recipe: Annotated[str, typer.Option(help=f"{', '.join(GENERATOR_RECIPES)}: sizes, losses, schedule.")] = "short",
    steps: StepsOption = None,
    crop: CropOption = None,
    batch_size: BatchOption = None,
    peak_lr: PeakOption = None,
    style_weight: StyleWeightOption = None,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
    save_minutes: SaveOption = 5.0,
    max_minutes: MaxMinutesOption = None,
    resume: ResumeOption = False,
    init: InitOption = None,
    init_style: Annotated[str | None, typer.Option(help="Start every style as this one of --init's.")] = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Train a generator whose styles are learned: the faster network, the styles fixed."""
    with one_line_errors():
        numbers = customised(GENERATOR_RECIPES, recipe, crop, batch_size, peak_lr, style_weight)
        run = Run(out, numbers, steps, seed, workers, save_minutes, max_minutes, resume, init, device, dtype)
        files = _style_files(style or [], styles, only or [], style_root)
        arguments = {"norm": norm, "styles": len(files)}
        run.train_generator(lambda: new_network(network, arguments, init, seed, init_style), files, content, vgg, {})


def add_style(
    content: ContentOption,
    model: Annotated[Path, typer.Option(help="An exported conditional generator.")],
    style: StyleOption = None,
    styles: StylesOption = None,
    only: OnlyOption = None,
    style_root: StyleRootOption = Path(),
    vgg: JudgeOption = "vgg16",
    out: OutOption = Path("runs/add-style"),
    recipe: Annotated[str, typer.Option(help=f"{', '.join(ADD_STYLE_RECIPES)}: sizes, losses, schedule.")] = "short",
    steps: StepsOption = None,
    crop: CropOption = None,
    batch_size: BatchOption = None,
    peak_lr: PeakOption = None,
    style_weight: StyleWeightOption = None,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
    save_minutes: SaveOption = 5.0,
    max_minutes: MaxMinutesOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Teach a conditional generator one more style: its convolutions stay, only the new row learns."""
    with one_line_errors():
        numbers = customised(ADD_STYLE_RECIPES, recipe, crop, batch_size, peak_lr, style_weight)
        run = Run(out, numbers, steps, seed, workers, save_minutes, max_minutes, resume, None, device, dtype)
        files = _style_files(style or [], styles, only or [], style_root)
        if len(files) != 1:
            raise SettingError(f"got {len(files)} styles: one is added at a time")
        plan = with_new_row(model)
        known = read_header(model)
        before = {"model": model.name, "sha256": known.sha256, "known": [asdict(named) for named in known.styles]}
        run.train_generator(lambda: plan, files, content, vgg, before)


@dataclass(frozen=True)
class Run:
    """What every training command is told besides its data."""

    out: Path
    recipe: Recipe
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
            lambda **common: PoolCrops(list_images(content), style=list_images(style), **common),
            {"content": folder_counts(content), "style": folder_counts(style), "seed": self.seed},
        )

    def train_generator(
        self,
        plan: Callable[[], Plan],
        files: Sequence[StyleFile],
        content: Sequence[Path],
        judge: str,
        data: dict[str, Any],
    ) -> None:
        """Train with learned styles.

        Raises:
            SettingError, DataError, StateError, WeightsError, CheckpointError: See ``train``.
        """
        pictures = style_images([file.path for file in files])
        named = [asdict(file.named) | {"file": "/".join(file.path.resolve().parts[-2:])} for file in files]
        self.train(
            lambda: GeneratorTask(plan(), loss_network(judge, self.recipe), self.recipe, pictures),
            lambda **common: StyleDraws(list_images(content), styles=len(files), **common),
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
        loaders = self.workers if self.workers is not None else (8 if runtime.device.type == "cuda" else 1)
        keep_freed_memory()
        with process_group(runtime.device) as rank:
            Training(
                started,
                self.recipe,
                made,
                runtime,
                self.out,
                rank,
                loaders,
                60 * self.save_minutes,
                self.max_minutes,
                data,
                state,
            ).run()


def _style_files(images: Sequence[Path], table: Path | None, only: Sequence[str], root: Path) -> list[StyleFile]:
    if bool(images) == (table is not None):
        raise SettingError("give the styles either as --style, one or more, or as --styles with a table")
    if table is None:
        return [unnamed_style(path) for path in images]
    files = {file.named.id: file for file in read_styles(table, root)}
    if unknown := [style_id for style_id in only if style_id not in files]:
        raise SettingError(f"--only {unknown[0]}: {table} has {', '.join(files)}")
    return [files[style_id] for style_id in only or files]
