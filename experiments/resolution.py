"""One network at several resolutions (Ulyanov et al. 2016, arXiv 1607.08022, figure 6).

A generator is convolutional and supports any size; but the size of its strokes does not grow with the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image
from torch import Tensor

from experiments.evaluator import Evaluator, timed
from experiments.painters import OneStyle
from experiments.results import Findings, Row, environment, log
from model_store.pixels import to_images, to_tensor
from model_store.runtime import Runtime
from train.evaluate import Distances, median_distances
from train.images import centre_square, fit_longer_side, read_image
from train.sheet import captioned_grid

GRID_PX = 384


@dataclass(frozen=True)
class Inputs:
    """Images, network and settings of the comparison.

    Attributes:
        checkpoint: The network.
        style_id: One of its named styles.
        painting: The image of that style, for the evaluation.
        contents: Held-out content images, of which squares are taken.
        sizes_px: Sides of the squares.
        repeats: Number of timed runs on the first content image.
        photo: Content image of the image grid; there, the sizes are those of its longer side.
        vgg: The evaluator, see ``load_vgg``.
        seed: Seed of the noise, for a network that uses noise.
    """

    checkpoint: Path
    style_id: str
    painting: Path
    contents: Sequence[Path]
    sizes_px: Sequence[int]
    repeats: int
    photo: Path
    vgg: str
    seed: int


def run(inputs: Inputs, runtime: Runtime) -> Findings:
    """Evaluate the same content images and style at every size.

    Raises:
        DataError: An image cannot be read, or the network has no such style.
        CheckpointError: The network cannot be used.
        WeightsError: The evaluator's weights cannot be used.
    """
    network = OneStyle(inputs.checkpoint, inputs.style_id, runtime, inputs.seed)
    evaluator = Evaluator(inputs.vgg, runtime.device)
    rows = [size_row(network, inputs, size_px, evaluator, runtime) for size_px in inputs.sizes_px]
    return Findings(
        name="resolution",
        title="One network at several resolutions",
        settings={
            "network": inputs.checkpoint.stem,
            "style_id": inputs.style_id,
            "evaluator": Path(inputs.vgg).stem,
            "photos": len(inputs.contents),
            "repeats": inputs.repeats,
            "seed": inputs.seed,
            **environment(runtime),
        },
        tables={"Distances and seconds": rows},
        images={"pictures": image_grid(network, read_image(inputs.photo), inputs.sizes_px)},
    )


def size_row(network: OneStyle, inputs: Inputs, size_px: int, evaluator: Evaluator, runtime: Runtime) -> Row:
    """Medians: distances of outputs and of content images, over the content images; seconds, over the repeats."""
    log(f"{size_px} px")

    def square(path: Path) -> Tensor:
        return to_tensor([centre_square(read_image(path), size_px)]).to(runtime.device)

    style_image = square(inputs.painting)
    outputs: list[Distances] = []
    untouched: list[Distances] = []
    for path in inputs.contents:
        content = square(path)
        outputs.append(evaluator(network.paint(content), content, style_image))
        untouched.append(evaluator(content, content, style_image))
    content = square(inputs.contents[0])
    seconds = [timed(network.paint, content, device=runtime.device)[1] for _ in range(inputs.repeats)]
    result, before = median_distances(outputs), median_distances(untouched)
    return {
        "size_px": size_px,
        "content": result.content,
        "style": result.style,
        "untouched_style": before.style,
        "paint_s": median(seconds),
        "megapixels_per_s": size_px**2 / 1e6 / median(seconds),
    }


def image_grid(network: OneStyle, photo: Image.Image, sizes_px: Sequence[int]) -> Image.Image:
    """Draw content image and outputs: above, all shrunk to one size; below, the middle of each at full resolution."""
    originals = [fit_longer_side(photo, size_px) for size_px in sizes_px]
    outputs = [to_images(network.paint(to_tensor([original])))[0] for original in originals]
    named = [(originals[-1], "photo")]
    named += [(output, f"painted at {max(output.size)} px") for output in outputs]
    side = min(GRID_PX, *(min(output.size) for output in outputs))
    whole = [(centre_square(image, side), name) for image, name in named]
    middle = [(_middle(image, side), f"{name}, its middle 1:1") for image, name in named]
    return captioned_grid([*whole, *middle], columns=len(named))


def _middle(image: Image.Image, side_px: int) -> Image.Image:
    left, top = (image.width - side_px) // 2, (image.height - side_px) // 2
    return image.crop((left, top, left + side_px, top + side_px))
