"""What must hold on a GPU as it does on a CPU. Runs where CUDA is."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model_store import checkpoint
from model_store.layers import adaptive_instance_norm
from model_store.runtime import Runtime, choose_runtime
from model_store.statistics import instance_statistics
from service.engine.stylize_input import StyleImage, StylizeInput
from service.engine.stylizer import Stylizer
from train.adain import AdaINTask

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

CUDA = torch.device("cuda")


def noise(width: int, height: int, seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def paintings() -> list[StylizeInput]:
    mixes: list[list[tuple[float, str | StyleImage]]] = [
        [(1.0, "first")],
        [(1.0, StyleImage("u", noise(200, 120, 9), None))],
        [(0.3, "first"), (0.7, "second")],
    ]
    return [StylizeInput(noise(120, 88, seed), mixes[seed % 3], (seed % 4) / 3) for seed in range(6)]


def difference(one: Image.Image, other: Image.Image) -> int:
    return int(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max())


def test_the_gpu_is_chosen_and_computes_in_half() -> None:
    runtime = choose_runtime()
    assert runtime.device.type == "cuda" and runtime.dtype in (torch.bfloat16, torch.float16)


def test_fp32_paints_what_the_cpu_paints(tiny_checkpoints: Path) -> None:
    torch.backends.cudnn.allow_tf32 = False
    there = Stylizer(tiny_checkpoints, Runtime(CUDA, torch.float32), 8).paint("adain", paintings())
    here = Stylizer(tiny_checkpoints, Runtime(torch.device("cpu"), torch.float32), 8).paint("adain", paintings())
    assert max(map(difference, there, here)) <= 1


def test_a_batch_paints_what_single_runs_paint(tiny_checkpoints: Path) -> None:
    stylizer = Stylizer(tiny_checkpoints, choose_runtime(), 8)
    together = stylizer.paint("adain", paintings())
    alone = [stylizer.paint("adain", [painting])[0] for painting in paintings()]
    assert max(map(difference, together, alone)) <= 1


def all_controls() -> list[StylizeInput]:
    gradient = Image.linear_gradient("L").resize((120, 88))
    masks = (gradient, Image.eval(gradient, lambda level: 255 - level))
    upload = StyleImage("u", noise(200, 120, 9), None)
    return [
        StylizeInput(noise(120, 88, 1), [(1.0, "first")], 0.7),
        StylizeInput(noise(120, 88, 2), [(1.0, "first"), (2.0, "second")], 1.0, masks=masks),
        StylizeInput(noise(120, 88, 3), [(1.0, upload)], 1.0, color="match", masks=masks[:1]),
        StylizeInput(noise(120, 88, 4), [(1.0, "second")], 1.0, color="luminance"),
    ]


def test_a_batch_with_masks_and_colours_paints_what_single_runs_paint(tiny_checkpoints: Path) -> None:
    stylizer = Stylizer(tiny_checkpoints, choose_runtime(), 8)
    together = stylizer.paint("adain", all_controls())
    alone = [stylizer.paint("adain", [painting])[0] for painting in all_controls()]
    assert max(map(difference, together, alone)) <= 1


def test_tiles_paint_what_one_pass_paints(tiny_checkpoints: Path) -> None:
    torch.backends.cudnn.allow_tf32 = False
    stylizer = Stylizer(tiny_checkpoints, Runtime(CUDA, torch.float32), 8, tile_px=64)
    for painting in all_controls():
        (expected,) = stylizer.paint("adain", [painting])
        *_, last = stylizer.paint_tiled("adain", painting)
        assert difference(last.picture, expected) <= 2


@pytest.mark.parametrize(("model", "styles"), [("coast", ("sea", "sky")), ("noisy", ("moss", "rust"))])
def test_learned_styles_paint_on_the_gpu_what_they_paint_on_the_cpu(
    every_network: Path, model: str, styles: tuple[str, ...]
) -> None:
    """A seed included: its noise is the same on every device."""
    torch.backends.cudnn.allow_tf32 = False
    batch = [StylizeInput(noise(120, 88, seed), [(1.0, styles[seed % 2])], 1.0, seed) for seed in range(4)]
    here, there = (
        Stylizer(every_network, Runtime(device, torch.float32), 8).paint(model, batch)
        for device in (torch.device("cpu"), CUDA)
    )
    assert max(map(difference, here, there)) <= 2


def test_statistics_are_fp32_whatever_the_features(tiny_checkpoints: Path) -> None:
    features = (torch.randn(2, 8, 512, 512, device=CUDA) + 100).half()
    mean, std = instance_statistics(features)
    assert mean.dtype == std.dtype == torch.float32
    assert torch.allclose(std, torch.ones_like(std), atol=0.05)
    out = adaptive_instance_norm(features, torch.full((2, 8), 3.0, device=CUDA), torch.zeros(2, 8, device=CUDA))
    assert torch.allclose(instance_statistics(out)[1], torch.full((2, 8, 1, 1), 3.0, device=CUDA), atol=0.02)


def test_a_training_step_lowers_the_loss_in_bf16(tiny_checkpoints: Path) -> None:
    network = checkpoint.load(tiny_checkpoints / "adain.safetensors").to(CUDA)
    network.decoder.requires_grad_(True).train()
    task = AdaINTask(network, {})
    optimizer = torch.optim.Adam(network.decoder.parameters(), lr=1e-3)
    content, style = torch.rand(2, 2, 3, 64, 64, device=CUDA)
    losses = []
    for _ in range(8):
        with torch.autocast("cuda", torch.bfloat16):
            loss = torch.stack(list(task.losses(content, style).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
