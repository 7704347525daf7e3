"""The residual and the pyramid generator: what they share, and the noise of the one."""

from itertools import combinations

import pytest
import torch

from model_store.generator import Generator
from model_store.layers import BatchNorm
from model_store.pyramid import PyramidGenerator, noise
from model_store.residual import ResidualGenerator
from model_store.style import Style, mix, stack

BUILDERS = {
    "residual": lambda norm, styles: ResidualGenerator(norm, styles, width=4, blocks=2),
    "pyramid": lambda norm, styles: PyramidGenerator(norm, styles, channels=2, scales=3),
}


def build(name: str, norm: str = "conditional", styles: int = 3) -> Generator:
    """A small network whose styles differ."""
    torch.manual_seed(0)
    network = BUILDERS[name](norm, styles).eval()
    with torch.no_grad():
        for norm_layer in network.tables:
            norm_layer.scale.uniform_(0.5, 1.5)
            norm_layer.shift.normal_()
    return network


@pytest.fixture(params=list(BUILDERS))
def name(request) -> str:
    return request.param


@pytest.fixture
def photos() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.nn.functional.interpolate(torch.rand(3, 3, 6, 8), scale_factor=8, mode="bilinear")  # (3, 3, 48, 64)


def stored(network: Generator, *rows: int) -> Style:
    return stack(network.stored_style(row).with_seed(row) for row in rows)


@pytest.mark.parametrize("size", [(48, 64), (33, 47), (16, 17), (5, 7)])
def test_any_size_comes_back(name, size):
    painted = build(name).paint(torch.rand(2, 3, *size), stored(build(name), 0, 1))
    assert painted.shape == (2, 3, *size)
    assert painted.min() >= 0 and painted.max() <= 1


def test_padding_leaves_the_picture_where_it_was(name, photos):
    """A photo that lacks a few rows gets about the same picture: the padding is below and to the right."""
    network = build(name, "batch")  # instance statistics would see the padding
    whole, cut = network.paint(photos[:1], stored(network, 0)), network.paint(photos[:1, :, :46], stored(network, 0))
    torch.testing.assert_close(cut[:, :, :8], whole[:, :, :8])


def test_each_image_of_a_batch_has_its_own_style(name, photos):
    network = build(name)
    batch = network.paint(photos, stored(network, 0, 2, 1))
    alone = torch.cat([network.paint(photos[i : i + 1], stored(network, row)) for i, row in enumerate((0, 2, 1))])
    torch.testing.assert_close(batch, alone, atol=1e-5, rtol=1e-4)
    same_photo = network.paint(photos[:1].expand(2, -1, -1, -1), stored(network, 0, 1))
    assert (same_photo[0] - same_photo[1]).abs().max() > 0.1, "the row decides"


def test_contrast_of_the_photo_is_taken_away_by_instance_norm(photos):
    """Ulyanov et al. 2016, section 2: the result should not depend on the content's contrast."""
    faded = 0.5 + 0.3 * (photos - 0.5)
    changes = {}
    for norm in ("conditional", "batch"):
        network = build("residual", norm)
        style = stored(network, 0, 0, 0)
        for _ in range(50):  # batch norm must have seen photos
            network.train().paint(photos, style)
        network.eval()
        changes[norm] = (network.paint(photos, style) - network.paint(faded, style)).abs().mean().item()
    assert changes["conditional"] < 1e-2 < 0.03 < changes["batch"]


def test_batch_norm_generators_use_batch_norm(name):
    assert all(isinstance(norm, BatchNorm) for norm in build(name, "batch").norms)


def test_styles_of_one_network_mix(name, photos):
    network = build(name)
    a, b = network.stored_style(0), network.stored_style(1)
    photo = photos[:1]

    def paint(style: Style) -> torch.Tensor:
        return network.paint(photo, style.with_seed(0))

    torch.testing.assert_close(paint(mix([a, b], [1, 0])), paint(a))
    half = paint(mix([a, b], [1, 1]))
    assert (half - paint(a)).abs().max() > 0.05 and (half - paint(b)).abs().max() > 0.05


def test_strength_cross_fades_with_the_photo(name, photos):
    network = build(name)
    photo, style = photos[:1], stored(network, 1)
    painted = network.paint(photo, style)
    torch.testing.assert_close(network.paint(photo, style.with_alpha(0)), photo)
    torch.testing.assert_close(network.paint(photo, style.with_alpha(0.25)), 0.75 * photo + 0.25 * painted)


@pytest.mark.parametrize("norm", ["instance", "conditional", "batch"])
def test_gradients_reach_every_weight_and_only_the_rows_that_are_drawn(name, norm):
    network = BUILDERS[name](norm, 1 if norm == "instance" else 3).train()
    style = network.learned_styles(torch.tensor([0, 0]))
    (network.paint(torch.rand(2, 3, 32, 32), style) * torch.rand(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    for norm_layer in network.tables:
        assert norm_layer.scale.grad[1:].eq(0).all()


def test_norms_are_listed_in_the_order_in_which_they_run(name, photos):
    network = build(name)
    order = []
    for index, norm_layer in enumerate(network.norms):
        norm_layer.register_forward_hook(lambda *_, index=index: order.append(index))
    network.paint(photos[:1], stored(network, 0))
    assert order == list(range(len(network.norms)))


def test_a_style_for_another_network_is_refused(name, photos):
    network, style = build(name), stored(build(name), 0)
    with pytest.raises(ValueError, match=f"got a style for {len(style.scales) - 1} layers, this network has"):
        network.paint(photos[:1], Style(style.scales[:-1], style.shifts[:-1], seeds=(0,)))


@pytest.mark.parametrize(
    ("norm", "styles", "message"),
    [("group", 1, "unknown norm 'group'"), ("instance", 2, "got 2 styles"), ("conditional", 0, "got 0 styles")],
)
def test_arguments_that_do_not_fit_are_refused(name, norm, styles, message):
    with pytest.raises(ValueError, match=message):
        BUILDERS[name](norm, styles)


def test_controls_say_what_can_be_asked_for():
    assert build("residual").controls == ("weights", "alpha")
    assert build("residual", "instance", 1).controls == ("alpha",)
    assert build("pyramid", "instance", 1).controls == ("alpha", "seed")


def test_a_style_of_the_residual_generator_takes_3206_numbers():
    """Dumoulin et al. 2017, section 3.1: 0.2 % of the network, about 3,000 a style."""
    with torch.device("meta"):
        network = ResidualGenerator("conditional", styles=16)
    assert sum(norm.scale[0].numel() + norm.shift[0].numel() for norm in network.tables) == 3206
    shared = sum(p.numel() for p in network.parameters()) - 16 * 3206
    assert shared == pytest.approx(1.68e6, rel=0.01)


def test_the_seed_decides_the_noise(photos):
    network = build("pyramid")
    style = network.stored_style(0)
    once, again, other = (network.paint(photos[:1], style.with_seed(seed)) for seed in (7, 7, 8))
    assert torch.equal(once, again)
    assert (once - other).abs().max() > 0.01


def test_noise_depends_on_the_images_own_seed_and_not_on_the_batch(photos):
    network = build("pyramid")
    batch = network.paint(photos[:1].expand(2, -1, -1, -1), stored(network, 0, 0))
    assert torch.equal(batch[0], batch[1]), "the same photo, style and seed"


def test_without_a_seed_the_noise_is_left_to_chance(photos):
    network = build("pyramid")
    style = network.stored_style(0)
    assert not torch.equal(network.paint(photos[:1], style), network.paint(photos[:1], style))


def test_other_scales_get_other_noise():
    window = (0, 0, 8, 8)
    drawn = [noise(5, 0, 3, window), noise(5, 1, 3, window), noise(6, 0, 3, window), noise(5 + 2**26, 0, 3, window)]
    assert not any(torch.equal(one, other) for one, other in combinations(drawn, 2))


@pytest.mark.parametrize("window", [(0, 0, 100, 130), (60, 64, 9, 64), (63, 127, 2, 2), (3, 70, 200, 1)])
def test_a_part_of_the_noise_is_what_the_whole_has_there(window):
    top, left, height, width = window
    whole = noise(1, 2, 3, (0, 0, 256, 256))
    assert torch.equal(noise(1, 2, 3, window), whole[:, top : top + height, left : left + width])


def test_noise_is_normal():
    drawn = noise(0, 0, 3, (0, 0, 256, 256))
    assert abs(drawn.mean().item()) < 0.01
    assert drawn.std().item() == pytest.approx(1, abs=0.01)
