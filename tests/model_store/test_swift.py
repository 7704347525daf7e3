"""``swift``: predicted conditional instance norm."""

import pytest
import tiny
import torch

from model_store.network import AnyStyle
from model_store.style import mix, stack
from model_store.swift import StylePredictor, Swift


@pytest.fixture(scope="module")
def network() -> Swift:
    return tiny.swift(styles=3)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    torch.manual_seed(3)
    coarse = torch.rand(3, 3, 8, 8)
    return torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bicubic").clamp(0.05, 0.95)  # (3, 3, 64, 64)


def test_a_new_network_gives_the_content_back(pictures: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = Swift(**tiny.SWIFT).eval()
    with torch.no_grad():
        network.predictor.rows.weight.zero_()
        painted = network(pictures, network.encode_style(pictures.flip(0)))
    torch.testing.assert_close(painted, pictures, atol=1e-5, rtol=0)


def test_the_row_decides(network: Swift, pictures: torch.Tensor) -> None:
    photo = pictures[:1]
    first, second = (network.paint(photo, network.encode_style(pictures[row : row + 1])) for row in (1, 2))
    assert (first - second).abs().max() > 0.02


def test_rows_and_styles_are_each_others_reverse(network: Swift) -> None:
    rows = torch.randn(2, network.style_rows.shape[1])
    style = network.style_of_rows(rows)
    assert [scale.shape[1] for scale in style.scales] == [norm_width for norm_width in network.widths]
    torch.testing.assert_close(network.rows_of_style(style), rows, atol=1e-6, rtol=0)


def test_every_layer_takes_the_scale_of_its_index(network: Swift) -> None:
    """The style lists one pair per layer, in the order in which the layers run, of the layer's width."""
    order: list[tuple[int, int]] = []
    hooks = [
        norm.register_forward_hook(lambda norm, arguments, _: order.append((norm.index, arguments[0].shape[1])))
        for norm in network.norms
    ]
    network(torch.rand(1, 3, 32, 32), network.stored_style(0))
    for hook in hooks:
        hook.remove()
    assert order == list(enumerate(network.widths))


def test_named_styles_are_kept_as_rows(pictures: torch.Tensor) -> None:
    network = tiny.swift()
    styles = network.encode_style(pictures)
    network.with_styles(styles)
    assert network.style_rows.shape[0] == 3
    torch.testing.assert_close(network.stored_style(1).scales, tuple(scale[1:2] for scale in styles.scales))


def test_strength_mixes_with_the_row_that_gives_the_content_back(network: Swift, pictures: torch.Tensor) -> None:
    photo, style = pictures[:1], network.stored_style(0)
    by_hand = network(photo, mix([network.content_style, style], [0.7, 0.3]))
    torch.testing.assert_close(network.paint(photo, style.with_alpha(0.3)), by_hand, atol=1e-5, rtol=0)
    assert torch.equal(network.paint(photo, style.with_alpha(1)), network.paint(photo, style))
    torch.testing.assert_close(network.paint(photo, style.with_alpha(0)), photo, atol=1e-5, rtol=0)
    assert (network.paint(photo, style.with_alpha(0.3)) - photo).abs().max() > 0.02


def test_a_batch_of_styles_and_strengths_equals_the_single_runs(network: Swift, pictures: torch.Tensor) -> None:
    styles = [network.stored_style(0), network.stored_style(1).with_alpha(0.4), network.encode_style(pictures[:1])]
    single = torch.cat([network.paint(pictures[i : i + 1], style) for i, style in enumerate(styles)])
    assert (network.paint(pictures, stack(styles)) - single).abs().max() <= 1 / 255


def test_statistics_count_relative_to_their_layers_size() -> None:
    predictor = StylePredictor(6, code=4, rows=5)
    layers = [torch.rand(2, 2), torch.rand(2, 4)]
    torch.testing.assert_close(predictor([layers[0] * 100, layers[1]]), predictor(layers))


def test_all_weights_but_the_encoders_learn() -> None:
    network = Swift(**tiny.SWIFT)
    content = torch.rand(2, 3, 32, 32)
    torch.nn.init.normal_(network.last.weight)
    style = network.encode_style(content.flip(0)).with_alpha(0.5)
    (network.paint(content, style) * torch.rand(2, 3, 32, 32)).sum().backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None) == name.startswith("encoder."), name


def test_it_takes_any_style(network: Swift) -> None:
    assert isinstance(network, AnyStyle) and "style" in network.controls


def test_a_picture_of_512_px_takes_less_than_20_gflop() -> None:
    """Counted in multiplications and additions of the convolutions."""
    with torch.device("meta"):
        network = Swift(styles=1)
        flops: list[int] = []
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.register_forward_hook(
                    lambda conv, _, out: flops.append(2 * conv.weight[0].numel() * out[0].numel())
                )
        network(torch.rand(1, 3, 512, 512), network.stored_style(0))
    assert 10e9 < sum(flops) < 20e9
