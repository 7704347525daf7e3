"""``Recipe``: the settings of a training: sizes, schedule, losses and their weights."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_store.perceptual import CONTENT_LAYER, STYLE_LAYERS


class SettingError(Exception):
    """An option that is out of range, or options that do not fit together."""


@dataclass(frozen=True)
class Stage:
    """A part of the training with its own sizes. ``until`` is a fraction of all steps.

    Each image is scaled so that its shorter side is a random length within ``shorter_px``, then cropped at random:
    crops of one size at many scales, so that one network suits small and large images. Stages with the same ``until``
    are mixed: each step has one of them, by their ``weight``.
    """

    until: float
    crop_px: int
    batch_size: int
    shorter_px: tuple[int, int]
    weight: float = 1.0


STYLE_GRID_PX = 32
"""Style crops have sides that are multiples of this."""


@dataclass(frozen=True)
class PoolSizes:
    """Bounds of ``train.pools.Pools``, and its crops.

    Attributes:
        content: Number of content targets of each crop size.
        style: Number of style crops whose statistics are kept.
        renewed: Mean number of crops of each kind that a step renews.
        fill_steps: Steps before the first that only fill the pools, one crop of each kind a step.
        style_px: Smallest and largest side of the style crops; a random multiple of 32.
        style_shorter_px: Shorter side of the style images that they are cut from.
        style_shrink: Factor by which the style crops are made smaller for the predictor than for the loss network.
    """

    content: int = 200
    style: int = 3000
    renewed: float = 0.5
    fill_steps: int = 160
    style_px: tuple[int, int] = (256, 320)
    style_shorter_px: tuple[int, int] = (256, 576)
    style_shrink: int = 1

    def with_style_crops(self, crop_px: int) -> "PoolSizes":
        """Set one size of style crops, cut from images of up to about twice that."""
        side_px = max(STYLE_GRID_PX, crop_px // STYLE_GRID_PX * STYLE_GRID_PX)
        return replace(self, style_px=(side_px, side_px), style_shorter_px=(side_px, 9 * side_px // 4))


@dataclass(frozen=True)
class Augmentation:
    """Changes of style crops, each with its probability: a predictor needs more styles than there are images.

    Attributes:
        permuted: Colour channels in another order.
        recoloured: Another brightness and contrast of each channel.
        negative: Bright and dark exchanged.
        photo: A content image as the style.
    """

    permuted: float = 0.25
    recoloured: float = 0.2
    negative: float = 0.05
    photo: float = 0.06


@dataclass(frozen=True)
class StyleMixing:
    """Changes of the styles that a step draws, each with its probability; the rest stay unchanged.

    Attributes:
        mixed: Statistics of two styles are mixed before the prediction.
        rows_mixed: Predicted rows of two styles are mixed.
        weakened: The predicted row is mixed with the one that reproduces the content; the targets are mixed alike.
    """

    mixed: float = 0.12
    rows_mixed: float = 0.12
    weakened: float = 0.12


@dataclass(frozen=True)
class Recipe:
    """A training's fixed numbers.

    Attributes:
        steps: Number of steps, unless the command line gives another.
        stages: Stages in order; the last ends at 1.
        weights: Weight of each loss term.
        peak_lr: Highest learning rate of the one-cycle schedule.
        warmup: Fraction of the steps in which the learning rate rises.
        betas: Adam's betas.
        clip_norm: Largest gradient norm.
        decay: In place of the cycle: factor of the learning rate, and the number of steps after which it applies.
        warmup_steps: With ``decay``: steps in which the learning rate rises.
        content_layer: Layer of the content loss.
        style_layers: Layers of the style loss.
        style_loss: Targets of the style loss: ``statistics`` or ``gram``.
        average: Decay of the moving average of the weights, which is exported; 0 for the last step's weights.
        pools: Sizes of the pools, for trainings of any style; ``None`` for those of learned styles.
        augmentation: Changes of style crops, with pools.
        mixing: Mixing of the drawn styles, for predicted ones.
        window: Side of the part of an output whose losses are computed, at a random place, as a fraction of the crop's
            side. Below 1 a generator cannot put all texture near the border that it recognises, and none elsewhere.
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
    average: float = 0.0
    pools: PoolSizes | None = None
    augmentation: Augmentation | None = None
    mixing: StyleMixing | None = None
    warmup_steps: int = 0

    def stage(self, step: int, steps: int, seed: int = 0) -> Stage:
        """Return a step's stage, of ``steps`` in all; below 0, while pools fill, one after the other."""
        until = next((stage.until for stage in self.stages if step < stage.until * steps), self.stages[-1].until)
        mixed = [stage for stage in self.stages if stage.until == until]
        if step < 0:
            return mixed[step % len(mixed)]
        (chosen,) = random.Random(f"stage {seed}/{step}").choices(mixed, [stage.weight for stage in mixed])
        return chosen

    def learning_rate(self, step: int, steps: int) -> float:
        """Return the rate: a rise from 4 % of the peak, then a cosine to 0 (Smith & Topin 2018); or by ``decay``."""
        if self.decay is not None:
            factor, every_steps = self.decay
            rising = min(1.0, (step + 1) / (self.warmup_steps + 1))
            return self.peak_lr * rising * factor ** (step // every_steps)
        rise = max(1, round(self.warmup * steps))
        if step < rise:
            return self.peak_lr * (0.04 + 0.96 * step / rise)
        return self.peak_lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def customised(
    recipes: Mapping[str, Recipe],
    name: str,
    crop_px: int | None,
    batch_size: int | None,
    peak_lr: float | None,
    style_weight: float | None = None,
) -> Recipe:
    """Look up a recipe by name, and change it by the command line's options, in all stages alike.

    Raises:
        SettingError: No such recipe, or a number is out of range.
    """
    if name not in recipes:
        raise SettingError(f"unknown recipe {name!r}: known are {', '.join(recipes)}")
    recipe = recipes[name]
    if crop_px is not None:
        recipe = _with_crops(recipe, crop_px)
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


def _with_crops(recipe: Recipe, crop_px: int) -> Recipe:
    if crop_px < 32 or crop_px % 8:
        raise SettingError(f"--crop {crop_px}: give a multiple of 8, at least 32")
    pools = recipe.pools.with_style_crops(crop_px) if recipe.pools is not None else None
    return replace(recipe, stages=tuple(replace(stage, crop_px=crop_px) for stage in recipe.stages), pools=pools)


def check_processes(recipe: Recipe, world_size: int) -> None:
    """Check that every process gets an equal part of every batch.

    Raises:
        SettingError: A batch cannot be divided equally.
    """
    for stage in recipe.stages:
        if stage.batch_size % world_size:
            raise SettingError(
                f"{world_size} processes cannot divide batches of {stage.batch_size} pairs equally: "
                "start as many as divide the batch size, or give another --batch-size"
            )
