"""Save and load networks: one ``.safetensors`` file whose metadata rebuilds its network.

Weights are stored in fp16, half the size of training's; a network that does not fit (an overflow) is refused on save. A
load is strict: every tensor of the network is in the file, of its shape, and the data is what was saved.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, overload

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from model_store.adain import AdaIN
from model_store.checkpoint_metadata import SUFFIX, CheckpointError, CheckpointMetadata, read_metadata, tensor_data
from model_store.network import StyleNetwork
from model_store.pyramid import PyramidGenerator
from model_store.residual import ResidualGenerator
from model_store.swift import Swift

Network = TypeVar("Network", bound=StyleNetwork)

NETWORKS: dict[str, type[StyleNetwork]] = {
    "swift": Swift,
    "adain": AdaIN,
    "residual": ResidualGenerator,
    "pyramid": PyramidGenerator,
}


def save(network: StyleNetwork, path: Path, metadata: CheckpointMetadata) -> CheckpointMetadata:
    """Write a network, whole or not at all; the same network and metadata give the same bytes.

    Args:
        network: An instance of the class that ``metadata.network`` names.
        path: Ends in ``.safetensors``; its stem is the model's id.
        metadata: Metadata; the fields that depend on the network are filled in.

    Returns:
        The metadata as written.

    Raises:
        CheckpointError: The metadata would not rebuild this network, or a weight is too large for fp16.
    """
    if path.suffix != SUFFIX:
        raise CheckpointError(f"{path}: a checkpoint's name must end in {SUFFIX}")
    with torch.device("meta"):
        skeleton = _build(metadata, path)
    if type(skeleton) is not type(network):
        raise CheckpointError(f"{path}: a {type(network).__name__} cannot be saved as {metadata.network!r}")
    state = network.state_dict()
    _check_tensors(state, skeleton, path)
    tensors = {name: _halved(name, tensor, path) for name, tensor in state.items()}
    metadata = replace(
        metadata,
        norm=network.norm,
        controls=network.controls,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        sha256=_sha256(safetensors.save(tensors)),
    )
    _check_metadata(metadata, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(safetensors.save(tensors, metadata.to_metadata()))
    os.replace(unfinished, path)
    return metadata


@overload
def load(path: Path) -> StyleNetwork: ...
@overload
def load(path: Path, kind: type[Network]) -> Network: ...
def load(path: Path, kind: type[StyleNetwork] = StyleNetwork) -> StyleNetwork:
    """Rebuild a network from its checkpoint, in fp32 on the CPU, frozen, in evaluation mode.

    Args:
        path: The checkpoint's file.
        kind: Class that the network must have; by default any network's.

    Raises:
        CheckpointError: Not a checkpoint, damaged, of an unknown network or of another kind, or its tensors do not fit;
            says which.
    """
    metadata = read_metadata(path)
    file = path.read_bytes()
    if (actual := _sha256(file)) != metadata.sha256:
        raise CheckpointError(
            f"{path}: damaged, fetch it again: its data hashes to {actual[:12]}…, "
            f"its header says {metadata.sha256[:12]}…"
        )
    network = _build(metadata, path)
    if not isinstance(network, kind):
        raise CheckpointError(f"{path}: a {type(network).__name__}; this needs a {kind.__name__}")
    try:
        tensors = {name: tensor.float() for name, tensor in safetensors.load(file).items()}
    except SafetensorError as err:
        raise CheckpointError(f"{path}: not a safetensors file ({err})") from err
    _check_tensors(tensors, network, path)
    network.load_state_dict(tensors)
    return network.requires_grad_(False).eval()


def _build(metadata: CheckpointMetadata, path: Path) -> StyleNetwork:
    if metadata.network not in NETWORKS:
        raise CheckpointError(f"{path}: unknown network {metadata.network!r}: known are {', '.join(NETWORKS)}")
    try:
        return NETWORKS[metadata.network](**metadata.arguments)
    except (TypeError, ValueError, RuntimeError) as err:
        raise CheckpointError(f"{path}: {metadata.network!r} cannot be built with {metadata.arguments}: {err}") from err


def _check_tensors(tensors: Mapping[str, Tensor], network: nn.Module, path: Path) -> None:
    expected = network.state_dict()
    if missing := sorted(expected.keys() - tensors.keys()):
        raise CheckpointError(f"{path}: {len(missing)} tensors are missing, such as {missing[0]}")
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise CheckpointError(f"{path}: {len(unknown)} tensors belong to no layer, such as {unknown[0]}")
    for name, tensor in expected.items():
        if tensors[name].shape != tensor.shape:
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(tensors[name].shape)}, the network needs {tuple(tensor.shape)}"
            )


def _check_metadata(metadata: CheckpointMetadata, path: Path) -> None:
    """Check that the metadata can be read back."""
    try:
        CheckpointMetadata.from_metadata(metadata.to_metadata())
    except (TypeError, ValueError) as err:
        raise CheckpointError(f"{path}: {err}") from err


def _halved(name: str, tensor: Tensor, path: Path) -> Tensor:
    half = tensor.detach().cpu().half().contiguous()
    if not half.isfinite().all():
        largest, limit = tensor.abs().max().item(), torch.finfo(half.dtype).max
        raise CheckpointError(f"{path}: {name} reaches {largest:g}, fp16 holds up to {limit:g}")
    return half


def _sha256(file: bytes) -> str:
    return hashlib.sha256(tensor_data(file)).hexdigest()
