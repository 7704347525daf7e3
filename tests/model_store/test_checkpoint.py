from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import ADAIN, adain

from model_store import checkpoint
from model_store.adain import AdaIN
from model_store.checkpoint_metadata import CheckpointError, CheckpointMetadata, NamedStyle, read_metadata

STYLES = tuple(NamedStyle(id=name, title=name, artist="", year=None, rights="") for name in ("wave", "night"))
METADATA = CheckpointMetadata(
    network="adain", arguments={**ADAIN, "styles": 2}, styles=STYLES, training={"steps": 1}, licence="Apache-2.0"
)


@pytest.fixture(scope="module")
def network() -> AdaIN:
    network = adain(styles=2)
    network.style_scales[:], network.style_shifts[:] = torch.rand(2, 64), torch.rand(2, 64)
    return network


@pytest.fixture
def saved(network, tmp_path) -> Path:
    checkpoint.save(network, tmp_path / "adain.safetensors", METADATA)
    return tmp_path / "adain.safetensors"


def rewrite(path: Path, **changes: torch.Tensor | None) -> None:
    """Other tensors, with a metadata whose hash fits them."""
    tensors = {**load_file(path), **changes}
    metadata = read_metadata(path)
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, path, metadata.to_metadata())
    save_file(kept, path, replace(metadata, sha256=checkpoint._sha256(path.read_bytes())).to_metadata())


def test_a_network_survives_the_round_trip_up_to_fp16(network, saved):
    loaded = checkpoint.load(saved)
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name
    assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())
    picture = torch.rand(1, 3, 32, 32)
    difference = loaded(picture, loaded.stored_style(1)) - network.paint(picture, network.stored_style(1))
    assert difference.abs().max() < 1 / 255


def test_the_header_says_what_the_network_is(network, saved):
    metadata = read_metadata(saved)
    assert metadata.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert (metadata.norm, metadata.controls) == ("adaptive", ("style", "weights", "alpha"))
    assert metadata.styles == STYLES and metadata.training == {"steps": 1} and metadata.licence == "Apache-2.0"
    with safe_open(saved, "pt") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118
        assert list(file.metadata()) == ["stylize"]


def test_a_checkpoint_of_another_input_convention_and_architecture_comes_back(tmp_path):
    arguments = {**ADAIN, "architecture": "vgg19", "mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 3.0]}
    checkpoint.save(
        AdaIN(**arguments), tmp_path / "a.safetensors", CheckpointMetadata(network="adain", arguments=arguments)
    )
    loaded = checkpoint.load(tmp_path / "a.safetensors")
    assert "conv3_4" in loaded.encoder.convs
    torch.testing.assert_close(loaded.encoder.mean.flatten().tolist(), arguments["mean"])


def test_the_same_network_gives_the_same_bytes(network, saved, tmp_path):
    checkpoint.save(network, tmp_path / "again.safetensors", METADATA)
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adain.safetensors", "again.safetensors"]


def test_a_flipped_bit_is_found(saved):
    content = bytearray(saved.read_bytes())
    content[-1000] ^= 1
    saved.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged, fetch it again: its data hashes to \w{12}…, its header says"):
        checkpoint.load(saved)


def test_a_cut_file_is_found(saved):
    saved.write_bytes(saved.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(saved)


def test_a_missing_tensor_is_named(saved):
    rewrite(saved, **{"decoder.0.bias": None})
    with pytest.raises(CheckpointError, match=r"1 tensors are missing, such as decoder\.0\.bias"):
        checkpoint.load(saved)


def test_a_tensor_too_many_is_named(saved):
    rewrite(saved, extra=torch.zeros(1))
    with pytest.raises(CheckpointError, match="1 tensors belong to no layer, such as extra"):
        checkpoint.load(saved)


def test_a_wrong_shape_is_named(saved):
    rewrite(saved, **{"decoder.0.bias": torch.zeros(31)})
    with pytest.raises(CheckpointError, match=r"decoder\.0\.bias has shape \(31,\), the network needs \(32,\)"):
        checkpoint.load(saved)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": "gan"}, "unknown network 'gan': known are swift, adain"),
        ({"arguments": {"styles": 2, "depth": 3}}, "'adain' cannot be built with .*depth"),
        ({"arguments": {"styles": 2, "architecture": "vgg11"}}, "unknown architecture 'vgg11'"),
    ],
)
def test_a_network_that_cannot_be_built_is_named(changes, reason, saved):
    save_file(load_file(saved), saved, replace(read_metadata(saved), **changes).to_metadata())
    with pytest.raises(CheckpointError, match=reason):
        checkpoint.load(saved)


def test_no_such_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"adain\.safetensors: No such file"):
        checkpoint.load(tmp_path / "adain.safetensors")


def test_a_weight_that_overflows_fp16_is_refused(tmp_path):
    network = adain()
    network.decoder[0].bias.data[3] = 70_000
    with pytest.raises(CheckpointError, match=r"decoder\.0\.bias reaches 70000, fp16 holds up to 65504"):
        checkpoint.save(network, tmp_path / "a.safetensors", CheckpointMetadata(network="adain", arguments=ADAIN))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "metadata", "reason"),
    [
        ("a.safetensors", CheckpointMetadata(network="adain", arguments={**ADAIN, "architecture": "vgg19"}), "missing"),
        (
            "a.safetensors",
            CheckpointMetadata(network="adain", arguments={**ADAIN, "styles": 1}),
            "style_scales has shape",
        ),
        ("a.safetensors", replace(METADATA, styles=STYLES[:1]), "it names 1 styles, but stores 2"),
        ("a.safetensors", replace(METADATA, styles=(STYLES[0], STYLES[0])), "it has 2 styles 'wave'"),
        ("a.safetensors", replace(METADATA, measured={"style": float("nan")}), "not JSON compliant"),
        ("a.pt", METADATA, "must end in .safetensors"),
    ],
)
def test_what_could_not_be_loaded_again_is_not_saved(name, metadata, reason, network, tmp_path):
    with pytest.raises(CheckpointError, match=reason):
        checkpoint.save(network, tmp_path / name, metadata)
    assert list(tmp_path.iterdir()) == []
