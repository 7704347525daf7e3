"""Random crops of content images, with crops of style images or draws of styles, reproducible step by step.

The batch of a step depends on the seed, the step and the process's rank alone. So a resumed training gets exactly the
batches of an uninterrupted one, with any number of loader processes.
"""

import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from model_store.folders import SUFFIXES as COMMON_SUFFIXES
from model_store.folders import files_below, left_out
from model_store.image_files import ImageFile, ImageFileError, resized
from train.recipe import Recipe, Stage

SUFFIXES = frozenset({*COMMON_SUFFIXES, ".bmp", ".tif", ".tiff"})

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "TIFF")
"""Pillow's names of the formats that are read, whatever suffix a file has."""

MAX_PIXELS = 180_000_000
"""Largest number of pixels of a file: a few bytes can announce any number."""

BICUBIC = partial(resized, resample=Image.Resampling.BICUBIC)


class DataError(Exception):
    """A folder or table that cannot be used: names it and says what is missing."""


@dataclass(frozen=True)
class Draw:
    """A number of crops of one size, and the seed of this step and process."""

    crop_px: int
    count: int
    seed: str


@dataclass(frozen=True)
class Batch:
    """One step's images.

    Attributes:
        content: Crops of content images, (B, 3, crop, crop), uint8.
        style: Crops of style images, like ``content``; or, for a network that learns its styles, (B, 2), int64: the
            number of the style, and the seed of the noise.
        unreadable: Files that could not be read and were replaced by others.
        step: Number of the step; below 0 for batches that only fill pools.
        draw: Size, number and seed of this step's draw from pools, for trainings that have some.
    """

    content: Tensor
    style: Tensor
    unreadable: tuple[Path, ...]
    step: int
    draw: Draw

    def pin_memory(self) -> "Batch":
        """Pin the memory, so that the copy to a GPU overlaps with computing; called by the loader."""
        return replace(self, content=self.content.pin_memory(), style=self.style.pin_memory())


def list_images(folders: Sequence[Path]) -> list[Path]:
    """List every image file below the folders, sorted.

    Raises:
        DataError: A folder is missing, or has no image.
    """
    paths: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
        found = sorted(
            path for path in files_below(folder) if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        )
        if not found:
            raise DataError(f"{folder}: no images in it; looked for {', '.join(sorted(SUFFIXES))}")
        paths += found
    return paths


def images_left_out(folders: Sequence[Path]) -> list[Path]:
    """List the files below the folders that look like images, and that ``list_images`` leaves out."""
    return [path for folder in folders for path in left_out(files_below(folder), SUFFIXES)]


def folder_counts(folders: Sequence[Path]) -> dict[str, int]:
    """Count the images of each folder, by the last two parts of its path, for the model card.

    Raises:
        DataError: A folder is missing, or has no image.
    """
    counts: Counter[str] = Counter()
    for folder in folders:
        counts["/".join(folder.resolve().parts[-2:])] += len(list_images([folder]))
    return dict(counts)


def open_file(path: Path) -> ImageFile:
    """Open an image file, without reading its pixels.

    Raises:
        OSError: The file cannot be read.
        ImageFileError: It is not an image of ``FORMATS``, is damaged, or has more than ``MAX_PIXELS``.
    """
    file = ImageFile(path.read_bytes(), FORMATS)
    if file.width * file.height > MAX_PIXELS:
        raise ImageFileError(f"got {file.width} × {file.height} pixels, at most {MAX_PIXELS} in all are allowed")
    return file


def random_crop(path: Path, stage: Stage, rng: random.Random) -> np.ndarray:
    """Read a random square of an image at a random scale, mirrored half of the time: (crop, crop, 3), uint8.

    Raises:
        OSError: The file cannot be read.
        ImageFileError: The file cannot be decoded.
    """
    file = open_file(path)
    shorter_px = max(stage.crop_px, rng.randint(*stage.shorter_px))
    side = min(file.width, file.height) * stage.crop_px / shorter_px  # of the crop, in pixels of the file
    left, top = rng.random() * (file.width - side), rng.random() * (file.height - side)
    crop = file.read((stage.crop_px, stage.crop_px), (left, top, left + side, top + side), BICUBIC).rgb
    pixels = np.asarray(crop)
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


@dataclass(frozen=True)
class Crops(Dataset[Batch]):
    """Data set whose item ``step`` is that step's batch. Subclasses add the styles."""

    content: Sequence[Path]
    recipe: Recipe
    steps: int
    seed: int = 0
    rank: int = 0
    world_size: int = 1

    def __getitem__(self, step: int) -> Batch:
        """Read this process's part of the batch."""
        stage, draw = self.plan(step)
        rng = random.Random(draw.seed)
        unreadable: list[Path] = []
        content = random_crops(self.content, draw.count, stage, rng, unreadable)
        style = self._styles(draw.count, stage, rng, unreadable)
        return Batch(content, style, tuple(unreadable), step, draw)

    def plan(self, step: int) -> tuple[Stage, Draw]:
        """Return the sizes of a step, and this process's part of its batch."""
        stage = self.recipe.stage(step, self.steps, self.seed)
        count = max(1, stage.batch_size // self.world_size)
        return stage, Draw(stage.crop_px, count, f"{self.seed}/{step}/{self.rank}")

    def _styles(self, count: int, stage: Stage, rng: random.Random, unreadable: list[Path]) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class PairCrops(Crops):
    """Crops of content images and of style images."""

    style: Sequence[Path] = ()

    def _styles(self, count: int, stage: Stage, rng: random.Random, unreadable: list[Path]) -> Tensor:
        return random_crops(self.style, count, stage, rng, unreadable)


@dataclass(frozen=True)
class StyleDraws(Crops):
    """Crops of content images, and for each a draw of one of the styles, all equally likely, and of a seed."""

    styles: int = 1

    def _styles(self, count: int, stage: Stage, rng: random.Random, unreadable: list[Path]) -> Tensor:
        return torch.tensor([(rng.randrange(self.styles), rng.randrange(2**31)) for _ in range(count)])


def random_crops(paths: Sequence[Path], count: int, stage: Stage, rng: random.Random, unreadable: list[Path]) -> Tensor:
    """Read crops of ``count`` images, drawn with replacement: (count, 3, crop, crop), uint8, channels last in memory.

    Raises:
        DataError: A hundred images in a row cannot be read; fewer are noted in ``unreadable`` and skipped.
    """
    crops: list[np.ndarray] = []
    failures = 0
    while len(crops) < count:
        path = rng.choice(paths)
        try:
            crops.append(random_crop(path, stage, rng))
            failures = 0
        except (OSError, ImageFileError):
            unreadable.append(path)
            failures += 1
            if failures > 100:
                raise DataError(f"{path.parent}: 100 images in a row cannot be read, the last is {path.name}") from None
    if not crops:
        return torch.empty(0, 3, stage.crop_px, stage.crop_px, dtype=torch.uint8)
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def batches(crops: Crops, first_step: int, workers: int, pin_memory: bool) -> Iterator[Batch]:
    """Yield the batches of ``first_step`` and all later steps, decoded ahead by ``workers`` processes."""
    loader = DataLoader(
        crops,
        batch_size=None,  # an item is a batch already
        sampler=range(first_step, crops.steps),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=pin_memory,
        worker_init_fn=_leave_signals_to_the_trainer,
    )
    batches_ahead = iter(loader)
    try:
        yield from batches_ahead
    finally:
        # The loaders ignore SIGTERM, by which the interpreter would end them: one that is still alive while an error is
        # handled would keep this process from ending.
        if hasattr(batches_ahead, "_shutdown_workers"):
            batches_ahead._shutdown_workers()


def _leave_signals_to_the_trainer(_worker: int) -> None:
    """Ignore Ctrl-C and SIGTERM in a loader process, which must live until the training has saved its state."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
