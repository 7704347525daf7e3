"""One network at several resolutions (Ulyanov et al. 2016, arXiv 1607.08022, figure 6).

A generator is convolutional and takes any size; what does not grow with the picture is the size of its strokes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image
from torch import Tensor

from experiments.evaluator import Evaluator, timed
from experiments.painters import OneStyle
from experiments.results import Findings, Row, environment, say
from model_store.pixels import to_images, to_tensor
from model_store.runtime import Runtime
from train.evaluate import Distances, median_distances
from train.images import centre_square, fit_longer_side, read_image
from train.sheet import captioned_grid

GRID_PX = 384


@dataclass(frozen=True)
class Inputs:
    """What is painted, and by what.

    Attributes:
        checkpoint: The network.
        style_id: Of its named styles.
        painting: The picture of that style, to evaluator by.
        contents: Held-out photos, of which squares are taken.
        sizes_px: Of these sides.
        repeats: How often the first photo is painted for the time.
        photo: The picture grid's; there, the sizes are of its longer side.
        vgg: The evaluator, see ``load_vgg``.
        seed: Of the noise, for a network that takes any.
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
    """The same photos and style at every size.

    Raises:
        DataError: A picture cannot be read, or the network has no such style.
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
            "judge": Path(inputs.vgg).stem,
            "photos": len(inputs.contents),
            "repeats": inputs.repeats,
            "seed": inputs.seed,
            **environment(runtime),
        },
        tables={"Distances and seconds": rows},
        pictures={"pictures": picture_grid(network, read_image(inputs.photo), inputs.sizes_px)},
    )


def size_row(network: OneStyle, inputs: Inputs, size_px: int, evaluator: Evaluator, runtime: Runtime) -> Row:
    """Medians: distances over the photos, of the paintings and of the photos themselves; seconds over the repeats."""
    say(f"{size_px} px")

    def square(path: Path) -> Tensor:
        return to_tensor([centre_square(read_image(path), size_px)]).to(runtime.device)

    painting = square(inputs.painting)
    painted: list[Distances] = []
    untouched: list[Distances] = []
    for path in inputs.contents:
        photo = square(path)
        painted.append(evaluator(network.paint(photo), photo, painting))
        untouched.append(evaluator(photo, photo, painting))
    photo = square(inputs.contents[0])
    seconds = [timed(network.paint, photo, device=runtime.device)[1] for _ in range(inputs.repeats)]
    result, before = median_distances(painted), median_distances(untouched)
    return {
        "size_px": size_px,
        "content": result.content,
        "style": result.style,
        "untouched_style": before.style,
        "paint_s": median(seconds),
        "megapixels_per_s": size_px**2 / 1e6 / median(seconds),
    }


def picture_grid(network: OneStyle, photo: Image.Image, sizes_px: Sequence[int]) -> Image.Image:
    """Above, photo and paintings shrunk to one size; below, the middle of each pixel by pixel."""
    originals = [fit_longer_side(photo, size_px) for size_px in sizes_px]
    painted = [to_images(network.paint(to_tensor([original])))[0] for original in originals]
    named = [(originals[-1], "photo")]
    named += [(picture, f"painted at {max(picture.size)} px") for picture in painted]
    side = min(GRID_PX, *(min(picture.size) for picture in painted))
    whole = [(centre_square(picture, side), name) for picture, name in named]
    middle = [(_middle(picture, side), f"{name}, its middle 1:1") for picture, name in named]
    return captioned_grid([*whole, *middle], columns=len(named))


def _middle(picture: Image.Image, side_px: int) -> Image.Image:
    left, top = (picture.width - side_px) // 2, (picture.height - side_px) // 2
    return picture.crop((left, top, left + side_px, top + side_px))
