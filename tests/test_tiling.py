"""Pictures in tiles: the picture of one forward pass, whatever the size, the mask, the strength and the network."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import tiny
import torch

from model_store.adain import AdaIN
from model_store.layers import instance_statistics
from model_store.network import StyleNetwork, View
from model_store.regions import Regions, fill_of, mask_shares
from model_store.style import Style, side_by_side
from model_store.tiling import (
    Box,
    Moments,
    Picture,
    Recorder,
    encode_style_tiled,
    paint_tiled,
    reduced,
    tile_steps,
    tiles,
)

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


def in_parts(image: torch.Tensor, shares: torch.Tensor | None = None) -> Picture:
    height, width = image.shape[2:]
    return Picture(height, width, part_of(image), part_of(shares) if shares is not None else None)


def painted(network: StyleNetwork, picture: Picture, style: Style) -> torch.Tensor:
    """All tiles, each painted once."""
    canvas = torch.full((1, 3, picture.height, picture.width), torch.nan)
    steps = []
    for tile in paint_tiled(network, picture, style, TILE_PX):
        steps.append((tile.step, tile.steps))
        if tile.box is not None:
            place = tile.box.within(whole(canvas))
            assert canvas[place].isnan().all(), "painted twice"
            canvas[place] = tile.painted
    total = tile_steps(network, picture, TILE_PX)
    assert steps == [(step, total) for step in range(1, total + 1)]
    assert canvas.isfinite().all(), "a place is not painted"
    return canvas


def adain(architecture: str = "vgg16") -> AdaIN:
    """Random, with a picture of visible contrast."""
    torch.manual_seed(0)
    network = tiny.adain(styles=2) if architecture == "vgg16" else AdaIN(architecture, styles=2).eval()
    network.requires_grad_(False)
    if architecture != "vgg16":
        for name, parameter in network.encoder.named_parameters():
            if name.endswith("weight"):
                torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    network.style_scales.uniform_(0.5, 2.0)
    network.style_shifts.uniform_(0.0, 1.0)
    probe = network(photo(64, 64), network.stored_style(0))
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
@pytest.mark.parametrize("stride", [4, 8, 32])
def test_tiles_cover_a_picture_once_and_lie_on_the_grid(size: tuple[int, int], stride: int) -> None:
    count = torch.zeros(1, 1, *size)
    for box in tiles(in_parts(torch.zeros(1, 3, *size)), stride, TILE_PX):
        assert box.top % stride == box.left % stride == 0
        assert 0 < box.height <= TILE_PX and 0 < box.width <= TILE_PX
        count[box.within(whole(count))] += 1
    assert count.eq(1).all()


def test_tiles_are_about_the_same_size() -> None:
    widths = {box.width for box in tiles(in_parts(torch.zeros(1, 3, 8, 770)), 8, 768)}
    assert widths == {392, 378}


def test_a_margin_ends_where_the_picture_does() -> None:
    assert Box(64, 0, 64, 40).grown(32, 140, 100) == Box(32, 0, 108, 72)


# ---- AdaIN --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(128, 192), (133, 131), (64, 200), (65, 90)])
def test_tiles_are_the_picture_of_one_pass(network: AdaIN, size: tuple[int, int]) -> None:
    image, style = photo(*size), network.stored_style(0).with_alpha(1.0)
    expected = network(image, style)
    assert expected.std() > 0.05, "a flat picture would prove nothing"
    assert difference(painted(network, in_parts(image), style), expected) <= 1


def test_own_statistics_of_each_tile_would_not_be(network: AdaIN) -> None:
    """The test above can fail."""
    image, style = photo(128, 192), network.stored_style(0)
    alone = network(image[..., :64, :64], style)
    assert difference(alone, network(image, style)[..., :64, :64]) > 20


def test_tiles_with_strength(network: AdaIN) -> None:
    image, style = photo(133, 131), network.stored_style(0).with_alpha(0.4)
    assert difference(painted(network, in_parts(image), style), network(image, style)) <= 1


def test_tiles_with_masks_and_strength(network: AdaIN) -> None:
    image, weights = photo(133, 131), torch.tensor([[1.0, 2.0]])
    shares = mask_shares(masks(133, 131), weights)
    style = side_by_side([network.stored_style(0), network.stored_style(1)]).with_alpha(0.8)
    expected = network(image, replace(style, regions=Regions(shares, fill_of(shares.sum(dim=(2, 3))))))
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
    assert difference(painted(network, in_parts(image), style), network(image, style)) <= 1


def test_half_precision_is_kept_as_it_is() -> None:
    network = adain()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.to(torch.bfloat16)
    image, style = photo(72, 136), network.stored_style(0)
    assert difference(painted(network, in_parts(image), style), network(image, style)) <= 4  # as bf16 rounds


def test_a_style_image_in_tiles_has_the_same_statistics(network: AdaIN) -> None:
    image = photo(133, 131)
    *_, style = encode_style_tiled(network, in_parts(image), TILE_PX)
    expected = network.encode_style(image)
    torch.testing.assert_close(style.scales[0], expected.scales[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(style.shifts[0], expected.shifts[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("with_regions", [False, True])
def test_moments_of_parts_are_those_of_the_whole(with_regions: bool) -> None:
    torch.manual_seed(2)
    features = torch.randn(1, 5, 12, 16) * torch.linspace(0.1, 9, 16) + 1e3
    shares = torch.rand(1, 2, 12, 16) if with_regions else None
    moments = Moments()
    for left in range(0, 16, 4):
        part = slice(left, left + 4)
        moments.add(features[..., part], shares[..., part] if shares is not None else None)
    for found, wanted in zip(moments.statistics, instance_statistics(features, shares), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-5)


def test_moments_of_a_region_that_is_in_some_tiles_only() -> None:
    torch.manual_seed(2)
    features, shares = torch.randn(1, 5, 4, 8), torch.zeros(1, 2, 4, 8)
    shares[:, 0, :, 5:] = 1
    moments = Moments()
    for part in (slice(0, 4), slice(4, 8)):
        moments.add(features[..., part], shares[..., part])
    mean, deviation = moments.statistics
    assert mean.isfinite().all() and deviation.isfinite().all()
    torch.testing.assert_close(mean[:, 0], features[..., 5:].mean(dim=(2, 3)))


# ---- generators ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["residual", "pyramid"])
@pytest.mark.parametrize("size", [(128, 192), (133, 131)])
def test_given_the_statistics_of_the_whole_tiles_are_the_picture_of_one_pass(
    kind: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of the difference is that the statistics are those of a reduced picture; here they are not."""
    network = tiny.learned(kind, styles=2)
    image, style = photo(*size), network.stored_style(0).with_alpha(0.9).with_seed(5)
    assert difference(painted(network, in_parts(image), style), network(image, style)) <= 1


@pytest.mark.parametrize("kind", ["residual", "pyramid"])
def test_generators_with_masks(kind: str) -> None:
    network = tiny.learned(kind, styles=2)
    image, shares = photo(128, 160), mask_shares(masks(128, 160), torch.ones(1, 2))
    style = side_by_side([network.stored_style(0), network.stored_style(1)]).with_alpha(1.0).with_seed(5)
    expected = network(image, replace(style, regions=Regions(shares, fill_of(shares.sum(dim=(2, 3))))))
    assert difference(painted(network, in_parts(image, shares), style), expected) <= 1


def test_batch_norm_needs_no_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny.learned("residual", norm="batch", styles=2)
    monkeypatch.setattr("model_store.tiling.STATISTICS_PIXELS", 64)
    image, style = photo(133, 131), network.stored_style(0)
    assert difference(painted(network, in_parts(image), style), network(image, style)) <= 1


@pytest.mark.parametrize("kind", ["residual", "pyramid"])
def test_statistics_of_a_reduced_picture_leave_no_seams(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_store.tiling.STATISTICS_PIXELS", 64 * 64)
    network = tiny.learned(kind, styles=2)
    image, style = photo(128, 192), network.stored_style(0).with_alpha(1.0).with_seed(5)
    small, _ = reduced(in_parts(image), 64 * 64)
    recorder = Recorder()
    network(small, style, View(measure=recorder.record))
    expected = network(image, style, View(measure=recorder.replay()))
    assert difference(painted(network, in_parts(image), style), expected) <= 1


def test_a_reduced_picture_averages_squares() -> None:
    image = photo(40, 60)
    small, shares = reduced(in_parts(image, masks(40, 60)), 20 * 30)
    torch.testing.assert_close(small, torch.nn.functional.avg_pool2d(image, 2))
    assert shares is not None and shares.shape == (1, 2, 20, 30)


def test_a_picture_that_is_small_enough_is_not_reduced() -> None:
    image = photo(40, 60)
    assert torch.equal(reduced(in_parts(image))[0], image)


def test_a_network_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="a StyleNetwork cannot be painted in tiles"):
        next(paint_tiled(StyleNetwork(), in_parts(photo(8, 8)), Style((), ())))
