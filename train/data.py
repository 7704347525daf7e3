"""Random crops of photos, and of paintings or draws of styles beside them, reproducible step by step.

The batch of a step depends on the seed, the step and the process's rank alone. So a resumed training sees exactly the
batches that an uninterrupted one sees, however many loader processes there are.
"""

import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from model_store.image_files import ImageFile, ImageFileError
from train.recipe import Recipe, Stage

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".bmp", ".tif", ".tiff"})

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "TIFF")
"""Pillow's names of what is read, whatever suffix a file has."""

MAX_PIXELS = 180_000_000
"""The most pixels of a file: a few bytes can announce any number."""


class DataError(Exception):
    """A folder that cannot be trained on: names it and says what it lacks."""


@dataclass(frozen=True)
class Draw:
    """So many crops of one size, by a seed of this step and process."""

    crop_px: int
    count: int
    seed: str


@dataclass(frozen=True)
class Batch:
    """One step's images.

    Attributes:
        content: Crops of photos, (B, 3, crop, crop), uint8.
        style: Crops of paintings, like ``content``; or, for a network that learns its styles, (B, 2), int64: the
            number of the style to paint, and the seed of the noise.
        unreadable: Files that could not be read on the way.
        step: The step that it is for; below 0 for those that only fill pools.
        draw: What is drawn from pools at this step, for trainings that have some.
    """

    content: Tensor
    style: Tensor
    unreadable: tuple[Path, ...]
    step: int
    draw: Draw

    def pin_memory(self) -> "Batch":
        """Called by the loader for a GPU, so that the copy there overlaps with computing."""
        return replace(self, content=self.content.pin_memory(), style=self.style.pin_memory())


def list_images(folders: Sequence[Path]) -> list[Path]:
    """Every image file below the folders, sorted.

    Raises:
        DataError: A folder is missing, or has no image.
    """
    paths: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not found:
            raise DataError(f"{folder}: no images in it; looked for {', '.join(sorted(SUFFIXES))}")
        paths += found
    return paths


def folder_counts(folders: Sequence[Path]) -> dict[str, int]:
    """How many images each folder has, by the last two parts of its path: what a model card says of the data.

    Raises:
        DataError: A folder is missing, or has no image.
    """
    counts: Counter[str] = Counter()
    for folder in folders:
        counts["/".join(folder.resolve().parts[-2:])] += len(list_images([folder]))
    return dict(counts)


def open_file(path: Path) -> ImageFile:
    """An image file, its pixels still to be read.

    Raises:
        OSError: The file cannot be read.
        ImageFileError: It is no image of ``FORMATS``, is damaged, or has more than ``MAX_PIXELS``.
    """
    file = ImageFile(path.read_bytes(), FORMATS)
    if file.width * file.height > MAX_PIXELS:
        raise ImageFileError(f"got {file.width} × {file.height} pixels, at most {MAX_PIXELS} in all are allowed")
    return file


def random_crop(path: Path, stage: Stage, rng: random.Random) -> np.ndarray:
    """A random square of an image at a random scale, mirrored half of the time: (crop, crop, 3), uint8.

    Raises:
        OSError: The file cannot be read.
        ImageFileError: The file cannot be decoded.
    """
    file = open_file(path)
    shorter_px = max(stage.crop_px, rng.randint(*stage.shorter_px))
    side = min(file.width, file.height) * stage.crop_px / shorter_px  # of the crop, in pixels of the file
    left, top = rng.random() * (file.width - side), rng.random() * (file.height - side)
    crop = file.read((stage.crop_px, stage.crop_px), (left, top, left + side, top + side), Image.Resampling.BICUBIC).rgb
    pixels = np.asarray(crop)
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


@dataclass(frozen=True)
class Crops(Dataset[Batch]):
    """Item ``step`` is that step's batch. Subclasses say what stands beside the photos."""

    content: Sequence[Path]
    recipe: Recipe
    steps: int
    seed: int = 0
    rank: int = 0
    world_size: int = 1

    def __getitem__(self, step: int) -> Batch:
        """This process's share of the batch."""
        stage, draw = self.plan(step)
        rng = random.Random(draw.seed)
        unreadable: list[Path] = []
        content = random_crops(self.content, draw.count, stage, rng, unreadable)
        style = self._styles(draw.count, stage, rng, unreadable)
        return Batch(content, style, tuple(unreadable), step, draw)

    def plan(self, step: int) -> tuple[Stage, Draw]:
        """The sizes of a step, and this process's share of its batch."""
        stage = self.recipe.stage(step, self.steps, self.seed)
        share = max(1, stage.batch_size // self.world_size)
        return stage, Draw(stage.crop_px, share, f"{self.seed}/{step}/{self.rank}")

    def _styles(self, count: int, stage: Stage, rng: random.Random, unreadable: list[Path]) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class PairCrops(Crops):
    """Crops of photos and of paintings."""

    style: Sequence[Path] = ()

    def _styles(self, count: int, stage: Stage, rng: random.Random, unreadable: list[Path]) -> Tensor:
        return random_crops(self.style, count, stage, rng, unreadable)


@dataclass(frozen=True)
class StyleDraws(Crops):
    """Crops of photos, and for each a draw of one of so many styles, all equally likely, and of a seed."""

    styles: int = 1

    def _styles(self, count: int, stage: Stage, rng: random.Random, unreadable: list[Path]) -> Tensor:
        return torch.tensor([(rng.randrange(self.styles), rng.randrange(2**31)) for _ in range(count)])


def random_crops(paths: Sequence[Path], count: int, stage: Stage, rng: random.Random, unreadable: list[Path]) -> Tensor:
    """Crops of so many images, drawn with replacement: (count, 3, crop, crop), uint8, channels last in memory.

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
    """The batches of ``first_step`` and all later steps, decoded ahead by ``workers`` processes."""
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
        # The loaders ignore SIGTERM, by which the interpreter would end them: one left alive by an error that is still
        # being handled makes the process wait for it for ever.
        if hasattr(batches_ahead, "_shutdown_workers"):
            batches_ahead._shutdown_workers()


def _leave_signals_to_the_trainer(_worker: int) -> None:
    """Ctrl-C and a terminating group reach the loaders too; they must live until the trainer has saved its state."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
