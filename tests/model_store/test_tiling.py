"""Pictures in tiles: the picture of one forward pass, whatever the size, the mask, the strength and the network."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import tiny
import torch

from model_store.adain import AdaIN
from model_store.large_image import Box, LargeImage
from model_store.network import AnyStyle, StyleNetwork
from model_store.spatial_masks import SpatialMasks, fill_of, mask_weights
from model_store.statistics import RunningStatistics, Statistics, instance_statistics
from model_store.style import Context, Style, side_by_side
from model_store.tiling import encode_style_tiled, paint_steps, paint_tiled, tiles

TILE_PX = 64


def photo(height: int, width: int, seed: int = 1) -> torch.Tensor:
    """Its left is brighter and has more contrast than its right: no tile has the statistics of the whole."""
    torch.manual_seed(seed)
    coarse = torch.nn.functional.interpolate(torch.rand(1, 3, 5, 7), (height, width), mode="bicubic")
    fall = torch.linspace(1, 0.2, width)
    return ((coarse + 0.3 * torch.rand(1, 3, height, width)) * fall).clamp(0, 1)


def masks(height: int, width: int) -> torch.Tensor:
    """Two soft ones that leave a corner to neither: (1, 2, H, W)."""
    x, y = torch.linspace(0, 1, width), torch.linspace(0, 1, height)[:, None]
    return torch.stack([(1.2 - x - y).clamp(0, 1), ((x - 0.4) * (1 - y)).clamp(0, 1)])[None]


def whole(image: torch.Tensor) -> Box:
    return Box(0, 0, image.shape[2], image.shape[3])


def part_of(image: torch.Tensor) -> Callable[[Box], torch.Tensor]:
    return lambda box: image[box.within(whole(image))].clone()


def in_parts(image: torch.Tensor, shares: torch.Tensor | None = None) -> LargeImage:
    height, width = image.shape[2:]
    return LargeImage(height, width, part_of(image), part_of(shares) if shares is not None else None)


def painted(network: StyleNetwork, picture: LargeImage, style: Style) -> torch.Tensor:
    """All tiles, each painted once."""
    canvas = torch.full((1, 3, picture.height, picture.width), torch.nan)
    steps = []
    for tile in paint_tiled(network, picture, style, TILE_PX):
        steps.append((tile.step, tile.steps))
        if tile.box is not None:
            place = tile.box.within(whole(canvas))
            assert canvas[place].isnan().all(), "painted twice"
            canvas[place] = tile.output
    total = paint_steps(network, picture, TILE_PX)
    assert steps == [(step, total) for step in range(1, total + 1)]
    assert canvas.isfinite().all(), "a place is not painted"
    return canvas


def adain(architecture: str = "vgg16") -> AdaIN:
    """Random, with a picture of visible contrast."""
    torch.manual_seed(0)
    network = tiny.adain(styles=2) if architecture == "vgg16" else AdaIN(architecture, styles=2, **tiny.ADAIN).eval()
    network.requires_grad_(False)
    if architecture != "vgg16":
        for name, parameter in network.encoder.named_parameters():
            if name.endswith("weight"):
                torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    network.style_scales.uniform_(0.5, 2.0)
    network.style_shifts.uniform_(0.0, 1.0)
    probe = network.paint(photo(64, 64), network.stored_style(0))
    network.decoder[-1].weight.mul_(0.2 / probe.std())
    network.decoder[-1].bias.fill_(0.5)
    return network


@pytest.fixture(scope="module")
def network() -> AdaIN:
    return adain()


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest, in 1/255."""
    return (one.clamp(0, 1) - other.clamp(0, 1)).abs().max().item() * 255


# ---- tiles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (63, 64), (65, 129), (200, 330), (1000, 17)])
@pytest.mark.parametrize("stride", [4, 8, 32, 128])
def test_tiles_cover_a_picture_once_and_lie_on_the_grid(size: tuple[int, int], stride: int) -> None:
    count = torch.zeros(1, 1, *(side + -side % stride for side in size))
    for box in tiles(Box(0, 0, *size), stride, TILE_PX):
        assert all(side % stride == 0 for side in box.corners)
        assert 0 < box.height <= max(stride, TILE_PX) and 0 < box.width <= max(stride, TILE_PX)
        count[box.within(whole(count))] += 1
    assert count.eq(1).all()


def test_tiles_are_about_the_same_size() -> None:
    widths = {box.width for box in tiles(Box(0, 0, 8, 770), 8, 768)}
    assert widths == {392, 384}


def test_a_margin_ends_where_the_picture_does() -> None:
    assert Box(64, 0, 64, 40).grown(32, Box(0, 0, 140, 100)) == Box(32, 0, 108, 72)


# ---- AdaIN --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(128, 192), (133, 131), (64, 200), (65, 90)])
def test_tiles_are_the_picture_of_one_pass(network: AdaIN, size: tuple[int, int]) -> None:
    image, style = photo(*size), network.stored_style(0).with_alpha(1.0)
    expected = network.paint(image, style)
    assert expected.std() > 0.05, "a flat picture would prove nothing"
    assert difference(painted(network, in_parts(image), style), expected) <= 1


def test_own_statistics_of_each_tile_would_not_be(network: AdaIN) -> None:
    """The test above can fail."""
    image, style = photo(128, 192), network.stored_style(0)
    alone = network.paint(image[..., :64, :64], style)
    assert difference(alone, network.paint(image, style)[..., :64, :64]) > 20


def test_tiles_with_strength(network: AdaIN) -> None:
    image, style = photo(133, 131), network.stored_style(0).with_alpha(0.4)
    assert difference(painted(network, in_parts(image), style), network.paint(image, style)) <= 1


def test_tiles_with_masks_and_strength(network: AdaIN) -> None:
    image, weights = photo(133, 131), torch.tensor([[1.0, 2.0]])
    shares = mask_weights(masks(133, 131), weights)
    style = side_by_side([network.stored_style(0), network.stored_style(1)]).with_alpha(0.8)
    expected = network.paint(image, replace(style, masks=SpatialMasks(shares, fill_of(shares.sum(dim=(2, 3))))))
    assert difference(painted(network, in_parts(image, shares), style), expected) <= 1


def test_tiles_have_no_seams(network: AdaIN) -> None:
    """Steps across the borders of tiles are no larger than elsewhere."""
    image, style = photo(128, 192), network.stored_style(0)
    result = painted(network, in_parts(image), style)
    steps = result.diff(dim=3).abs().mean(dim=(0, 1, 2))
    borders = steps[[63, 127]]
    assert borders.max() < steps.mean() + 3 * steps.std()


def test_vgg19_sees_no_further() -> None:
    network = adain("vgg19")
    image, style = photo(72, 136), network.stored_style(0)
    assert difference(painted(network, in_parts(image), style), network.paint(image, style)) <= 1


def test_half_precision_is_kept_as_it_is() -> None:
    network = adain()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.to(torch.bfloat16)
    image, style = photo(72, 136), network.stored_style(0)
    assert difference(painted(network, in_parts(image), style), network.paint(image, style)) <= 4  # as bf16 rounds


@pytest.mark.parametrize("name", ["adain", "swift", "swift that sees styles small"])
def test_a_style_image_in_tiles_has_the_same_statistics(name: str) -> None:
    image, network = photo(133, 131), adain() if name == "adain" else tiny.swift()
    network.style_shrink = 2 if name.endswith("small") else 1
    assert isinstance(network, AnyStyle)
    *_, style = encode_style_tiled(network, in_parts(image), TILE_PX)
    expected = network.encode_style(image)
    torch.testing.assert_close(style.scales, expected.scales, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(style.shifts, expected.shifts, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("with_masks", [False, True])
def test_statistics_of_parts_are_those_of_the_whole(with_masks: bool) -> None:
    torch.manual_seed(2)
    features = torch.randn(1, 5, 12, 16) * torch.linspace(0.1, 9, 16) + 1e3
    shares = torch.rand(1, 2, 12, 16) if with_masks else None
    running = RunningStatistics()
    for left in range(0, 16, 4):
        part = slice(left, left + 4)
        running.add(features[..., part], shares[..., part] if shares is not None else None)
    for found, wanted in zip(running.statistics, instance_statistics(features, shares), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-5)


def test_statistics_of_a_mask_that_is_in_some_tiles_only() -> None:
    torch.manual_seed(2)
    features, shares = torch.randn(1, 5, 4, 8), torch.zeros(1, 2, 4, 8)
    shares[:, 0, :, 5:] = 1
    running = RunningStatistics()
    for part in (slice(0, 4), slice(4, 8)):
        running.add(features[..., part], shares[..., part])
    mean, std = running.statistics
    assert mean.isfinite().all() and std.isfinite().all()
    torch.testing.assert_close(mean[:, 0], features[..., 5:].mean(dim=(2, 3)))


# ---- generators ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=["swift", "residual", "pyramid", "batch"])
def generator(request: pytest.FixtureRequest) -> StyleNetwork:
    if request.param == "swift":
        return tiny.swift(styles=2)
    if request.param == "batch":
        return tiny.learned("residual", norm="batch", styles=2)
    return tiny.learned(request.param, styles=2)


@pytest.mark.parametrize("size", [(128, 192), (133, 131), (20, 90)])
def test_generators_in_tiles_are_the_picture_of_one_pass(generator: StyleNetwork, size: tuple[int, int]) -> None:
    image, style = photo(*size), generator.stored_style(0).with_alpha(0.9).with_seed(5)
    assert difference(painted(generator, in_parts(image), style), generator.paint(image, style)) <= 1


def test_generators_in_tiles_with_masks(generator: StyleNetwork) -> None:
    image, shares = photo(70, 140), mask_weights(masks(70, 140), torch.tensor([[1.0, 3.0]]))
    style = side_by_side([generator.stored_style(0), generator.stored_style(1)]).with_alpha(1.0).with_seed(5)
    expected = generator.paint(image, replace(style, masks=SpatialMasks(shares, fill_of(shares.sum(dim=(2, 3))))))
    assert difference(painted(generator, in_parts(image, shares), style), expected) <= 1


def test_a_layer_is_measured_before_it_is_used(generator: StyleNetwork) -> None:
    passes = 0 if generator.norm == "batch" else sum(len(stage.layers) for stage in generator.stages)
    count = len(tiles(Box(0, 0, 128, 192), generator.stride, TILE_PX))
    steps = paint_steps(generator, in_parts(photo(128, 192)), TILE_PX)
    assert steps == count * (passes + len(generator.stages))


@pytest.mark.parametrize("name", ["adain", "swift", "residual", "pyramid"])
def test_stages_compute_what_forward_does(name: str) -> None:
    network = adain() if name == "adain" else tiny.swift(2) if name == "swift" else tiny.learned(name, styles=2)
    content, style = photo(128, 160), network.stored_style(1).with_seed(3)
    features = None
    for stage in network.stages:
        features = stage.run(content, features, style)
    assert features is not None
    assert difference(features, network(content, style)) <= 0.01
    layers = [layer for stage in network.stages for layer in stage.layers]
    assert layers == sorted(set(layers)), "every layer belongs to one stage"


@pytest.mark.parametrize("name", ["adain", "swift", "residual", "pyramid"])
def test_stages_see_no_further_than_they_say(name: str) -> None:
    """A change of the photo, or of what came before, outside a box and its margin changes nothing in the box."""
    network = adain() if name == "adain" else tiny.swift(2) if name == "swift" else tiny.learned(name, styles=2)
    image = photo(160, 160)
    style = network.stored_style(0).with_seed(1)
    found: dict[int, Statistics] = {}

    def record(layer: int, features: torch.Tensor, weights: torch.Tensor | None) -> Statistics:
        found[layer] = instance_statistics(features, weights)
        return found[layer]

    before = None
    for stage in network.stages:
        box = Box(64, 64, 32, 32)
        outer = box.grown(stage.margin_px, whole(image))
        other = 1 - image
        other[outer.within(whole(image))] = image[outer.within(whole(image))]
        changed = before
        if before is not None:
            factor = image.shape[2] // before.shape[2]
            changed = before + 1
            changed[outer.within(whole(image), factor)] = before[outer.within(whole(image), factor)]
        found.clear()
        given = stage.run(image, before, replace(style, context=Context(record)))
        moved = stage.run(other, changed, replace(style, context=Context(lambda layer, *_: found[layer])))
        inside = box.within(whole(image), stage.factor)
        torch.testing.assert_close(given[inside], moved[inside], atol=1e-4, rtol=1e-4)
        assert (given - moved).abs().max() > 1e-2
        before = given
