"""What differs between trainings, in one literal table: sizes, schedule, loss weights.

``full`` has the paper's sizes (Huang & Belongie 2017, section 6: batches of 8, 256 px crops, shorter side 512, 160 k
steps, λ = 10); ``short`` reaches a usable network in some CPU hours by starting on small crops. Both use the relative
losses of ``model_store.perceptual`` and a one-cycle learning rate instead of the paper's slow 1e-4 decay.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace


class SettingError(Exception):
    """An option that is out of range, or options that do not fit together."""


@dataclass(frozen=True)
class Stage:
    """A part of the training with its own sizes. ``until`` is a share of all steps.

    Each image is scaled so that its shorter side is a random length within ``shorter_px``, then cropped at random:
    crops of one size at many scales, so that one network serves small and large pictures.
    """

    until: float
    crop_px: int
    batch_size: int
    shorter_px: tuple[int, int]


@dataclass(frozen=True)
class Recipe:
    """A training's fixed numbers.

    Attributes:
        steps: How many, unless the command line says otherwise.
        stages: In order; the last ends at 1.
        weights: Of each loss term.
        peak_lr: Highest learning rate of the one-cycle schedule.
        warmup: Share of the steps that the learning rate rises.
        betas: Of Adam.
        clip_norm: Largest gradient norm.
    """

    steps: int
    stages: tuple[Stage, ...]
    weights: dict[str, float]
    peak_lr: float
    warmup: float = 0.05
    betas: tuple[float, float] = (0.9, 0.99)
    clip_norm: float = 1.0

    def stage(self, step: int, steps: int) -> Stage:
        """The stage that a step belongs to, of ``steps`` in all."""
        return next((stage for stage in self.stages if step < stage.until * steps), self.stages[-1])

    def learning_rate(self, step: int, steps: int) -> float:
        """One cycle: a linear rise from 4 % of the peak, then a cosine to zero (Smith & Topin 2018)."""
        rise = max(1, round(self.warmup * steps))
        if step < rise:
            return self.peak_lr * (0.04 + 0.96 * step / rise)
        return self.peak_lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


ADAIN_RECIPES = {
    "short": Recipe(
        steps=3000,
        stages=(Stage(0.6, 128, 8, (144, 400)), Stage(1.0, 256, 2, (288, 512))),
        weights={"content": 1.0, "style": 7.0},
        peak_lr=1e-3,
    ),
    "full": Recipe(
        steps=160_000,
        stages=(Stage(1.0, 256, 8, (288, 640)),),
        weights={"content": 1.0, "style": 10.0},
        peak_lr=5e-4,
    ),
}


def customised(
    recipes: Mapping[str, Recipe], name: str, crop_px: int | None, batch_size: int | None, peak_lr: float | None
) -> Recipe:
    """A recipe by name, with what the command line says otherwise, in all stages alike.

    Raises:
        SettingError: No such recipe, or a number is out of range.
    """
    if name not in recipes:
        raise SettingError(f"unknown recipe {name!r}: known are {', '.join(recipes)}")
    recipe = recipes[name]
    if crop_px is not None:
        if crop_px < 32 or crop_px % 8:
            raise SettingError(f"--crop {crop_px}: give a multiple of 8, at least 32")
        recipe = replace(recipe, stages=tuple(replace(stage, crop_px=crop_px) for stage in recipe.stages))
    if batch_size is not None:
        if batch_size < 1:
            raise SettingError(f"--batch-size {batch_size}: give at least 1")
        recipe = replace(recipe, stages=tuple(replace(stage, batch_size=batch_size) for stage in recipe.stages))
    if peak_lr is not None:
        if not 0 < peak_lr < 1:
            raise SettingError(f"--peak-lr {peak_lr}: give a number between 0 and 1, such as 1e-3")
        recipe = replace(recipe, peak_lr=peak_lr)
    return recipe


def check_processes(recipe: Recipe, world_size: int) -> None:
    """Every process takes an equal share of every batch.

    Raises:
        SettingError: A batch cannot be shared equally.
    """
    for stage in recipe.stages:
        if stage.batch_size % world_size:
            raise SettingError(
                f"{world_size} processes cannot share batches of {stage.batch_size} pairs: "
                "start as many as divide the batch size, or give another --batch-size"
            )
