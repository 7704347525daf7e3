"""The crops that a step adds to the pools: content crops of the step's size, and augmented style crops."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from train.data import Batch, Crops, random_crops
from train.recipe import STYLE_GRID_PX, Augmentation, PoolSizes, Stage

STRONGEST = 0.3
"""Largest change of brightness, and half the largest of contrast, of a recoloured style crop."""


@dataclass(frozen=True)
class PoolCrops(Crops):
    """Data set whose item ``step`` has the few crops that this step renews; below 0, one of each kind to fill pools."""

    style: Sequence[Path] = ()

    def __getitem__(self, step: int) -> Batch:
        """Read this process's new crops, batches of 0 or more."""
        pools, augmentation = self.recipe.pools, self.recipe.augmentation or Augmentation(0, 0, 0, 0)
        assert pools is not None
        stage, draw = self.plan(step)
        rng = random.Random(draw.seed)
        unreadable: list[Path] = []
        content = random_crops(self.content, renewals(step, pools.renewed), stage, rng, unreadable)
        style_stage = _style_stage(pools, rng)
        crops = [
            self._style_crop(style_stage, augmentation, rng, unreadable)
            for _ in range(renewals(step, pools.renewed, phase=0.5))
        ]
        return Batch(content, torch.stack(crops) if crops else content[:0], tuple(unreadable), step, draw)

    def _style_crop(
        self, stage: Stage, augmentation: Augmentation, rng: random.Random, unreadable: list[Path]
    ) -> Tensor:
        images = self.content if rng.random() < augmentation.photo else self.style
        return augmented(random_crops(images, 1, stage, rng, unreadable)[0], augmentation, rng)


def renewals(step: int, rate: float, phase: float = 0.0) -> int:
    """Count the crops that a step renews: a rate of 0.5 gives 1 and 0 alternately; ``phase`` shifts the order."""
    return 1 if step < 0 else math.floor((step + 1) * rate + phase) - math.floor(step * rate + phase)


def augmented(crop: Tensor, augmentation: Augmentation, rng: random.Random) -> Tensor:
    """Change a style crop's colours at random: (3, H, W), uint8 → the same."""
    if rng.random() < augmentation.permuted:
        crop = crop[rng.sample(range(3), 3)]
    if rng.random() < augmentation.negative:
        crop = 255 - crop
    if rng.random() < augmentation.recoloured:
        gains = torch.tensor([1 - STRONGEST + 2 * STRONGEST * rng.random() for _ in range(3)]).view(3, 1, 1)
        offsets = torch.tensor([255 * STRONGEST * (rng.random() - 0.5) for _ in range(3)]).view(3, 1, 1)
        crop = (crop * gains + offsets).round_().clamp_(0, 255).byte()
    return crop.contiguous()


def _style_stage(pools: PoolSizes, rng: random.Random) -> Stage:
    smallest, largest = (px // STYLE_GRID_PX for px in pools.style_px)
    return Stage(1.0, STYLE_GRID_PX * rng.randint(smallest, largest), 1, pools.style_shorter_px)
