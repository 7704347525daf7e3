import random

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import images

from train.data import DataError, PairCrops, batches, folder_counts, list_images, random_crop
from train.recipe import Recipe, SettingError, Stage, check_processes, customised
from train.recipes import ADAIN_RECIPES

STAGE = Stage(1.0, 32, 4, (32, 64))
RECIPE = Recipe(steps=6, stages=(STAGE,), weights={"content": 1.0, "style": 1.0}, peak_lr=1e-3)


@pytest.fixture
def folders(tmp_path):
    return images(tmp_path / "content", 5, seed=0), images(tmp_path / "style", 4, seed=1)


def crops(folders, **changes) -> PairCrops:
    content, style = folders
    return PairCrops(
        **{"content": list_images([content]), "style": list_images([style]), "recipe": RECIPE, "steps": 6} | changes
    )


def test_images_are_found_in_subfolders_and_sorted(tmp_path):
    images(tmp_path / "b", 1, seed=0)
    images(tmp_path / "a/deep", 2, seed=1)
    (tmp_path / "a/notes.txt").write_text("no image")
    found = [str(path.relative_to(tmp_path)) for path in list_images([tmp_path])]
    assert found == ["a/deep/00.png", "a/deep/01.png", "b/00.png"]


def test_a_missing_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(DataError, match="missing: no such folder"):
        list_images([tmp_path / "missing"])
    with pytest.raises(DataError, match=r"no images in it; looked for \.avif, "):
        list_images([tmp_path])


def test_counts_name_folders_by_their_last_two_parts(folders, tmp_path):
    assert folder_counts(folders) == {f"{tmp_path.name}/content": 5, f"{tmp_path.name}/style": 4}


def test_a_crop_depends_on_the_seed_alone(folders):
    path = list_images([folders[0]])[0]
    one, same, other = (random_crop(path, STAGE, random.Random(seed)) for seed in (1, 1, 2))
    assert one.shape == (32, 32, 3) and one.dtype == np.uint8
    assert (one == same).all() and (one != other).any()


def test_a_crop_lies_inside_the_image_at_a_random_scale(tmp_path):
    ramp = np.linspace(0, 255, 256).astype(np.uint8)[None, :, None].repeat(128, 0).repeat(3, 2)
    Image.fromarray(np.ascontiguousarray(ramp)).save(tmp_path / "ramp.png")
    spans = []
    for seed in range(40):
        crop = random_crop(tmp_path / "ramp.png", STAGE, random.Random(seed))[..., 0].astype(int)
        slope = np.diff(crop.mean(axis=0))  # of a ramp: all up, or all down where the crop is mirrored
        assert (slope >= 0).all() or (slope <= 0).all()
        spans.append(abs(crop[0, -1] - crop[0, 0]))
    # The crop's 32 px are between 64 and 128 px of the file's 256.
    assert 55 < min(spans) < 75 and 110 < max(spans) < 135


def test_a_step_has_the_same_batch_whatever_came_before(folders):
    straight = list(batches(crops(folders), 0, workers=0, pin_memory=False))
    resumed = list(batches(crops(folders), 4, workers=0, pin_memory=False))
    assert len(straight) == 6 and len(resumed) == 2
    for before, after in zip(straight[4:], resumed, strict=True):
        assert torch.equal(before.content, after.content) and torch.equal(before.style, after.style)
    assert not torch.equal(straight[0].content, straight[1].content)


def test_loader_processes_change_nothing(folders):
    here = list(batches(crops(folders, steps=3), 0, workers=0, pin_memory=False))
    there = list(batches(crops(folders, steps=3), 0, workers=1, pin_memory=False))
    assert all(torch.equal(a.content, b.content) for a, b in zip(here, there, strict=True))


def test_processes_share_a_batch_and_see_different_crops(folders):
    first, second = (crops(folders, rank=rank, world_size=2)[0] for rank in range(2))
    assert first.content.shape == second.style.shape == (2, 3, 32, 32)
    assert first.content.dtype == torch.uint8
    assert not torch.equal(first.content, second.content)


def test_an_unreadable_image_is_skipped_and_reported(folders):
    broken = folders[0] / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 not a photo")
    seen = [path for step in range(30) for path in crops(folders)[step].unreadable]
    assert set(seen) == {broken}
    assert crops(folders)[0].content.shape == (4, 3, 32, 32)


def test_a_folder_of_unreadable_images_is_an_error(folders):
    for path in folders[1].iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="style: 100 images in a row cannot be read"):
        crops(folders)[0]


def test_learning_rate_rises_linearly_and_falls_as_a_cosine():
    recipe = Recipe(steps=1000, stages=(STAGE,), weights={}, peak_lr=2.0, warmup=0.1)
    rates = [recipe.learning_rate(step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(0.08)
    assert rates[50] == pytest.approx(2 * (0.04 + 0.96 / 2))
    assert max(rates) == rates[100] == 2
    assert rates[550] == pytest.approx(1)
    assert rates[-1] == pytest.approx(0, abs=1e-5)


def test_stages_change_at_their_share_of_the_steps():
    short = ADAIN_RECIPES["short"]
    assert [short.stage(step, 10).crop_px for step in range(10)] == [128] * 6 + [256] * 4
    assert short.stage(10, 10).crop_px == 256


def test_options_replace_a_recipes_numbers_in_all_stages():
    recipe = customised(ADAIN_RECIPES, "short", 64, 4, 1e-4)
    assert [(stage.crop_px, stage.batch_size) for stage in recipe.stages] == [(64, 4), (64, 4)]
    assert recipe.peak_lr == 1e-4 and recipe.steps == ADAIN_RECIPES["short"].steps
    assert customised(ADAIN_RECIPES, "full", None, None, None) is ADAIN_RECIPES["full"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("long", None, None, None), "unknown recipe 'long': known are short, longer, full"),
        (("short", 30, None, None), "--crop 30: give a multiple of 8, at least 32"),
        (("short", None, 0, None), "--batch-size 0: give at least 1"),
        (("short", None, None, -1.0), "--peak-lr -1.0"),
    ],
)
def test_options_out_of_range_are_named(options, reason):
    with pytest.raises(SettingError, match=reason):
        customised(ADAIN_RECIPES, *options)


def test_batches_must_be_divisible_among_processes():
    check_processes(ADAIN_RECIPES["full"], 8)
    with pytest.raises(SettingError, match="3 processes cannot divide batches of 8 pairs equally: start as"):
        check_processes(ADAIN_RECIPES["full"], 3)
