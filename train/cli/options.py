"""Parts that the commands have in common: options, checks of their values, and errors in one line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from model_store.catalog import CatalogError, default_folder
from model_store.checkpoint_metadata import CheckpointError
from model_store.runtime import Runtime, choose_runtime
from model_store.vgg import WeightsError
from train.data import DataError
from train.recipe import SettingError
from train.state import StateError

VGG_HELP = "vgg16, vgg16-features or vgg19 (fetched by torchvision), or the path of a .safetensors file."

DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, mps or xpu.")]
DtypeOption = Annotated[str, typer.Option(help="Number type of the forward pass: auto, float32, bfloat16 or float16.")]
ContentOption = Annotated[list[Path], typer.Option(help="Folder of photos; may be repeated.")]
OutOption = Annotated[Path, typer.Option(help="Folder for state.pt and TensorBoard's files.")]
StepsOption = Annotated[int | None, typer.Option(help="Number of steps, instead of the recipe's.")]
CropOption = Annotated[int | None, typer.Option(help="Side of the crops in pixels, instead of the recipe's.")]
BatchOption = Annotated[int | None, typer.Option(help="Images a step over all processes.")]
PeakOption = Annotated[float | None, typer.Option(help="Highest learning rate, instead of the recipe's.")]
StyleWeightOption = Annotated[float | None, typer.Option(help="Weight of the style loss, instead of the recipe's.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the crops, the draws and the first weights.")]
WorkersOption = Annotated[int | None, typer.Option(help="Processes that decode images [default: 1, for a GPU 8]")]
SaveOption = Annotated[float, typer.Option(help="Minutes between two saved states.")]
MaxMinutesOption = Annotated[float | None, typer.Option(help="Stop after so many minutes; --resume continues.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue exactly where the state in --out ends.")]
InitOption = Annotated[
    Path | None, typer.Option(help="Start from an exported checkpoint's weights; a resumed training has its own.")
]

StylesOption = Annotated[
    Path | None, typer.Option(help="Table of styles: CSV with id, file, title, artist, year, rights.")
]
StyleRootOption = Annotated[Path, typer.Option(help="Folder that the table's files are relative to.")]

FOLDER = default_folder()
SHIPPED = FOLDER / "adain.safetensors"
SAMPLE = FOLDER / "sample.jpg"

WRONG_DATA, WRONG_OPTION = 1, 2
"""Exit codes; the second is also that of an unknown option."""


def runtime_of(device: str, dtype: str) -> Runtime:
    """Return the requested device and number type.

    Raises:
        SettingError: There is no such device or type.
    """
    try:
        return choose_runtime(device, dtype)
    except ValueError as err:
        raise SettingError(str(err)) from err


def positive(option: str, value: int) -> int:
    """Return the value, if it is at least 1.

    Raises:
        SettingError: It is less.
    """
    if value < 1:
        raise SettingError(f"{option} {value}: give at least 1")
    return value


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print errors that a user can correct in one line; anything else is a bug and keeps its traceback."""
    try:
        yield
    except SettingError as err:
        code, message = WRONG_OPTION, str(err)
    except (DataError, StateError, WeightsError, CheckpointError, CatalogError, FloatingPointError) as err:
        # An error from a loader process arrives with that process's traceback in its text, the error itself last.
        code, message = WRONG_DATA, str(err).rstrip().splitlines()[-1].removeprefix("train.data.DataError: ")
    else:
        return
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(code)
