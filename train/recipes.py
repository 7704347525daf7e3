"""What differs between trainings, in literal tables: sizes, schedule, losses and their weights.

``short`` recipes reach a usable network in some CPU hours: they start on small crops and use a one-cycle learning rate.
The others have their paper's sizes, layers and schedule. All use the relative losses of ``model_store.perceptual``,
whose weights are therefore ours.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_store.perceptual import CONTENT_LAYER, STYLE_LAYERS


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
        decay: Instead of the cycle: the learning rate is multiplied by a factor every so many steps.
        content_layer: Where the content loss looks.
        style_layers: Where the style loss looks.
        style_loss: What it compares there: ``statistics`` or ``gram``.
        window: Side of the part of a painted crop that is judged, at a random place, as a share of the crop's side.
            Below 1 a generator cannot put all its texture where it recognises the border, and the photo elsewhere.
    """

    steps: int
    stages: tuple[Stage, ...]
    weights: dict[str, float]
    peak_lr: float
    warmup: float = 0.05
    betas: tuple[float, float] = (0.9, 0.99)
    clip_norm: float = 1.0
    decay: tuple[float, int] | None = None
    content_layer: str = CONTENT_LAYER
    style_layers: tuple[str, ...] = STYLE_LAYERS
    style_loss: str = "statistics"
    window: float = 1.0

    def stage(self, step: int, steps: int) -> Stage:
        """The stage that a step belongs to, of ``steps`` in all."""
        return next((stage for stage in self.stages if step < stage.until * steps), self.stages[-1])

    def learning_rate(self, step: int, steps: int) -> float:
        """One cycle: a linear rise from 4 % of the peak, then a cosine to zero (Smith & Topin 2018); or ``decay``."""
        if self.decay is not None:
            factor, every_steps = self.decay
            return self.peak_lr * factor ** (step // every_steps)
        rise = max(1, round(self.warmup * steps))
        if step < rise:
            return self.peak_lr * (0.04 + 0.96 * step / rise)
        return self.peak_lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


ADAIN_RECIPES = {
    "short": Recipe(
        steps=3000,
        stages=(Stage(0.6, 128, 8, (144, 400)), Stage(1.0, 256, 2, (288, 512))),
        weights={"content": 1.0, "style": 7.0, "reconstruction": 20.0},
        peak_lr=1e-3,
    ),
    "full": Recipe(
        steps=160_000,
        stages=(Stage(1.0, 256, 8, (288, 640)),),
        weights={"content": 1.0, "style": 10.0, "reconstruction": 20.0},
        peak_lr=5e-4,
    ),
}

JOHNSON_STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")

GENERATOR_RECIPES = {
    "short": Recipe(
        steps=4000,
        stages=(Stage(0.7, 160, 5, (176, 400)), Stage(1.0, 256, 2, (288, 512))),
        weights={"content": 1.0, "style": 10.0, "tv": 1.0},
        peak_lr=2e-3,
        style_loss="gram",
    ),
    # Small networks whose coarsest scales see the whole crop.
    "windows": Recipe(
        steps=1600,
        stages=(Stage(1.0, 256, 2, (288, 512)),),
        weights={"content": 1.0, "style": 10.0, "tv": 1.0},
        peak_lr=2e-3,
        style_loss="gram",
        window=0.6,
    ),
    # Ulyanov et al. 2017 (arXiv 1701.02096), the released code's numbers.
    "ulyanov": Recipe(
        steps=50_000,
        stages=(Stage(1.0, 256, 1, (256, 512)),),
        weights={"content": 1.0, "style": 10.0, "tv": 0.0},
        peak_lr=1e-3,
        decay=(0.8, 2000),
        content_layer="relu4_2",
        style_loss="gram",
    ),
    # Johnson et al. 2016 (arXiv 1603.08155), section 4.1 and supplement.
    "johnson": Recipe(
        steps=40_000,
        stages=(Stage(1.0, 256, 4, (256, 256)),),
        weights={"content": 1.0, "style": 10.0, "tv": 1.0},
        peak_lr=1e-3,
        decay=(1.0, 40_000),
        content_layer="relu3_3",
        style_layers=JOHNSON_STYLE_LAYERS,
        style_loss="gram",
    ),
    # Dumoulin et al. 2017 (arXiv 1610.07629), appendix.
    "dumoulin": Recipe(
        steps=40_000,
        stages=(Stage(1.0, 256, 16, (256, 512)),),
        weights={"content": 1.0, "style": 10.0, "tv": 0.0},
        peak_lr=1e-3,
        decay=(1.0, 40_000),
        content_layer="relu3_3",
        style_layers=JOHNSON_STYLE_LAYERS,
        style_loss="gram",
    ),
}

ADD_STYLE_RECIPES = {
    "short": Recipe(
        steps=300,
        stages=(Stage(1.0, 256, 2, (288, 512)),),
        weights={"content": 1.0, "style": 10.0, "tv": 1.0},
        peak_lr=2e-2,
        style_loss="gram",
    ),
}
"""A row of scales and shifts alone takes larger steps than a network does."""


def customised(
    recipes: Mapping[str, Recipe],
    name: str,
    crop_px: int | None,
    batch_size: int | None,
    peak_lr: float | None,
    style_weight: float | None = None,
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
    if style_weight is not None:
        if not 0 < style_weight < math.inf:
            raise SettingError(f"--style-weight {style_weight}: give a positive number, such as 5")
        recipe = replace(recipe, weights={**recipe.weights, "style": style_weight})
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
