"""The model card: a checkpoint's metadata as text for people."""

from collections.abc import Iterator
from typing import Any

from model_store.checkpoint_metadata import CheckpointMetadata


def model_card(metadata: CheckpointMetadata, model_id: str) -> str:
    """Write the card in Markdown, from the metadata alone."""
    parts = [
        f"# {model_id}",
        _summary(metadata),
        "## Training",
        "\n".join(_training(metadata.training)),
        "## Measured",
        _measured(metadata.measured),
        "## Styles",
        _styles(metadata),
        "## Licence",
        f"{metadata.licence}\n\n{metadata.attribution}",
        f"SHA-256 of the tensors: `{metadata.sha256}`",
    ]
    return "\n\n".join(parts) + "\n"


ADAIN = """\
Arbitrary style transfer in one forward pass: AdaIN (Huang & Belongie 2017, arXiv 1703.06868). The encoder,
{encoder} up to relu4_1, encodes photo and painting; the photo's features get the painting's mean and
standard deviation per channel; a mirrored decoder makes the output image of them."""

SWIFT = """\
Arbitrary style transfer in one small pass: conditional instance norm whose scales and shifts are predicted from the
painting (Ghiasi et al. 2017, arXiv 1705.06830). The painting is encoded by {encoder}; the photo passes a residual
network at a quarter of its resolution, about 17 GFLOP at 512 × 512."""

RESIDUAL = """\
The residual generator (Johnson et al. 2016, arXiv 1603.08155) with {norm} norm{conditional}: it paints in the
styles it has learned, each a row of scales and shifts, in one forward pass without VGG."""

PYRAMID = """\
The pyramid generator of texture networks (Ulyanov et al. 2016, arXiv 1603.03417) with {norm} norm (1607.08022): it
paints in the styles it has learned, with noise at every scale; another `seed` gives another picture."""

ANOTHER = """\
The network `{network}` of `model_store.checkpoint.NETWORKS`, with {norm} norm{conditional}."""

SUMMARIES = {"swift": SWIFT, "adain": ADAIN, "residual": RESIDUAL, "pyramid": PYRAMID}


def _summary(metadata: CheckpointMetadata) -> str:
    text = SUMMARIES.get(metadata.network, ANOTHER).format(
        network=metadata.network,
        encoder=str(metadata.arguments.get("architecture")).upper().replace("VGG", "VGG-"),
        norm=metadata.norm,
        conditional=" (Dumoulin et al. 2017, arXiv 1610.07629)" if metadata.norm == "conditional" else "",
    )
    return (
        f"{text} {metadata.parameters / 1e6:.1f} M parameters, stored in fp16.\n"
        "\n"
        "It transfers the colours and textures of a painting, not its subject. Faces and letters are changed like\n"
        "everything else; a lower `alpha` preserves them better."
    )


def _training(training: dict[str, Any]) -> Iterator[str]:
    if "recipe" in training:
        yield from _recipe(training)
    if training.get("note"):
        yield f"- {training['note']}"
    data = training.get("data", {})
    for kind, folders in (("photos", data.get("content", {})), ("paintings", data.get("style", {}))):
        if folders:
            yield f"- {kind}: " + ", ".join(f"{count} of `{folder}`" for folder, count in folders.items())
    if data.get("rights"):
        yield f"- rights: {data['rights']}"
    yield "- the checkpoint holds weights and statistics computed from these images, and none of the images"


def _recipe(training: dict[str, Any]) -> Iterator[str]:
    done = f"{training['step']} of {training['steps']} steps, {training['hours']} hours"
    yield f"- recipe `{training['recipe']}`: {done}; torch {training['torch']}"
    for stage in training["stages"]:
        low, high = stage["shorter_px"]
        crops = f"{stage['crop_px']} px crops, the image's shorter side {low}–{high} px"
        yield f"- {_part(stage, training['stages'])}: batches of {stage['batch_size']}, {crops}"
    yield f"- Adam, {_schedule(training)}"
    style_layers = ", ".join(training["style_layers"])
    yield f"- content loss on {training['content_layer']}; style loss on {training['style_loss']} of {style_layers}"
    if "average" in training:
        yield f"- the weights are their moving average, decay {training['average']:g}"
    for name in ("augmentation", "mixing"):
        if name in training:
            yield f"- {name} of the styles, probabilities: {_figures(training[name])}"
    if "window" in training:
        yield f"- losses of a part at a random place, {training['window']:.0%} of the crop's sides"
    yield f"- loss weights: {_figures(training['weights'])}; losses at the end: {_figures(training['losses'])}"


def _part(stage: dict[str, Any], stages: list[dict[str, Any]]) -> str:
    """Fraction of the steps that have a stage's sizes, where several are mixed."""
    mixed = [other.get("weight", 1.0) for other in stages if other["until"] == stage["until"]]
    share = f"{stage.get('weight', 1.0) / sum(mixed):.0%} of the steps, " if len(mixed) > 1 else ""
    return f"{share}up to {stage['until']:.0%} of them" if share else f"up to {stage['until']:.0%} of the steps"


def _schedule(training: dict[str, Any]) -> str:
    if training["decay"] is None:
        return f"one-cycle learning rate with peak {training['peak_lr']:g}"
    factor, every_steps = training["decay"]
    return f"learning rate {training['peak_lr']:g}, times {factor:g} every {every_steps} steps"


def _measured(measured: dict[str, Any]) -> str:
    if not measured:
        return "Not measured."
    pairs = f"{measured['pairs']} pairs of `{measured['file']}`, squares of {measured['size_px']} px"
    return (
        f"Median over the {pairs}, painted in {measured['dtype']},\n"
        f"evaluated in fp32 by `{measured['judge']}`; lower is better.\n\n"
        "| | content | style | lattice ‰ |\n|---|---|---|---|\n"
        f"| this checkpoint | {measured['content']:.3f} | {measured['style']:.3f} | {_lattice(measured, 'lattice')} |\n"
        f"| the content image itself | {measured['untouched_content']:.3f} | {measured['untouched_style']:.3f} |"
        f" {_lattice(measured, 'untouched_lattice')} |"
        + "".join(
            f"\n| {other['system']} ({other['note']}) | {other['content']:.3f} | {other['style']:.3f} | |"
            for other in measured.get("references", [])
        )
    )


def _styles(metadata: CheckpointMetadata) -> str:
    if not metadata.styles:
        return "No named styles: send a style image."
    rows = [f"| `{one.id}` | {one.title} | {one.artist} | {one.year or ''} | {one.rights} |" for one in metadata.styles]
    return "\n".join(["| id | title | artist | year | rights |", "|---|---|---|---|---|", *rows])


def _figures(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def _lattice(measured: dict[str, Any], name: str) -> str:
    """The amplitude of upsampling patterns, which files of older releases lack."""
    return f"{1000 * measured[name]:.1f}" if name in measured else ""
