import pytest
import torch

from model_store.style import Style, mix, stack


def style(rows: int, seed: int) -> Style:
    torch.manual_seed(seed)
    return Style((torch.rand(rows, 4), torch.rand(rows, 2)), (torch.randn(rows, 4), torch.randn(rows, 2)))


def test_mix_is_the_weighted_sum_with_weights_normalised():
    a, b = style(2, 0), style(2, 1)
    mixed = mix([a, b], [3, 1])
    for layer in range(2):
        torch.testing.assert_close(mixed.scales[layer], 0.75 * a.scales[layer] + 0.25 * b.scales[layer])
        torch.testing.assert_close(mixed.shifts[layer], 0.75 * a.shifts[layer] + 0.25 * b.shifts[layer])


def test_mix_of_one_is_itself():
    a = style(1, 0)
    assert torch.equal(mix([a], [0.2]).scales[0], a.scales[0])


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], []])
def test_mix_refuses_weights_that_do_not_fit(weights):
    with pytest.raises(ValueError, match="for 2 styles: give one per style"):
        mix([style(1, 0), style(1, 1)], weights)


def test_stack_keeps_each_rows_style_and_strength():
    a, b = style(1, 0).with_alpha(0.25), style(2, 1)
    stacked = stack([a, b])
    assert len(stacked) == 3
    assert stacked.strength.tolist() == [0.25, 1, 1]
    assert torch.equal(stacked.scales[1], torch.cat([a.scales[1], b.scales[1]]))
    assert torch.equal(stacked.shifts[0], torch.cat([a.shifts[0], b.shifts[0]]))


def test_to_moves_every_tensor():
    moved = style(1, 0).with_alpha(0.5).to(torch.device("meta"))
    assert {tensor.device.type for tensor in (*moved.scales, *moved.shifts, moved.strength)} == {"meta"}
