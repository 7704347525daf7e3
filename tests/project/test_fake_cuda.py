"""Everything that computes, on a pretended CUDA device: whatever is left on the CPU raises an error.

``FakeTensorMode`` carries out shapes, types and devices and no numbers, so it needs no GPU. Numbers are asked for at a
few places only (a picture becomes bytes, a loss is printed); these are replaced here. ``color=match`` is left out: the
eigenvalues of a covariance decide which of them count.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import image_files as files
import pytest
import tiny
import torch
from PIL import Image
from torch import nn
from torch._subclasses import FakeTensorMode

from experiments.decoders import DECODERS, DecoderTask
from model_store import checkpoint
from model_store.gatys import Gatys, GatysOptions, Scale
from model_store.large_image import Box, LargeImage
from model_store.network import AnyStyle, StyleNetwork
from model_store.runtime import Runtime, to_runtime
from model_store.spatial_masks import spatial_masks
from model_store.style import Style, mix, place, stack
from model_store.tiling import encode_style_tiled, paint_tiled
from model_store.vgg import VGG
from service.engine.stylize_input import StyleImage, StylizeInput
from service.engine.stylizer import Stylizer
from train.adain import AdaINTask
from train.any_style import AnyStyleTask
from train.data import Batch, Draw
from train.generator import GeneratorTask, Plan
from train.loop import Task
from train.recipes import ADAIN_RECIPES, ADD_STYLE_RECIPES, GENERATOR_RECIPES, SWIFT_RECIPES
from train.swift import SwiftTask

pytestmark = pytest.mark.slow

CUDA = torch.device("cuda:0")
RUNTIME = Runtime(CUDA, torch.bfloat16)
NETWORKS: dict[str, Callable[[], StyleNetwork]] = {
    "adain": lambda: tiny.adain(styles=2),
    "swift": lambda: tiny.swift(styles=2),
    "residual": lambda: tiny.learned("residual"),
    "pyramid": lambda: tiny.learned("pyramid"),
    "batch": lambda: tiny.learned("residual", norm="batch"),
}


def _apply(module: nn.Module, change: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> nn.Module:
    """``nn.Module._apply`` without its exchange of a parameter's data, of which fake tensors have none."""
    for child in module.children() if recurse else ():
        child._apply(change)
    with torch.no_grad():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(change(parameter.detach()), parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = change(buffer)
    return module


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(nn.Module, "_apply", _apply)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


@pytest.fixture(params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> StyleNetwork:
    return to_runtime(NETWORKS[request.param](), RUNTIME)


def pixels(batch: int, height: int = 72, width: int = 56) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, device=CUDA)


def styles(network: StyleNetwork) -> list[Style]:
    return [network.stored_style(row).with_seed(row) for row in range(2)]


def test_this_can_fail(network: StyleNetwork) -> None:
    with pytest.raises(Exception, match=r"devices?"):
        network.paint(pixels(1).cpu(), network.stored_style(0).with_seed(0))


def test_networks_paint_mixes_strengths_and_masks(network: StyleNetwork) -> None:
    first, second = styles(network)
    masks = spatial_masks(torch.rand(1, 2, 72, 56, device=CUDA), torch.ones(1, 2, device=CUDA))
    asked = [first, mix([first, second], [1, 2]).with_seed(1).with_alpha(0.5), place([first, second], masks)]
    painted = network.paint(pixels(3), stack(asked))
    assert painted.device == CUDA and painted.shape == (3, 3, 72, 56)


def test_networks_paint_in_tiles(network: StyleNetwork) -> None:
    def read(box: Box) -> torch.Tensor:
        return pixels(1, box.height, box.width)

    def weights(box: Box) -> torch.Tensor:
        return torch.rand(1, 2, box.height, box.width, device=CUDA) / 2

    style = network.stored_style(0).with_seed(1).with_alpha(0.5)
    for tile in paint_tiled(network, LargeImage(24, 40, read), style, tile_px=32):
        assert tile.output is None or tile.output.device == CUDA
    first, second = styles(network)
    placed = place([first, second], spatial_masks(weights(Box(0, 0, 24, 40)), torch.ones(1, 2, device=CUDA)))
    placed = Style(placed.scales, placed.shifts, seeds=(1,))
    for tile in paint_tiled(network, LargeImage(24, 40, read, weights), placed, tile_px=32):
        assert tile.output is None or tile.output.device == CUDA


@pytest.mark.parametrize("name", ["adain", "swift"])
def test_styles_are_encoded(name: str) -> None:
    network = to_runtime(NETWORKS[name](), RUNTIME)
    assert isinstance(network, AnyStyle)
    *_, tiled = encode_style_tiled(
        network, LargeImage(72, 136, lambda box: pixels(1, box.height, box.width)), tile_px=64
    )
    for style in (network.encode_style(pixels(2)), tiled):
        assert {tensor.device for tensor in (*style.scales, *style.shifts)} == {CUDA}


@pytest.mark.parametrize("start", ["content", "noise"])
def test_gatys(start: Any) -> None:
    gatys = Gatys(
        to_runtime(VGG("vgg16", "relu4_1", width=8), RUNTIME), GatysOptions(optimiser="adam", start=start, seed=1)
    )
    scale = Scale(gatys, pixels(1), gatys.encode_style(pixels(1)), None)
    assert {loss.device for loss in scale._losses()} == {CUDA}
    assert scale.iterate.device == CUDA


# ---- the service --------------------------------------------------------------------------------------------------


@pytest.fixture
def stylizer(every_network: Path, monkeypatch: pytest.MonkeyPatch) -> Stylizer:
    kinds = {"adain": "adain", "coast": "residual", "ink": "residual", "old": "batch", "noisy": "pyramid"}
    monkeypatch.setattr(checkpoint, "load", lambda path: NETWORKS[kinds[path.stem]]())
    monkeypatch.setattr(StylizeInput, "weights", lambda one, device: torch.ones(1, len(one.styles)).to(device))
    monkeypatch.setattr("service.engine.stylizer.to_images", blank)
    return Stylizer(every_network, RUNTIME, style_cache_entries=4)


def blank(images: torch.Tensor) -> list[Image.Image]:
    """Pictures of the right size, for what has no numbers."""
    assert images.device == CUDA
    return [Image.new("RGB", (images.shape[3], images.shape[2])) for _ in images]


PAINTED = {"adain": ("first", "second"), "coast": ("sea", "sky"), "ink": ("ink",), "noisy": ("moss",)}


@pytest.mark.parametrize(("model", "color"), [*((model, "style") for model in PAINTED), ("adain", "luminance")])
def test_the_stylizer_paints_with_every_control(stylizer: Stylizer, model: str, color: Any) -> None:
    photo, mask = files.photo(56, 72), Image.new("L", (56, 72), 128)
    names: list[str | StyleImage] = list(PAINTED[model])
    if model == "adain":
        names.append(StyleImage("digest", files.photo(64, 48, seed=2)))
    even = [(1.0, name) for name in names]
    batch = [
        StylizeInput(photo, even[:1], 1.0, seed=1, color=color),
        StylizeInput(photo, even, 0.5, seed=2, color=color),
        StylizeInput(photo, even, 1.0, seed=3, color=color, masks=[mask] * len(names)),
    ]
    assert [image.size for image in stylizer.paint(model, batch)] == [(56, 72)] * 3
    *_, last = stylizer.paint_tiled(model, batch[2])
    assert last.output.size == (56, 72)


# ---- training -----------------------------------------------------------------------------------------------------

RECIPES = {
    **{f"swift {name}": ("swift", recipe) for name, recipe in SWIFT_RECIPES.items()},
    **{f"adain {name}": ("adain", recipe) for name, recipe in ADAIN_RECIPES.items()},
    **{f"generator {name}": ("residual", recipe) for name, recipe in GENERATOR_RECIPES.items()},
    **{f"add-style {name}": ("residual", recipe) for name, recipe in ADD_STYLE_RECIPES.items()},
}


DRAWS = torch.tensor([[0, 1], [1, 2]])
"""Rows and seeds: made here, outside the mode, since their numbers are needed."""


def uint8(count: int, px: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, px, px)).byte()


def step(task: Task, batch: Batch) -> None:
    """Take a step as ``Training`` does, but for autocast and autograd, which ask for a real device."""
    task.to(CUDA)
    for _ in range(2):  # the first fills pools
        inputs = task.inputs(batch, CUDA)
    losses = task.losses(*inputs)
    assert {loss.device for loss in losses.values()} == {CUDA}
    parameters = [parameter for parameter in task.network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters)
    torch.stack(list(losses.values())).sum()
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    assert task.sample_images(*inputs).shape[0] == 3


@pytest.mark.parametrize("name", list(RECIPES))
def test_one_step_of_every_recipe(name: str) -> None:
    kind, recipe = RECIPES[name]
    draw = Draw(64, 2, "0/0/0")
    task: Task
    if kind in ("swift", "adain"):
        tasks: dict[str, type[AnyStyleTask]] = {"swift": SwiftTask, "adain": AdaINTask}
        network = NETWORKS[kind]()
        assert isinstance(network, AnyStyle)
        network.requires_grad_(True).encoder.requires_grad_(False)
        task, style = tasks[kind](network, {}, recipe), uint8(2, 64)
    else:
        generator = tiny.learned("residual").requires_grad_(True)
        vgg = VGG("vgg16", max(recipe.content_layer, *recipe.style_layers), width=8).requires_grad_(False)
        task = GeneratorTask(Plan(generator, "residual", {}), vgg, recipe, [torch.rand(1, 3, 64, 64)] * 2)
        style = DRAWS
    step(task, Batch(uint8(2, 64), style, (), 0, draw))


@pytest.mark.parametrize("name", list(DECODERS))
def test_one_step_of_every_decoder(name: str) -> None:
    join, build = DECODERS[name]
    task = DecoderTask(build("vgg16", 8), join, VGG("vgg16", "relu4_1", width=8).requires_grad_(False))
    step(task, Batch(uint8(2, 64), uint8(2, 64), (), random.Random(0).randrange(9), Draw(64, 2, "0")))
