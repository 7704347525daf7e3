"""Backends: the same picture as torch's, and torch where there is no other way."""

import logging
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch

from bench.pictures import painting as style_picture
from bench.pictures import photo
from model_store import checkpoint
from model_store.checkpoint_metadata import CheckpointMetadata, NamedStyle
from model_store.network import StyleNetwork
from model_store.runtime import Runtime, choose_runtime, to_runtime
from model_store.spatial_masks import everywhere
from model_store.style import Style, place, stack
from service.engine.backends import forward_of, usable_backend
from service.engine.stylize_input import StyleImage, StylizeInput
from service.engine.stylizer import Stylizer

CPU = torch.device("cpu")
FP32 = Runtime(CPU, torch.float32)
NETWORKS = {
    "swift": lambda: tiny.swift(styles=3),
    "adain": lambda: tiny.adain(styles=3),
    "residual": lambda: tiny.learned("residual", styles=3),
    "batch": lambda: tiny.learned("residual", norm="batch", styles=3),
}

needs_openvino = pytest.mark.skipif(
    usable_backend("openvino", FP32) == "torch",
    reason="OpenVINO is not installed: pip install 'stylize-server[openvino]'",
)


def network_of(name: str) -> StyleNetwork:
    """Random, with pictures of strong contrast."""
    network = NETWORKS[name]()
    if name == "adain":
        torch.manual_seed(1)
        network.style_scales.uniform_(0.2, 4.0)
        network.style_shifts.uniform_(0.0, 1.0)
    return network


def rows(network: StyleNetwork, batch: int) -> Style:
    """A style of its own for each image."""
    with torch.inference_mode():
        return stack(network.stored_style(index) for index in range(batch))


def pictures(batch: int, height: int, width: int) -> torch.Tensor:
    torch.manual_seed(3)
    coarse = torch.rand(batch, 3, 6, 8)
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")


@needs_openvino
@pytest.mark.parametrize("name", NETWORKS)
def test_the_picture_is_torchs_at_every_size_and_batch(name: str) -> None:
    network = to_runtime(network_of(name), FP32)
    forward = forward_of(network, "openvino")
    spread = []
    with torch.inference_mode():
        for batch, height, width in ((1, 64, 64), (3, 53, 39), (1, 40, 71), (3, 17, 16), (1, 64, 64)):
            content, style = pictures(batch, height, width), rows(network, batch)
            expected, painted = network.paint(content, style), network.paint(content, style, forward)
            assert painted.shape == expected.shape
            assert not torch.equal(painted, expected), "torch has painted both"
            assert (painted - expected).abs().max() <= 1 / 255
            spread.append(expected.std())
    assert not forward.has_failed
    assert min(spread) > 0.02, "pictures without contrast are always alike"


@needs_openvino
def test_strength_is_carried_out_before_the_backend_where_it_is_a_mix_of_rows() -> None:
    network = tiny.swift(styles=3)
    forward = forward_of(network, "openvino")
    content, style = pictures(3, 40, 48), rows(network, 3)
    with torch.inference_mode():
        weak = replace(style, alpha=torch.tensor([0.0, 0.4, 1.0]))
        expected, painted = network.paint(content, weak), network.paint(content, weak, forward)
    assert not torch.equal(painted, expected) and not forward.has_failed
    assert (painted - expected).abs().max() <= 1 / 255
    assert (painted - network.paint(content, style)).abs().max() > 0.05, "strength had no effect"


@needs_openvino
def test_what_is_not_plain_is_painted_by_torch() -> None:
    with torch.inference_mode():
        for name in ("swift", "adain"):
            network = network_of(name)
            forward = forward_of(network, "openvino")
            content, style = pictures(1, 40, 48), rows(network, 1)
            masked = place([style], everywhere(1, 40, 48, CPU))
            assert torch.equal(network.paint(content, masked, forward), network.paint(content, masked))
        weak = style.with_alpha(0.5)  # AdaIN's layers mix
        assert torch.equal(network.paint(content, weak, forward), network.paint(content, weak))


def test_a_network_with_noise_stays_on_torch() -> None:
    network = tiny.learned("pyramid")
    assert forward_of(network, "openvino") is network


@needs_openvino
def test_bf16_where_the_processor_has_it() -> None:
    """Within 2/255 on average: torch, with the result of every operation rounded to bf16, is 0.9/255 away."""
    runtime = choose_runtime("cpu")
    if runtime.dtype != torch.bfloat16:
        pytest.skip("this processor computes bf16 no faster than fp32")
    network, served = tiny.swift(styles=3), to_runtime(tiny.swift(styles=3), runtime)
    forward = forward_of(served, "openvino")
    content, style = pictures(3, 53, 39), rows(network, 3)
    with torch.inference_mode():
        expected, painted = network.paint(content, style), served.paint(content, style, forward)
    assert not forward.has_failed
    assert (painted - expected).abs().mean() <= 2 / 255


@needs_openvino
def test_a_network_that_cannot_be_compiled_is_painted_by_torch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    network = tiny.swift(styles=3)
    forward = forward_of(network, "openvino")
    content, style = pictures(1, 40, 48), rows(network, 1)
    monkeypatch.setitem(sys.modules, "openvino", None)  # as if its installation were broken
    with torch.inference_mode(), caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert torch.equal(network.paint(content, style, forward), network.paint(content, style))
    assert [record.message for record in caplog.records] == ["OpenVINO failed: torch is used for this network"]


def test_openvino_is_for_cpus_alone(caplog: pytest.LogCaptureFixture) -> None:
    if usable_backend("openvino", FP32) == "openvino":
        assert usable_backend("openvino", Runtime(torch.device("cuda"), torch.bfloat16)) == "torch"
        assert "it is for CPUs, and the device is cuda" in caplog.text


def test_without_openvino_torch_is_used_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.engine.backends.find_spec", lambda _name: None)
    assert usable_backend("auto", FP32) == usable_backend("torch", FP32) == "torch"
    assert not caplog.records
    assert usable_backend("openvino", FP32) == "torch"
    assert "pip install 'stylize-server[openvino]'" in caplog.text


@needs_openvino
def test_the_stylizer_paints_a_batch_by_openvino(tmp_path: Path, tiny_checkpoints: Path) -> None:
    """Styles of every kind in one call, which are compiled for by the warm-up."""
    folder = shutil.copytree(tiny_checkpoints, tmp_path / "checkpoints")
    named = tuple(NamedStyle(id=name, title=name, artist="", year=None, rights="") for name in ("one", "two"))
    arguments = {**tiny.SWIFT, "styles": 2}
    checkpoint.save(
        tiny.swift(styles=2),
        folder / "swift.safetensors",
        CheckpointMetadata(network="swift", arguments=arguments, styles=named),
    )
    batch = [
        StylizeInput(photo(45, 38, 0), [(1.0, "one")], 1.0),
        StylizeInput(photo(45, 38, 1), [(1.0, "two"), (3.0, "one")], 0.6),
        StylizeInput(photo(45, 38, 2), [(1.0, StyleImage("it", style_picture(48, 40), None))], 1.0),
    ]
    painters = {name: Stylizer(folder, FP32, 8, backend=name, warm_up_px=64) for name in ("torch", "openvino")}
    painters["openvino"].warm_up("swift")
    assert painters["openvino"]._models.get("swift").forward._request is not None
    expected, painted = (painters[name].paint("swift", batch) for name in ("torch", "openvino"))
    for one, other in zip(expected, painted, strict=True):
        differences = [abs(a - b) for a, b in zip(one.tobytes(), other.tobytes(), strict=True)]
        assert max(differences) <= 1
    sizes = [painters[name]._models.size_bytes for name in ("torch", "openvino")]
    assert sizes[1] == 2 * sizes[0], "the weights lie in memory twice"
