from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from model_store.gatys import COARSEST_PX, DEFAULT, Gatys, GatysOptions, Progress, mix_style_targets, schedule
from model_store.vgg import VGG

QUICK = replace(DEFAULT, steps=6, scales=1)


def vgg(until: str = "relu4_1") -> VGG:
    """Random weights that keep the size of features from layer to layer."""
    torch.manual_seed(3)
    network = VGG("vgg16", until, width=8).requires_grad_(False)
    for conv in network.convs.values():
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        nn.init.zeros_(conv.bias)
    return network


NETWORK = vgg()


def picture(seed: int, height: int = 32, width: int = 40, batch: int = 1) -> Tensor:
    """Blotches."""
    torch.manual_seed(seed)
    return nn.functional.interpolate(torch.rand(batch, 3, 4, 5), (height, width), mode="bilinear")


CONTENT, PAINTING = picture(0), picture(1, 48, 32) ** 3


def marks(options: GatysOptions, content: Tensor = CONTENT, painting: Tensor = PAINTING) -> list[Progress]:
    gatys = Gatys(NETWORK, options)
    return list(gatys.run(content, gatys.encode_style(painting)))


@pytest.mark.parametrize("style_loss", ["gram", "statistics"])
@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_every_optimiser_lowers_every_loss(optimiser, style_loss):
    done = marks(replace(QUICK, steps=10, optimiser=optimiser, style_loss=style_loss))
    assert done[-1].losses["total"] < 0.6 * done[0].losses["total"]
    assert done[-1].losses["style"] < 0.6 * done[0].losses["style"]
    assert done[0].losses["content"] == pytest.approx(0, abs=1e-6)  # it starts from the content


def test_the_total_is_the_weighted_sum():
    losses = marks(replace(QUICK, steps=2))[-1].losses
    weighted = (
        DEFAULT.content_weight * losses["content"]
        + DEFAULT.style_weight * losses["style"]
        + DEFAULT.variation_weight * losses["variation"]
    )
    assert losses["total"] == pytest.approx(weighted)


@pytest.mark.parametrize("weight", ["content_weight", "style_weight", "variation_weight"])
def test_each_weight_draws_its_own_loss_down(weight):
    only = replace(QUICK, content_weight=0.0, style_weight=0.0, variation_weight=0.0, start="noise", seed=0)
    done = marks(replace(only, **{weight: 10.0}))
    name = weight.removesuffix("_weight")
    assert done[-1].losses[name] < 0.9 * done[0].losses[name]


def test_it_marks_every_step_and_the_last_mark_is_the_result():
    options = replace(QUICK, steps=5, scales=2)
    content = picture(0, 96, 92)
    gatys = Gatys(NETWORK, options)
    style = gatys.encode_style(PAINTING)
    done = list(gatys.run(content, style))
    assert [(mark.step, mark.steps) for mark in done] == [(step, 5) for step in range(1, 6)]
    assert torch.equal(gatys(content, style), done[-1].output)


def test_pictures_stay_in_range_and_have_the_contents_size_at_every_scale():
    done = marks(replace(QUICK, steps=6, scales=3, style_weight=1000.0), picture(0, 150, 130))
    assert [tuple(mark.iterate.shape[2:]) for mark in done[::2]] == [(75, 65), (106, 92), (150, 130)]
    for mark in done:
        assert mark.output.shape == (1, 3, 150, 130) and not mark.output.requires_grad
        assert mark.output.min() >= 0 and mark.output.max() <= 1
    assert any((mark.iterate == 1).any() for mark in done)  # they would leave it


def test_a_mark_keeps_its_picture():
    gatys = Gatys(NETWORK, QUICK)
    steps = gatys.run(CONTENT, gatys.encode_style(PAINTING))
    first = next(steps)
    before = first.output.clone()
    next(steps)
    assert torch.equal(first.output, before)


@pytest.mark.parametrize(("height", "width"), [(17, 33), (9, 9), (45, 20)])
def test_odd_and_small_sizes(height, width):
    done = marks(replace(QUICK, steps=2), picture(0, height, width))
    assert done[-1].output.shape == (1, 3, height, width)


def test_every_pixel_of_an_odd_picture_gets_a_gradient_from_the_deepest_layer():
    gatys = Gatys(NETWORK, QUICK)
    image = picture(0, 19, 21).requires_grad_()
    gatys.features(image)["relu4_1"].square().sum().backward()
    assert (image.grad != 0).all()


def test_noise_has_a_seed():
    noise = replace(QUICK, steps=1, start="noise")
    same, again, other = (marks(replace(noise, seed=seed))[0].output for seed in (5, 5, 6))
    assert torch.equal(same, again) and not torch.equal(same, other)
    assert not torch.equal(marks(noise)[0].output, marks(noise)[0].output)


def test_to_close_the_iterator_is_to_cancel():
    gatys = Gatys(NETWORK, QUICK)
    calls = []
    gatys.vgg.register_forward_hook(lambda *_: calls.append(1))
    style = gatys.encode_style(PAINTING)
    steps = gatys.run(CONTENT, style)
    next(steps)
    before = len(calls)
    steps.close()
    assert next(steps, None) is None and len(calls) == before
    gatys.vgg._forward_hooks.clear()


def test_another_run_goes_on_where_one_stopped():
    options = replace(QUICK, steps=6, scales=2)
    gatys = Gatys(NETWORK, options)
    content, style = picture(0, 92, 96), gatys.encode_style(PAINTING)
    half = list(gatys.run(content, style))[3]
    rest = list(gatys.run(content, style, half.step, half.output))
    assert [mark.step for mark in rest] == [5, 6]
    assert rest[0].losses["style"] < 0.8 * next(gatys.run(content, style)).losses["style"]
    assert [tuple(mark.iterate.shape[2:]) for mark in rest] == [(92, 96)] * 2


def test_a_mix_with_all_the_weight_on_one_style_is_that_style():
    gatys = Gatys(NETWORK, QUICK)
    one, two = gatys.encode_style(PAINTING), gatys.encode_style(picture(2))
    mixed = mix_style_targets([one, two], [1, 0])
    assert torch.equal(gatys(CONTENT, mixed), gatys(CONTENT, one))
    assert not torch.equal(gatys(CONTENT, mix_style_targets([one, two], [1, 1])), gatys(CONTENT, one))


def test_mixing_is_linear_and_weights_are_normalised():
    one, two = {"a": torch.tensor([[1.0, 2.0]])}, {"a": torch.tensor([[3.0, 6.0]])}
    assert mix_style_targets([one, two], [3, 1])["a"].tolist() == [[1.5, 3.0]]


def test_the_contents_own_style_leaves_the_picture_as_it_is():
    gatys = Gatys(NETWORK, replace(QUICK, variation_weight=0.0))
    torch.testing.assert_close(gatys(CONTENT, gatys.encode_style(CONTENT)), CONTENT, atol=0.01, rtol=0)


def test_a_batch_paints_as_each_alone_with_adam():
    gatys = Gatys(NETWORK, replace(QUICK, steps=3, optimiser="adam"))
    contents, paintings = picture(0, batch=2), picture(1, batch=2) ** 3
    together = list(gatys.run(contents, gatys.encode_style(paintings)))[-1].losses["style"]
    alone = [
        list(gatys.run(contents[row : row + 1], gatys.encode_style(paintings[row : row + 1])))[-1].losses["style"]
        for row in (0, 1)
    ]
    # Adam magnifies what rounding makes of gradients near zero, so pictures are not compared pixel by pixel.
    assert together == pytest.approx(sum(alone) / 2, rel=0.02) and alone[0] != pytest.approx(alone[1], rel=0.05)


def test_the_layers_are_the_papers_as_far_as_the_network_goes():
    gatys = Gatys(NETWORK)
    assert gatys.content_layer == "relu4_1"
    assert gatys.style_layers == ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    fuller = Gatys(vgg("relu5_1"), replace(QUICK, steps=1))
    assert fuller.content_layer == "relu4_2"
    assert fuller.style_layers == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    assert set(fuller.encode_style(PAINTING)) == set(fuller.style_layers)
    assert fuller(CONTENT, fuller.encode_style(PAINTING)).shape == CONTENT.shape


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_it_finds_its_gradients_whatever_the_callers_mode(mode):
    with mode():
        gatys = Gatys(NETWORK, replace(QUICK, steps=2))
        painted = gatys(CONTENT.clone(), gatys.encode_style(PAINTING.clone()))
        assert not torch.is_grad_enabled()
    assert not torch.equal(painted, CONTENT)


def test_the_networks_weights_get_no_gradient():
    network = vgg().requires_grad_(True)
    gatys = Gatys(network, replace(QUICK, steps=1))
    gatys(CONTENT, gatys.encode_style(PAINTING))
    assert all(parameter.grad is None for parameter in network.parameters())


def test_convolutions_may_be_in_bf16():
    gatys = Gatys(vgg().to(torch.bfloat16), QUICK)
    done = list(gatys.run(CONTENT, gatys.encode_style(PAINTING)))
    assert done[-1].output.dtype == torch.float32
    assert done[-1].losses["total"] < 0.8 * done[0].losses["total"]


def test_scales_share_the_steps_and_stop_at_the_coarsest():
    assert schedule((400, 300), replace(DEFAULT, steps=80, scales=3)) == [
        ((200, 150), 26),
        ((283, 212), 53),
        ((400, 300), 80),
    ]
    assert schedule((100, COARSEST_PX), replace(DEFAULT, steps=80, scales=3)) == [((100, COARSEST_PX), 80)]
    assert schedule((20, 20), replace(DEFAULT, steps=80, scales=3)) == [((20, 20), 80)]
