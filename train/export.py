"""Export of a training for the service: checkpoint, named styles, previews and model card, in one step.

Evaluation and previews use the network as it is stored: its weights are rounded to fp16 first.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from model_store.checkpoint import NETWORKS, load
from model_store.checkpoint_metadata import CheckpointMetadata, NamedStyle, read_metadata
from model_store.network import AnyStyle, StyleNetwork
from model_store.pixels import to_images, to_tensor
from model_store.runtime import Runtime, to_runtime
from model_store.style import Style, stack
from train.data import DataError
from train.evaluate import EvaluatedPair, median_distances, median_lattices
from train.images import fit_longer_side, read_image
from train.recipes import ADAIN_RECIPES, ADD_STYLE_RECIPES, GENERATOR_RECIPES, SWIFT_RECIPES
from train.state import StateError, TrainingState, load_state
from train.tables import Reference, StyleFile

STYLE_PX = 512
"""Longer side at which named styles are encoded."""

PAINT_PX = 512
PREVIEW_PX = 256
PREVIEW_QUALITY = 80

ANY_STYLE_LICENCE = "Apache-2.0; its encoder: CC BY 4.0."
ANY_STYLE_ATTRIBUTION = (
    "The encoder has the weights of {encoder} by Karen Simonyan and Andrew Zisserman (Very Deep Convolutional Networks "
    "for Large-Scale Image Recognition, 2014, arXiv 1409.1556), University of Oxford, CC BY 4.0; changed: kept up to "
    "relu4_1, rounded to fp16."
)
GENERATOR_LICENCE = "Apache-2.0."


@dataclass(frozen=True)
class Trained:
    """A network and its metadata."""

    network: StyleNetwork
    metadata: CheckpointMetadata


def from_state(path: Path, rights: str = "", note: str = "") -> Trained:
    """Load the network of a training state. One of any style has no named styles yet; a generator has learned its own.

    Raises:
        StateError: Not a state of a training.
    """
    state = load_state(path)
    if state.task not in NETWORKS:
        raise StateError(f"{path}: a training of {state.task!r}; known are {', '.join(NETWORKS)}")
    network = NETWORKS[state.task](**state.arguments)
    network.load_state_dict(state.shipped)
    metadata = CheckpointMetadata(
        network=state.task,
        arguments=state.arguments,
        licence=GENERATOR_LICENCE,
        training=_training(state, rights) | ({"note": note} if note else {}),
    )
    if isinstance(network, AnyStyle):
        encoder = str(state.arguments["architecture"]).upper().replace("VGG", "VGG-")
        metadata = replace(
            metadata,
            arguments={**state.arguments, "styles": 0},
            licence=ANY_STYLE_LICENCE,
            attribution=ANY_STYLE_ATTRIBUTION.format(encoder=encoder),
        )
    else:
        metadata = replace(metadata, styles=_learned_styles(state))
    return Trained(rounded(network).requires_grad_(False).eval(), metadata)


def _learned_styles(state: TrainingState) -> tuple[NamedStyle, ...]:
    """Styles by row: those that the network had before, then those of this training."""
    entries = [*state.data.get("known", []), *state.data["styles"]]
    names = [name.name for name in fields(NamedStyle)]
    return tuple(NamedStyle(**{name: entry[name] for name in names}) for entry in entries)


def from_checkpoint(path: Path) -> Trained:
    """Load an exported network with its named styles.

    Raises:
        CheckpointError: Not a usable checkpoint.
    """
    return Trained(load(path), read_metadata(path))


def from_file(path: Path, rights: str = "", note: str = "") -> Trained:
    """Load either a training's ``.pt`` or an exported ``.safetensors``."""
    return from_state(path, rights, note) if path.suffix == ".pt" else from_checkpoint(path)


def rounded(network: StyleNetwork) -> StyleNetwork:
    """Round the network's weights to fp16, in place."""
    for tensor in network.state_dict().values():
        tensor.copy_(tensor.half())
    return network


@torch.no_grad()
def with_styles(trained: Trained, files: Iterable[StyleFile], device: torch.device) -> Trained:
    """Encode style images as named styles, in fp32; one with an existing id replaces that row.

    Raises:
        DataError: An image cannot be read, or the network cannot encode style images.
    """
    network, metadata = trained.network.to(device, torch.float32), trained.metadata
    if not isinstance(network, AnyStyle):
        raise DataError(f"a {metadata.network} network encodes no styles: train it with add-style")
    rows: dict[str, tuple[NamedStyle, Style]] = {
        named.id: (named, network.stored_style(row)) for row, named in enumerate(metadata.styles)
    }
    for file in files:
        image = to_tensor([fit_longer_side(read_image(file.path), STYLE_PX)]).to(device)
        rows[file.named.id] = (file.named, network.encode_style(image))
    if rows:
        network.with_styles(stack(style for _, style in rows.values()))
    named_styles = tuple(named for named, _ in rows.values())
    return Trained(
        network, replace(metadata, arguments={**metadata.arguments, "styles": len(rows)}, styles=named_styles)
    )


@torch.inference_mode()
def paint_previews(trained: Trained, photo: Path, folder: Path, runtime: Runtime) -> None:
    """Write a content image in each named style: ``folder/{id}.webp``. Computed larger than shown, for finer strokes.

    Raises:
        DataError: The content image cannot be read.
    """
    network = to_runtime(deepcopy(trained.network), runtime)
    content = to_tensor([fit_longer_side(read_image(photo), PAINT_PX)]).to(runtime.device)
    folder.mkdir(parents=True, exist_ok=True)
    for row, named in enumerate(trained.metadata.styles):
        output = to_images(network.paint(content, network.stored_style(row).with_seed(0)))[0]
        fit_longer_side(output, PREVIEW_PX).save(folder / f"{named.id}.webp", quality=PREVIEW_QUALITY, method=6)


def measurement(
    evaluated: Sequence[EvaluatedPair],
    pairs: Path,
    evaluator: str,
    size_px: int,
    runtime: Runtime,
    references: Sequence[Reference] = (),
) -> dict[str, Any]:
    """Build ``CheckpointMetadata.measured``: distances, their settings, and other systems' on the same pairs."""
    result = median_distances([one.result for one in evaluated])
    untouched = median_distances([one.untouched for one in evaluated])
    lattice, untouched_lattice = median_lattices(evaluated)
    return {
        "content": round(result.content, 4),
        "style": round(result.style, 4),
        "untouched_content": round(untouched.content, 4),
        "untouched_style": round(untouched.style, 4),
        "lattice": round(lattice, 5),
        "untouched_lattice": round(untouched_lattice, 5),
        "pairs": len(evaluated),
        "file": "/".join(pairs.resolve().parts[-2:]),
        "judge": Path(evaluator).stem,
        "size_px": size_px,
        "dtype": str(runtime.dtype).removeprefix("torch."),
        **({"references": [asdict(reference) for reference in references]} if references else {}),
    }


def _training(state: TrainingState, rights: str) -> dict[str, Any]:
    recipe = state.recipe
    tables = [SWIFT_RECIPES, ADAIN_RECIPES, GENERATOR_RECIPES, ADD_STYLE_RECIPES]
    known = [(name, recipe) for table in tables for name, recipe in table.items()]
    name = next((name for name, other in known if other == recipe), "custom")
    return {
        "recipe": name,
        "steps": state.steps,
        "step": state.step,
        "hours": round(state.seconds / 3600, 2),
        "stages": [{**vars(stage), "shorter_px": list(stage.shorter_px)} for stage in recipe.stages],
        "weights": recipe.weights,
        "peak_lr": recipe.peak_lr,
        "decay": None if recipe.decay is None else list(recipe.decay),
        "content_layer": recipe.content_layer,
        "style_layers": list(recipe.style_layers),
        "style_loss": recipe.style_loss,
        **({"window": recipe.window} if recipe.window < 1 else {}),
        **({"average": recipe.average} if recipe.average else {}),
        **{
            name: asdict(part)
            for name, part in (("augmentation", recipe.augmentation), ("mixing", recipe.mixing))
            if part
        },
        "losses": {name: round(value, 4) for name, value in state.losses.items()},
        "data": {**state.data, **({"rights": rights} if rights else {})},
        "torch": str(torch.__version__),
    }
