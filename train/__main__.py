"""``python -m train``: one command per recipe."""

import os
from pathlib import Path
from typing import Annotated

import torch
import typer

from model_store.runtime import choose_runtime, keep_freed_memory
from model_store.vgg import WeightsError
from train.adain import AdaINTask
from train.data import DataError, PairCrops, list_images
from train.distributed import process_group
from train.loop import Training
from train.recipes import ADAIN_RECIPES
from train.state import StateError, load_state

app = typer.Typer(help="Train the networks that the service serves.", no_args_is_help=True, pretty_exceptions_show_locals=False)


@app.callback()
def main() -> None:
    """Train, measure, export."""


@app.command()
def adain(
    content: Annotated[list[Path], typer.Option(help="Folder of photos; may be repeated.")],
    style: Annotated[list[Path], typer.Option(help="Folder of paintings; may be repeated.")],
    vgg: str = "vgg16",
    out: Path = Path("runs/adain"),
    steps: int | None = None,
    seed: int = 0,
    save_minutes: float = 5.0,
    device: str = "auto",
    resume: bool = False,
) -> None:
    """tmp."""
    keep_freed_memory()
    runtime = choose_runtime(device)
    recipe = ADAIN_RECIPES["short"]
    state = load_state(out / "state.pt", "adain") if resume else None
    task = AdaINTask.from_vgg(vgg)
    with process_group(runtime.device) as rank:
        crops = PairCrops(list_images(content), list_images(style), recipe, steps or recipe.steps, seed, rank.index, rank.world_size)
        Training(task, recipe, crops, runtime, out, rank, 1, 60 * save_minutes, None, {}, state).run()


if __name__ == "__main__":
    app()
