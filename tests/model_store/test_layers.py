import pytest
import torch
from torch import nn

from model_store.convolutions import UpsampledConv, pad_to_stride, padded_conv
from model_store.layers import BatchNorm, InstanceNorm, StyledScale, adaptive_instance_norm, normalise
from model_store.statistics import EPSILON, instance_statistics, mean_std
from model_store.style import Style

BATCH, CHANNELS = 3, 5


@pytest.fixture
def features() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(BATCH, CHANNELS, 6, 8) * 4 + 3


@pytest.fixture
def rows() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.rand(BATCH, CHANNELS) + 0.5, torch.randn(BATCH, CHANNELS)


def test_statistics_are_the_population_mean_and_std_of_each_map():
    one_map = torch.tensor([[1.0, 3.0], [5.0, 7.0]]).view(1, 1, 2, 2)
    mean, std = instance_statistics(one_map)
    assert mean.item() == 4
    assert std.item() == pytest.approx((5 + EPSILON) ** 0.5)


def test_statistics_of_half_precision_features_are_computed_in_fp32():
    large = torch.full((1, 1, 64, 64), 2000.0, dtype=torch.float16)  # its sum and its square overflow fp16
    mean, std = instance_statistics(large)
    assert mean.dtype == std.dtype == torch.float32
    assert mean.item() == 2000
    assert std.item() == pytest.approx(EPSILON**0.5)


def test_statistics_of_maps_far_from_zero_are_exact():
    far = torch.randn(2, 3, 40, 48, dtype=torch.float64).contiguous(memory_format=torch.channels_last) * 0.1 + 100
    mean, std = instance_statistics(far.float())
    variance, expected = torch.var_mean(far.float().double(), dim=(2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(mean, expected.float(), atol=1e-4, rtol=0)
    torch.testing.assert_close(std, (variance + EPSILON).sqrt().float(), atol=0, rtol=1e-4)


def test_normalised_maps_have_mean_zero_and_std_one(features):
    mean, std = instance_statistics(normalise(features))
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-6, rtol=0)
    torch.testing.assert_close(std, torch.ones_like(std), atol=1e-5, rtol=0)


def test_output_has_the_std_and_mean_that_were_asked_for(features, rows):
    scale, shift = rows
    mean, std = instance_statistics(adaptive_instance_norm(features, scale, shift))
    torch.testing.assert_close(mean.flatten(1), shift, atol=1e-5, rtol=0)
    torch.testing.assert_close(std.flatten(1), scale, atol=1e-5, rtol=0)


def test_alpha_zero_is_the_identity(features, rows):
    unchanged = adaptive_instance_norm(features, *rows, alpha=torch.zeros(BATCH))
    torch.testing.assert_close(unchanged, features, atol=1e-5, rtol=0)


def test_alpha_blends_feature_maps_as_equation_14_does(features, rows):
    alpha = torch.tensor([0.0, 0.3, 1.0])
    blended = adaptive_instance_norm(features, *rows, alpha)
    share = alpha.view(-1, 1, 1, 1)
    paper = (1 - share) * features + share * adaptive_instance_norm(features, *rows)
    torch.testing.assert_close(blended, paper, atol=1e-5, rtol=0)


def test_a_constant_map_stays_finite():
    painted = adaptive_instance_norm(torch.full((1, 1, 4, 4), 7.0), torch.ones(1, 1), torch.full((1, 1), 2.0))
    torch.testing.assert_close(painted, torch.full_like(painted, 2.0), atol=1e-2, rtol=0)


def test_instance_norm_of_an_image_ignores_the_rest_of_the_batch(features, rows):
    layer = InstanceNorm(1, CHANNELS)
    other = torch.ones(BATCH, 2)
    style = Style((other, rows[0]), (other, rows[1]))

    def row(i: int) -> Style:
        return Style(tuple(s[i : i + 1] for s in style.scales), tuple(s[i : i + 1] for s in style.shifts))

    alone = torch.cat([layer(features[i : i + 1], row(i)) for i in range(BATCH)])
    torch.testing.assert_close(layer(features, style), alone)
    mean, std = instance_statistics(alone)
    torch.testing.assert_close(std.flatten(1), rows[0], atol=1e-5, rtol=0)  # the layer took the rows of its index
    torch.testing.assert_close(mean.flatten(1), rows[1], atol=1e-5, rtol=0)


def test_a_styled_scale_does_not_normalise(features, rows):
    scaled = StyledScale(0)(features, Style((rows[0],), (rows[1],)))
    expected = features * rows[0][..., None, None] + rows[1][..., None, None]
    torch.testing.assert_close(scaled, expected)


def test_statistics_in_one_row_are_means_then_stds():
    row = mean_std(torch.tensor([[[[1.0, 3.0]], [[-5.0, 5.0]]]]))  # (1, 2, 1, 2)
    torch.testing.assert_close(row, torch.tensor([[2.0, 0.0, 1.0, 5.0]]), atol=1e-4, rtol=0)


def test_batch_norm_uses_the_batch_in_training_and_what_it_remembers_in_evaluation(features):
    layer = BatchNorm(0, CHANNELS)
    identity = Style((torch.ones(BATCH, CHANNELS),), (torch.zeros(BATCH, CHANNELS),))
    trained = layer.train()(features, identity)
    torch.testing.assert_close(trained.mean(dim=(0, 2, 3)), torch.zeros(CHANNELS), atol=1e-5, rtol=0)
    assert instance_statistics(trained)[0].abs().max() > 1e-2, "a single image must not be normalised by itself"
    evaluated = layer.eval()(features, identity)
    expected = nn.functional.batch_norm(features, layer.running_mean, layer.running_variance, eps=EPSILON)
    torch.testing.assert_close(evaluated, expected)


def test_norm_tables_start_as_the_identity():
    layer = InstanceNorm(0, CHANNELS, styles=4)
    assert layer.scale.shape == layer.shift.shape == (4, CHANNELS)
    assert layer.scale.eq(1).all() and layer.shift.eq(0).all()


def test_convolutions_pad_by_reflection():
    conv = padded_conv(1, 1)
    nn.init.constant_(conv.weight, 1 / 9)
    nn.init.zeros_(conv.bias)
    assert torch.allclose(conv(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4)), "zero padding would darken the border"


def test_upsampling_doubles_by_repeating_pixels():
    layer = UpsampledConv(1, 1)
    nn.init.zeros_(layer.conv.weight)
    nn.init.zeros_(layer.conv.bias)
    layer.conv.weight.data[0, 0, 1, 1] = 1
    doubled = layer(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    assert doubled.squeeze().tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


@pytest.mark.parametrize(("size", "padded"), [((16, 24), (16, 24)), ((17, 23), (24, 24)), ((3, 9), (8, 16))])
def test_padding_extends_to_the_stride_at_the_bottom_and_right(size, padded):
    image = torch.rand(1, 3, *size)
    extended = pad_to_stride(image, 8)
    assert extended.shape[2:] == padded
    assert torch.equal(extended[:, :, : size[0], : size[1]], image)


def test_padding_reflects_where_the_image_is_large_enough():
    row = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 8, 5)
    assert pad_to_stride(row, 8)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert pad_to_stride(row[..., :2], 8)[0, 0, 0].tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
