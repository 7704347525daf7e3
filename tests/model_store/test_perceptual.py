import pytest
import torch

from model_store.layers import adaptive_instance_norm
from model_store.perceptual import (
    content_loss,
    gram_matrix,
    lattice_amplitude,
    style_loss,
    style_targets,
    total_variation,
)


def features(seed: int, batch: int = 2) -> torch.Tensor:
    torch.manual_seed(seed)
    return torch.randn(batch, 4, 8, 8)


def test_gram_matrix_of_ones_is_ones():
    assert torch.equal(gram_matrix(torch.ones(2, 3, 4, 5)), torch.ones(2, 3, 3))


def test_gram_matrix_is_the_mean_product_of_channels():
    maps = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])  # (1, 2, 1, 2)
    assert gram_matrix(maps).tolist() == [[[2.5, 0.5], [0.5, 5.0]]]


def test_gram_matrix_stays_in_fp32_where_autocast_would_not():
    with torch.autocast("cpu", torch.bfloat16):
        assert gram_matrix(features(0).bfloat16()).dtype == torch.float32


def test_style_loss_of_gram_matrices_is_relative_to_the_style():
    style = style_targets({"a": features(0)}, "gram")
    assert style_loss(style, style).tolist() == [0, 0]
    # Twice the features have four times the Gram matrix: (4 − 1)² of its size.
    doubled = style_targets({"a": 2 * features(0)}, "gram")
    torch.testing.assert_close(style_loss(doubled, style), torch.full((2,), 9.0))


def test_total_variation_of_a_checkerboard_is_two():
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    images = board.float().expand(2, 3, 8, 8)
    assert total_variation(images).tolist() == [2, 2]


def test_total_variation_of_a_constant_is_zero_and_of_a_ramp_its_slope():
    assert total_variation(torch.full((1, 3, 8, 8), 0.3)).item() == 0
    ramp = torch.arange(8.0).expand(1, 3, 8, 8) / 8
    assert total_variation(ramp).item() == pytest.approx(1 / 64)


def test_content_loss_is_blind_to_a_change_of_style():
    content = features(0)
    restyled = adaptive_instance_norm(content, torch.rand(2, 4) + 0.5, torch.randn(2, 4))
    torch.testing.assert_close(content_loss(restyled, content), torch.zeros(2), atol=1e-5, rtol=0)


def test_content_loss_of_the_negative_is_four():
    content = features(0)
    torch.testing.assert_close(content_loss(-content, content), torch.full((2,), 4.0), atol=1e-3, rtol=0)


def test_style_loss_sees_statistics_alone():
    style = features(0)
    shuffled = style.flatten(2)[..., torch.randperm(64)].view_as(style)
    distance = style_loss(style_targets({"a": shuffled}), style_targets({"a": style}))
    torch.testing.assert_close(distance, torch.zeros(2), atol=1e-6, rtol=0)


def test_style_loss_is_the_mean_of_relative_layer_distances():
    style = {"a": features(0), "b": features(1)}
    # Doubled features move mean and std by their own size: a relative distance of one.
    result = {"a": 2 * style["a"], "b": style["b"]}
    distance = style_loss(style_targets(result), style_targets(style))
    torch.testing.assert_close(distance, torch.full((2,), 0.5), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["statistics", "gram"])
def test_style_loss_compares_images_of_different_sizes(kind):
    small, large = ({"a": torch.ones(1, 4, side, side)} for side in (4, 8))
    assert style_loss(style_targets(large, kind), style_targets(small, kind)).item() == pytest.approx(0)


@pytest.mark.parametrize("kind", ["statistics", "gram"])
def test_gradients_flow_through_the_style_loss(kind):
    result = features(0).requires_grad_()
    style_loss(style_targets({"a": result}, kind), style_targets({"a": features(1)}, kind)).sum().backward()
    assert result.grad.abs().min() > 0


def test_lattice_amplitude_is_that_of_patterns_of_two_and_four_pixels():
    down, across = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    patterns = [(down + across) % 2, across % 2, (down % 4 < 2) * 1, torch.ones(64, 64)]
    amplitudes = 9 * lattice_amplitude(torch.stack(patterns)[:, None].float())
    torch.testing.assert_close(amplitudes, torch.tensor([0.5, 0.5, 0.5**1.5, 0.0]), atol=2e-3, rtol=0)


def test_lattice_amplitude_overlooks_other_texture():
    torch.manual_seed(0)
    noise = torch.rand(1, 3, 128, 128)
    wave = (torch.arange(128) * (2 * torch.pi / 7)).sin().expand(1, 3, 128, 128)
    assert 9 * lattice_amplitude(noise).item() < 0.25 and 9 * lattice_amplitude(wave).item() < 0.05


def test_gradients_flow_through_the_lattice_amplitude_of_flat_areas():
    flat = torch.full((1, 3, 32, 32), 0.5, requires_grad=True)
    lattice_amplitude(flat).backward()
    assert flat.grad.isfinite().all()
