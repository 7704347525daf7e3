"""Pools of training targets: what is kept, renewed and drawn; and that a training with them resumes bit by bit."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import SWIFT, WIDTH, images, vgg_file

from model_store import checkpoint
from model_store.checkpoint_metadata import CheckpointMetadata
from model_store.perceptual import CONTENT_LAYER, STYLE_LAYERS, style_loss, style_targets
from model_store.pixels import shrunk
from model_store.runtime import Runtime
from model_store.swift import Swift
from model_store.vgg import VGG, WeightsError, load_vgg
from train.adain import AdaINTask
from train.any_style import AnyStyleTask
from train.average import WeightAverage
from train.data import Batch, Draw, batches, list_images
from train.distributed import Rank
from train.loop import Training
from train.pool_crops import PoolCrops, augmented, renewals
from train.pools import Pools, by_layer, statistics_row
from train.recipe import Augmentation, PoolSizes, Recipe, Stage, StyleMixing
from train.state import load_state
from train.swift import MIXED, PLAIN, ROWS_MIXED, WEAKENED, SwiftTask, draw_kinds

STEPS = 5
SIZES = PoolSizes(content=4, style=6, renewed=0.5, fill_steps=6, style_px=(32, 64), style_shorter_px=(40, 64))
RECIPE = Recipe(
    steps=STEPS,
    stages=(Stage(1.0, 32, 2, (32, 64)), Stage(1.0, 40, 1, (40, 64))),
    weights={"content": 1.0, "style": 1.0, "reconstruction": 1.0, "lattice": 1.0},
    peak_lr=1e-2,
    average=0.9,
    pools=SIZES,
    augmentation=Augmentation(),
    mixing=StyleMixing(mixed=0.3, rows_mixed=0.2, weakened=0.3),
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(vgg_file(tmp_path_factory.mktemp("vgg") / "vgg.safetensors"))


@pytest.fixture(scope="module")
def vgg(weights: str) -> VGG:
    return load_vgg(weights)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    images(folder / "content", 5, seed=0)
    images(folder / "style", 4, seed=1)
    return folder


def crops(data: Path, recipe: Recipe = RECIPE, **changes: int) -> PoolCrops:
    content, style = (list_images([data / kind]) for kind in ("content", "style"))
    return PoolCrops(content, recipe, STEPS, style=style, **changes)


def uint8(count: int, px: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, px, px), generator=torch.Generator().manual_seed(seed)).byte()


def batch(content: torch.Tensor, style: torch.Tensor) -> Batch:
    return Batch(content, style, (), 0, Draw(32, 2, "0"))


# ---- crops --------------------------------------------------------------------------------------------------------


def test_a_rate_says_how_many_crops_a_step_renews() -> None:
    assert [renewals(step, 0.5) for step in range(4)] == [0, 1, 0, 1]
    assert [renewals(step, 0.5, phase=0.5) for step in range(4)] == [1, 0, 1, 0]
    assert sum(renewals(step, 2.25) for step in range(8)) == 18
    assert renewals(-3, 0.5) == renewals(-3, 4.0) == 1


def test_pools_are_filled_before_the_first_step_with_every_size(data: Path) -> None:
    filling = [found for found in batches(crops(data), -6, workers=0, pin_memory=False) if found.step < 0]
    assert [len(found.content) for found in filling] == [len(found.style) for found in filling] == [1] * 6
    assert Counter(found.content.shape[-1] for found in filling) == {32: 3, 40: 3}
    assert {found.style.shape[-1] for found in filling} <= {32, 64}


def test_the_crops_of_a_step_depend_on_nothing_else(data: Path) -> None:
    straight = list(batches(crops(data), -6, workers=0, pin_memory=False))[-2:]
    resumed = list(batches(crops(data), STEPS - 2, workers=0, pin_memory=False))
    for one, other in zip(straight, resumed, strict=True):
        assert torch.equal(one.content, other.content) and torch.equal(one.style, other.style)
        assert (one.step, one.draw) == (other.step, other.draw)


def test_stages_that_end_together_are_mixed_by_weight() -> None:
    recipe = replace(RECIPE, stages=(Stage(0.5, 64, 1, (64, 64)), *RECIPE.stages[:1], Stage(1.0, 40, 1, (40, 64), 3.0)))
    assert {recipe.stage(step, 400).crop_px for step in range(200)} == {64}
    later = Counter(recipe.stage(step, 400).crop_px for step in range(200, 400))
    assert later.keys() == {32, 40} and 0.15 < later[32] / 200 < 0.35
    assert [recipe.stage(step, 4, seed=1) for step in range(4)] == [recipe.stage(step, 4, seed=1) for step in range(4)]


def test_augmentation_changes_colours_and_nothing_else() -> None:
    (crop,) = uint8(1, 16)
    nothing = Augmentation(0, 0, 0, 0)
    assert torch.equal(augmented(crop, nothing, random.Random(0)), crop)
    permuted = augmented(crop, replace(nothing, permuted=1), random.Random(1))
    assert sorted(channel.tobytes() for channel in permuted.numpy()) == sorted(c.tobytes() for c in crop.numpy())
    assert torch.equal(augmented(crop, replace(nothing, negative=1), random.Random(0)), 255 - crop)
    recoloured = augmented(crop, replace(nothing, recoloured=1), random.Random(0)).float()
    for before, after in zip(crop.float(), recoloured, strict=True):
        assert torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1] > 0.95


# ---- pools --------------------------------------------------------------------------------------------------------


def test_what_is_drawn_is_what_the_loss_network_sees(vgg: VGG) -> None:
    pools, content, style = Pools(vgg, SIZES, CPU), uint8(2, 32), uint8(3, 64, seed=1)
    pools.take(batch(content, style))
    drawn = pools.draw(random.Random(0), 32, 2)
    order = [next(i for i in range(2) if torch.equal(image, content[i].float() / 255)) for image in drawn.content]
    features = vgg(content[order].float() / 255, STYLE_LAYERS)
    torch.testing.assert_close(drawn.features.float(), features[CONTENT_LAYER], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(drawn.own, statistics_row(features), rtol=1e-4, atol=1e-5)
    known = statistics_row(vgg(style.float() / 255, STYLE_LAYERS))
    assert torch.equal(drawn.seen, drawn.style)
    for row in drawn.style:
        assert min((row - other).abs().max() for other in known) < 1e-4


def test_shrunk_styles_are_aimed_at_in_their_own_size(vgg: VGG) -> None:
    pools, style = Pools(vgg, replace(SIZES, style_shrink=2), CPU), uint8(1, 64, seed=1)
    pools.take(batch(uint8(1, 32), style))
    drawn, image = pools.draw(random.Random(0), 32, 1), style.float() / 255
    torch.testing.assert_close(drawn.style[:1], statistics_row(vgg(image, STYLE_LAYERS)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        drawn.seen[:1], statistics_row(vgg(shrunk(image, 2), STYLE_LAYERS)), rtol=1e-4, atol=1e-5
    )


def test_rows_of_statistics_are_taken_apart_by_layer(vgg: VGG) -> None:
    features = vgg(torch.rand(2, 3, 32, 32), STYLE_LAYERS)
    parts = by_layer(statistics_row(features))
    assert style_loss(parts, style_targets(features)).tolist() == [0, 0]


def test_the_oldest_leave_a_full_pool(vgg: VGG) -> None:
    pools = Pools(vgg, SIZES, CPU)
    for seed in range(5):
        pools.take(batch(uint8(2, 32, seed), uint8(2, 32, seed)))
    state = pools.state()
    assert torch.equal(state["contents"][32], torch.cat([uint8(2, 32, 3), uint8(2, 32, 4)]))
    assert state["styles"].shape == (6, 2, 2 * 15 * WIDTH)


def test_restored_pools_draw_the_same_to_the_bit(vgg: VGG) -> None:
    pools, restored = Pools(vgg, SIZES, CPU), Pools(vgg, SIZES, CPU)
    pools.take(batch(uint8(3, 32), uint8(4, 64)))
    restored.restore(pools.state())
    for one, other in zip(pools.draw(random.Random(3), 32, 2), restored.draw(random.Random(3), 32, 2), strict=True):
        assert torch.equal(one, other)


# ---- what becomes of styles ---------------------------------------------------------------------------------------


def test_kinds_are_drawn_by_their_probabilities() -> None:
    kinds, weights = draw_kinds(random.Random(0), StyleMixing(mixed=0.2, rows_mixed=0.2, weakened=0.1), 4000)
    counts = Counter(kinds.tolist())
    probabilities = {PLAIN: 0.5, MIXED: 0.2, ROWS_MIXED: 0.2, WEAKENED: 0.1}
    for kind, probability in probabilities.items():
        assert abs(counts[kind] / 4000 - probability) < 0.03
    assert weights[kinds == PLAIN].eq(0).all() and weights[kinds != PLAIN].gt(0).all()


def losses_of(kind: int, weight: float = 0.0) -> dict[str, float]:
    """Of a new network, which gives the content back, and a style far away."""
    torch.manual_seed(0)
    network = Swift(**SWIFT).eval()
    torch.nn.init.zeros_(network.predictor.rows.weight)
    content = torch.rand(1, 3, 32, 32).clamp(0.05, 0.95)
    features = network.encoder(content, STYLE_LAYERS)
    own, other = statistics_row(features), statistics_row(features) * 3
    styles = (other, own, other, own)
    inputs = (content, features[CONTENT_LAYER], *styles, torch.tensor([weight]), torch.tensor([kind]))
    with torch.no_grad():
        return {name: value.item() for name, value in SwiftTask(network, {}, RECIPE).losses(*inputs).items()}


@pytest.mark.parametrize("kind", [PLAIN, MIXED, ROWS_MIXED, WEAKENED])
def test_the_content_keeps_its_content_and_a_nearer_style_is_a_smaller_loss(kind: int) -> None:
    far, near = losses_of(kind, 0.0), losses_of(kind, 0.9)
    assert abs(far["content"]) < 1e-4 and abs(near["content"]) < 1e-4
    assert far["style"] > 0.4 and near["style"] < 0.1 * far["style"]


# ---- trainings ----------------------------------------------------------------------------------------------------


def training(task: AnyStyleTask, data: Path, out: Path, resume: bool = False, **changes: float) -> Training:
    state = load_state(out / "state.pt", task.name) if resume else None
    settings = {"save_every_s": 1e9, "max_minutes": None} | changes
    runtime = Runtime(CPU, torch.float32)
    return Training(
        task, RECIPE, crops(data), runtime, out, Rank(0, 0, 1), workers=0, data={}, resume=state, **settings
    )


def start(kind: type[AnyStyleTask], weights: str, seed: int) -> AnyStyleTask:
    if kind is AdaINTask:
        return AdaINTask.start(weights, None, RECIPE, seed)
    torch.manual_seed(seed)
    network = Swift(**SWIFT)
    network.encoder.load_state_dict(load_vgg(weights).state_dict())
    return SwiftTask(network, dict(SWIFT), RECIPE)


@pytest.mark.parametrize("kind", [AdaINTask, SwiftTask])
def test_a_cut_training_resumes_bit_by_bit(kind: type[AnyStyleTask], data: Path, weights: str, tmp_path: Path) -> None:
    straight = training(start(kind, weights, 0), data, tmp_path / "straight").run()
    training(start(kind, weights, 0), data, tmp_path / "cut", max_minutes=0).run()
    # Whatever the weights start from, the state decides.
    resumed = training(start(kind, weights, 9), data, tmp_path / "cut", resume=True).run()
    for one, other in ((straight.network, resumed.network), (straight.average, resumed.average)):
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(straight.network[name], mean) for name, mean in straight.shipped.items())


def test_a_training_changes_the_network_and_not_its_encoder(data: Path, weights: str, tmp_path: Path) -> None:
    task = start(SwiftTask, weights, 0)
    before = {name: tensor.clone() for name, tensor in task.network.state_dict().items()}
    after = training(task, data, tmp_path).run().network
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "last.weight" in changed and not any(name.startswith("encoder.") for name in changed)


def test_a_training_starts_from_a_checkpoint_whatever_its_named_styles(weights: str, tmp_path: Path) -> None:
    network = Swift(**SWIFT, styles=2)
    network.encoder.load_state_dict(load_vgg(weights).state_dict())
    torch.nn.init.normal_(network.last.weight)
    path, encoder = tmp_path / "swift.safetensors", {"architecture": "vgg16"}
    styles = tuple({"id": name, "title": "", "artist": "", "year": None, "rights": ""} for name in ("a", "b"))
    document = CheckpointMetadata(network="swift", arguments={**SWIFT, **encoder, "styles": 2})
    named = tuple(checkpoint_style(**style) for style in styles)
    checkpoint.save(network, path, replace(document, styles=named))
    task = SwiftTask.start(None, path, RECIPE, seed=0)
    torch.testing.assert_close(task.network.last.weight, network.last.weight, rtol=1e-3, atol=1e-3)
    assert task.arguments["styles"] == 0 and task.network.style_rows.shape[0] == 0
    with pytest.raises(WeightsError, match="is no vgg16, which"):
        SwiftTask.start(str(vgg_file(tmp_path / "vgg19.safetensors", "vgg19")), path, RECIPE, seed=0)


def checkpoint_style(**fields: object):
    from model_store.checkpoint_metadata import NamedStyle

    return NamedStyle(**fields)


def test_an_average_forgets_its_start_and_follows_the_weights() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    layer.weight.data[:] = 100.0
    average = WeightAverage(layer, 0.9)
    layer.weight.data[:] = 1.0
    for _ in range(60):
        average.update(layer)
    assert average.state()["weight"].item() == pytest.approx(1.0, abs=0.3)
    again = WeightAverage(layer, 0.9)
    again.restore(average.state())
    layer.weight.data[:] = 5.0
    for each in (average, again):
        each.update(layer)
    assert again.state()["weight"].item() == average.state()["weight"].item()
