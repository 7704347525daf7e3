"""Spatial masks: weights of styles, statistics of what they cover, and what every network makes of them."""

import pytest
import tiny
import torch

from model_store.layers import BatchNorm, InstanceNorm, adaptive_instance_norm
from model_store.network import StyleNetwork
from model_store.spatial_masks import SpatialMasks, everywhere, spatial_masks
from model_store.statistics import EPSILON, instance_statistics
from model_store.style import Style, mix, place, stack

HEIGHT, WIDTH = 48, 64
CPU = torch.device("cpu")


def halves(soft_px: int = 0) -> torch.Tensor:
    """Left and right: (1, 2, H, W), with a border so wide."""
    x = torch.arange(WIDTH) + 0.5
    left = (0.5 - (x - WIDTH / 2) / max(soft_px, 1e-3)).clamp(0, 1).expand(HEIGHT, WIDTH)
    return torch.stack([left, 1 - left])[None]


def equal(count: int) -> torch.Tensor:
    return torch.ones(1, count)


@pytest.fixture(params=["adain", "swift", "residual", "pyramid", "batch"])
def network(request) -> StyleNetwork:
    if request.param == "adain":
        network = tiny.adain(styles=3)
        torch.manual_seed(5)
        network.style_scales.uniform_(0.1, 2.0)
        network.style_shifts.uniform_(0.0, 1.0)
        network.decoder[-1].bias.fill_(0.5)
        return network
    if request.param == "swift":
        return tiny.swift(styles=3)
    if request.param == "batch":
        return tiny.learned("residual", norm="batch", styles=3)
    return tiny.learned(request.param, styles=3)


@pytest.fixture
def photo() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.nn.functional.interpolate(torch.rand(1, 3, 6, 8), (HEIGHT, WIDTH), mode="bicubic").clamp(0, 1)


def styles(network: StyleNetwork, *rows: int) -> list[Style]:
    return [network.stored_style(row).with_seed(1) for row in rows]


# ---- weights -------------------------------------------------------------------------------------------------------


def test_weights_sum_to_one_where_masks_meet_and_to_less_where_they_fade() -> None:
    masks = torch.tensor([[0.6, 0.0, 1.0, 0.2], [0.4, 0.0, 1.0, 0.3]]).view(1, 2, 1, 4)
    shares = spatial_masks(masks, equal(2)).weights
    torch.testing.assert_close(shares.flatten(2), torch.tensor([[[0.6, 0.0, 0.5, 0.2], [0.4, 0.0, 0.5, 0.3]]]))


def test_weights_decide_where_masks_overlap_and_nowhere_else() -> None:
    masks = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]).view(1, 2, 1, 3)
    shares = spatial_masks(masks, torch.tensor([[3.0, 1.0]])).weights
    torch.testing.assert_close(shares.flatten(2), torch.tensor([[[1.0, 0.75, 0.0], [0.0, 0.25, 1.0]]]))


def test_a_style_of_weight_zero_is_nowhere() -> None:
    masks = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]).view(1, 2, 1, 3)
    masks = spatial_masks(masks, torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(masks.weights.flatten(2), torch.tensor([[[0.0, 0.0, 0.0], [0.0, 1.0, 1.0]]]))
    assert masks.fill.tolist() == [[0, 1]]


def test_a_coarser_grid_averages_what_lies_in_its_places() -> None:
    masks = spatial_masks(torch.tensor([0.0, 1.0, 1.0, 1.0]).view(1, 1, 2, 2).expand(1, 1, 2, 2), equal(1))
    assert masks.at(1, 1).item() == 0.75


def test_places_without_a_style_are_filled_by_what_the_styles_have_elsewhere() -> None:
    masks = torch.tensor([[1.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0]]).view(1, 2, 1, 5)
    filled = spatial_masks(masks, equal(2)).with_count(3).filled(1, 5)
    torch.testing.assert_close(filled.sum(dim=1), torch.ones(1, 1, 5))
    assert filled[0, :, 0, 4].tolist() == [0.75, 0.25, 0]


# ---- statistics and normalisation ---------------------------------------------------------------------------------


@pytest.fixture
def features() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 5, 6, 8) * 4 + 3


def test_statistics_of_a_mask_are_those_of_its_places(features) -> None:
    shares = torch.zeros(2, 2, 6, 8)
    shares[:, 0, :, :3], shares[:, 1, :, 3:] = 1, 1
    mean, std = instance_statistics(features, shares)
    for region, part in enumerate((features[..., :3], features[..., 3:])):
        wanted = instance_statistics(part)
        torch.testing.assert_close(mean[:, region], wanted[0].flatten(1))
        torch.testing.assert_close(std[:, region], wanted[1].flatten(1))


def test_statistics_of_a_soft_mask_are_weighted(features) -> None:
    share = torch.rand(2, 1, 6, 8)
    mean, std = instance_statistics(features, share)
    weights = share / share.sum(dim=(2, 3), keepdim=True)
    wanted = (features * weights).sum(dim=(2, 3), keepdim=True)
    variance = ((features - wanted).square() * weights).sum(dim=(2, 3))
    torch.testing.assert_close(mean[:, 0], wanted.flatten(1))
    torch.testing.assert_close(std[:, 0], (variance + EPSILON).sqrt())


def test_statistics_of_a_mask_with_a_large_mean_do_not_cancel() -> None:
    """A dark and a bright half, each of small deviation: sums of squares would lose it in fp32."""
    features = torch.cat([torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 1e4)], dim=3)
    features = features + torch.linspace(-1, 1, 8).view(1, 1, 8, 1)
    shares = torch.zeros(1, 2, 8, 16)
    shares[:, 0, :, :8], shares[:, 1, :, 8:] = 1, 1
    std = instance_statistics(features, shares)[1].flatten()
    assert std[1].item() == pytest.approx(std[0].item(), rel=1e-3)


def test_an_empty_mask_has_finite_statistics_and_changes_nothing(features) -> None:
    shares = torch.zeros(2, 2, 6, 8)
    shares[:, 0] = 1
    scale, shift = torch.rand(2, 2, 5), torch.randn(2, 2, 5)
    painted = adaptive_instance_norm(features, scale, shift, mask_weights=shares)
    torch.testing.assert_close(painted, adaptive_instance_norm(features, scale[:, 0], shift[:, 0]), atol=1e-4, rtol=0)


def test_each_mask_gets_its_own_deviation_and_mean(features) -> None:
    shares = torch.zeros(2, 2, 6, 8)
    shares[:, 0, :, :3], shares[:, 1, :, 3:] = 1, 1
    scale, shift = torch.rand(2, 2, 5) + 0.5, torch.randn(2, 2, 5)
    painted = adaptive_instance_norm(features, scale, shift, mask_weights=shares)
    for region, part in enumerate((painted[..., :3], painted[..., 3:])):
        mean, std = instance_statistics(part)
        torch.testing.assert_close(mean.flatten(1), shift[:, region], atol=1e-4, rtol=0)
        torch.testing.assert_close(std.flatten(1), scale[:, region], atol=1e-4, rtol=0)


def test_places_without_a_style_keep_their_features(features) -> None:
    share = torch.zeros(2, 1, 6, 8)
    share[..., :4] = 1
    painted = adaptive_instance_norm(features, torch.rand(2, 1, 5), torch.rand(2, 1, 5), mask_weights=share)
    torch.testing.assert_close(painted[..., 4:], features[..., 4:], atol=1e-5, rtol=0)


def test_strength_scales_the_weights(features) -> None:
    share, alpha = torch.rand(2, 1, 6, 8), torch.tensor([0.3, 0.0])
    scale, shift = torch.rand(2, 1, 5), torch.rand(2, 1, 5)
    strong = adaptive_instance_norm(features, scale, shift, mask_weights=share)
    painted = adaptive_instance_norm(features, scale, shift, alpha, share)
    torch.testing.assert_close(painted, torch.lerp(features, strong, alpha.view(-1, 1, 1, 1)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", [InstanceNorm, BatchNorm])
def test_a_layer_with_one_mask_that_is_everywhere_is_the_layer_without(features, kind) -> None:
    layer = kind(0, 5).eval()
    style = Style((torch.rand(2, 5),), (torch.randn(2, 5),))
    placed = layer(features, place([style], everywhere(2, 6, 8, CPU)))
    torch.testing.assert_close(placed, layer(features, style), atol=1e-5, rtol=1e-5)


# ---- styles with masks ------------------------------------------------------------------------------------------


def test_place_needs_a_mask_for_every_style() -> None:
    one = Style((torch.ones(1, 4),), (torch.zeros(1, 4),))
    with pytest.raises(ValueError, match="got 2 masks for 1 styles: give one for each"):
        place([one], spatial_masks(halves(), equal(2)))


def test_masks_go_where_their_style_goes() -> None:
    one = Style((torch.ones(1, 4),), (torch.zeros(1, 4),))
    moved = place([one], everywhere(1, 2, 2, CPU)).to(torch.device("meta"))
    assert moved.masks is not None and moved.masks.weights.device.type == "meta"


# ---- networks -----------------------------------------------------------------------------------------------------


def test_one_mask_that_is_white_is_no_mask(network, photo) -> None:
    (style,) = styles(network, 0)
    white = place([style], spatial_masks(torch.ones(1, 1, HEIGHT, WIDTH), equal(1)))
    assert (network.paint(photo, white) - network.paint(photo, style)).abs().max() < 1 / 255


def test_a_style_in_both_halves_of_one_photo_is_painted_in_each_as_if_alone(network) -> None:
    """The halves are the same, so each half's own statistics are the whole's: no seam, and no trace of the masks."""
    torch.manual_seed(2)
    half = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 4), (HEIGHT, WIDTH // 2), mode="bicubic").clamp(0, 1)
    photo = torch.cat([half, half], dim=3)
    (style,) = styles(network, 0)
    if network.norm in ("conditional", "predicted"):
        pytest.skip("features of the two halves differ near the border, and with them the layers' statistics")
    split = network.paint(photo, place([style, style], spatial_masks(halves(), equal(2))))
    assert (split - network.paint(photo, style)).abs().mean() < 2 / 255


def test_away_from_the_border_each_half_is_its_own_style(network, photo) -> None:
    """Exactly, if the other style is the same elsewhere: what is painted on the left depends on the left alone."""
    first, second, third = styles(network, 0, 1, 2)
    masks = spatial_masks(halves(soft_px=8), equal(2))
    painted = network.paint(photo, place([first, second], masks))
    other = network.paint(photo, place([first, third], masks))
    wide = network.paint(photo, place([first, first], masks))
    near, far = slice(0, 8), slice(WIDTH - 8, WIDTH)
    if network.norm == "adaptive":
        assert (painted[..., near] - other[..., near]).abs().max() < 1 / 255
    assert (painted[..., near] - wide[..., near]).abs().mean() < (painted[..., far] - wide[..., far]).abs().mean() / 3


def test_a_black_half_keeps_the_photo(network, photo) -> None:
    (style,) = styles(network, 0)
    mask = halves()[:, :1]
    painted = network.paint(photo, place([style], spatial_masks(mask, equal(1))))
    untouched = network.paint(photo, style.with_alpha(0))
    if network.norm == "adaptive":
        assert (painted[..., -8:] - untouched[..., -8:]).abs().max() < 1 / 255
    else:
        torch.testing.assert_close(painted[..., WIDTH // 2 :], photo[..., WIDTH // 2 :])
    assert (painted[..., :8] - untouched[..., :8]).abs().max() > 5 / 255


def test_strength_zero_is_the_same_for_all_masks(network, photo) -> None:
    first, second = styles(network, 0, 1)
    placed = place([first.with_alpha(0), second], spatial_masks(halves(8), equal(2)))
    assert (network.paint(photo, placed) - network.paint(photo, first.with_alpha(0))).abs().max() < 1 / 255


def test_a_soft_border_has_no_seam(network, photo) -> None:
    """Steps between neighbouring columns are those of the two paintings, and of the way from one to the other."""
    first, second = styles(network, 0, 1)
    painted = network.paint(photo, place([first, second], spatial_masks(halves(soft_px=32), equal(2))))
    one, other = network.paint(photo, first), network.paint(photo, second)
    steps = [image.diff(dim=3).abs().amax() for image in (painted, one, other)]
    assert steps[0] < 1.5 * max(steps[1:]) + 2 / 32 * (one - other).abs().amax()


def test_a_batch_of_different_numbers_of_masks_equals_the_single_runs(network, photo) -> None:
    first, second, third = styles(network, 0, 1, 2)
    thirds = torch.rand(1, 3, HEIGHT, WIDTH)
    asked = [
        place([first, second], spatial_masks(halves(8), torch.tensor([[1.0, 3.0]]))).with_alpha(0.7),
        mix([first, third], [1, 2]).with_seed(1),
        place([second], spatial_masks(halves()[:, 1:], equal(1))),
        place([third, first, second], spatial_masks(thirds, equal(3))),
    ]
    photos = torch.cat([photo, photo.flip(3), photo.flip(2), 1 - photo])
    together = network.paint(photos, stack(asked))
    alone = torch.cat([network.paint(photos[i : i + 1], stack([style])) for i, style in enumerate(asked)])
    assert (together - alone).abs().max() <= 1 / 255


@pytest.mark.parametrize("size", [(33, 47), (16, 17)])
def test_masks_of_odd_sizes_are_padded_as_the_photo_is(network, size) -> None:
    torch.manual_seed(3)
    photo, masks = torch.rand(1, 3, *size), torch.rand(1, 2, *size)
    assert network.paint(photo, place(styles(network, 0, 1), spatial_masks(masks, equal(2)))).shape == (1, 3, *size)
    style = styles(network, 0)[0]
    white = place([style], SpatialMasks(torch.ones(1, 1, *size), torch.ones(1, 1)))
    assert (network.paint(photo, white) - network.paint(photo, style)).abs().max() < 1 / 255
