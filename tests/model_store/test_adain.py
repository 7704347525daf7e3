import pytest
import torch
from tiny import ADAIN, adain

from model_store.adain import AdaIN, mirrored_decoder
from model_store.statistics import instance_statistics
from model_store.style import mix, stack


@pytest.fixture(scope="module")
def network() -> AdaIN:
    return adain(styles=3)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    torch.manual_seed(3)
    return torch.nn.functional.interpolate(torch.rand(3, 3, 8, 8), scale_factor=8, mode="bilinear")  # (3, 3, 64, 64)


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


def test_restyled_features_have_the_styles_statistics(network, pictures):
    content, style_features = network.encode(pictures[:1]), network.encode(pictures[1:2])
    target = network.restyle(content, network.encode_style(pictures[1:2]))
    # The epsilon shows in maps that are constant: in the content there is nothing to scale, in the style it is all.
    stds = torch.stack([instance_statistics(content)[1], instance_statistics(style_features)[1]])
    varied = stds.amin(dim=0) > 0.1
    assert varied.float().mean() > 0.5
    for got, wanted in zip(instance_statistics(target), instance_statistics(style_features), strict=True):
        close(got[varied], wanted[varied])


def test_alpha_zero_decodes_the_contents_own_features(network, pictures):
    painted = network.paint(pictures[:1], network.encode_style(pictures[1:2]).with_alpha(0))
    close(painted, network.decode(network.encode(pictures[:1])))


def test_alpha_blends_features_before_the_decoder(network, pictures):
    style = network.encode_style(pictures[1:2])
    features = network.encode(pictures[:1])
    paper = network.decode(0.6 * features + 0.4 * network.restyle(features, style))
    close(network.paint(pictures[:1], style.with_alpha(0.4)), paper)


def test_mix_equals_the_papers_blend_of_feature_maps(network, pictures):
    styles = [network.encode_style(pictures[1:2]), network.encode_style(pictures[2:3])]
    features = network.encode(pictures[:1])
    paper = network.decode(0.7 * network.restyle(features, styles[0]) + 0.3 * network.restyle(features, styles[1]))
    close(network.paint(pictures[:1], mix(styles, [0.7, 0.3])), paper)


def test_a_batch_of_mixed_styles_and_strengths_equals_the_single_runs(network, pictures):
    encoded = [network.encode_style(pictures[i : i + 1]) for i in range(3)]
    styles = [encoded[1].with_alpha(0.3), mix(encoded[:2], [1, 2]), network.stored_style(2)]
    single = torch.cat([network.paint(pictures[i : i + 1], style) for i, style in enumerate(styles)])
    batch = network.paint(pictures, stack(styles))
    assert (batch - single).abs().max() <= 1 / 255
    close(batch, single)


def test_output_has_the_contents_shape(network):
    assert network.paint(torch.rand(1, 3, 40, 24), network.stored_style(0)).shape == (1, 3, 40, 24)


def test_stored_styles_are_rows(network):
    network.style_scales[1], network.style_shifts[1] = 2.0, 3.0
    style = network.stored_style(1)
    assert style.scales[0].shape == (1, 64)
    assert style.scales[0].eq(2).all() and style.shifts[0].eq(3).all()


def test_gradients_flow_to_the_decoder_alone():
    network = AdaIN(**ADAIN)
    assert {name.partition(".")[0] for name, p in network.named_parameters() if p.requires_grad} == {"decoder"}
    picture = torch.rand(1, 3, 32, 32)
    network(picture, network.encode_style(picture)).sum().backward()
    assert all(parameter.grad is None for parameter in network.encoder.parameters())
    assert all(parameter.grad is not None for parameter in network.decoder.parameters())


@pytest.mark.parametrize(("architecture", "convs"), [("vgg16", 8), ("vgg19", 9)])
def test_the_decoder_mirrors_the_encoder(architecture, convs):
    with torch.device("meta"):
        encoder, decoder = AdaIN(architecture).encoder, mirrored_decoder(architecture)
    kernels = [module for module in decoder.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len(kernels) == convs
    backwards = [(conv.out_channels, conv.in_channels) for conv in encoder.convs.values()][::-1]
    assert [(conv.in_channels, conv.out_channels) for conv in kernels] == backwards
    assert isinstance(decoder[-1], torch.nn.Conv2d), "the last layer has no ReLU"
