"""All recipes, in literal tables.

``short`` recipes reach a usable network in some CPU hours. The others have their paper's sizes, layers and schedule, or
a comment with their purpose. All use the relative losses of ``model_store.perceptual``, so their weights are ours.
"""

from dataclasses import replace

from train.recipe import Augmentation, PoolSizes, Recipe, Stage, StyleMixing

MIXED_SIZES = (
    Stage(1.0, 128, 10, (128, 288), weight=0.22),
    Stage(1.0, 192, 5, (192, 420), weight=0.22),
    Stage(1.0, 256, 3, (256, 560), weight=0.40),
    Stage(1.0, 320, 2, (320, 640), weight=0.16),
)
"""Batches of about the same cost. Small crops alone teach the wrong scale; large ones alone are few."""

LARGE_BATCHES = tuple(replace(stage, batch_size=4 * stage.batch_size) for stage in MIXED_SIZES)

SHRUNK_STYLES = PoolSizes(style_px=(320, 448), style_shorter_px=(320, 576), style_shrink=2)

SWIFT_WEIGHTS = {"content": 1.0, "style": 32.0, "lattice": 15.0}

SWIFT_RECIPES = {
    "short": Recipe(
        steps=8000,
        stages=MIXED_SIZES,
        weights=SWIFT_WEIGHTS,
        peak_lr=2e-3,
        average=0.995,
        pools=SHRUNK_STYLES,
        augmentation=Augmentation(),
        mixing=StyleMixing(),
    ),
    # One GPU, an evening.
    "full": Recipe(
        steps=60_000,
        stages=LARGE_BATCHES,
        weights=SWIFT_WEIGHTS,
        peak_lr=2e-3,
        average=0.999,
        pools=replace(SHRUNK_STYLES, content=1000, style=12_000, renewed=4.0, fill_steps=400),
        augmentation=Augmentation(),
        mixing=StyleMixing(),
    ),
    # Goes on from a checkpoint (--init) for as long as there is time: the average takes the place of a falling rate.
    "longer": Recipe(
        steps=60_000,
        stages=MIXED_SIZES,
        weights=SWIFT_WEIGHTS,
        peak_lr=6e-4,
        decay=(1.0, 60_000),
        warmup_steps=100,
        average=0.998,
        pools=SHRUNK_STYLES,
        augmentation=Augmentation(),
        mixing=StyleMixing(),
    ),
}

ADAIN_RECIPES = {
    "short": Recipe(
        steps=3000,
        stages=(Stage(0.6, 128, 8, (144, 400)), Stage(1.0, 256, 2, (288, 512))),
        weights={"content": 1.0, "style": 7.0, "reconstruction": 20.0},
        peak_lr=1e-3,
        pools=PoolSizes(),
    ),
    # Goes on from a checkpoint (--init): large crops, the average in place of a falling rate.
    "longer": Recipe(
        steps=15_000,
        stages=MIXED_SIZES[1:],
        weights={"content": 1.0, "style": 12.0, "reconstruction": 20.0},
        peak_lr=3e-4,
        decay=(1.0, 15_000),
        warmup_steps=100,
        average=0.998,
        pools=PoolSizes(),
        augmentation=Augmentation(photo=0.0),
    ),
    "full": Recipe(
        steps=160_000,
        stages=(Stage(1.0, 256, 8, (288, 640)),),
        weights={"content": 1.0, "style": 10.0, "reconstruction": 20.0},
        peak_lr=5e-4,
        average=0.999,
        pools=PoolSizes(content=1000, style=12_000, renewed=4.0, fill_steps=400),
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
    # For small networks whose coarsest scales have the whole crop in their receptive field.
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
