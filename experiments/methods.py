"""All methods on the same pairs: distances and seconds (Huang & Belongie 2017, figure 3 and table 1).

The styles are those that all networks of learned styles have, so that each method stylizes the same pairs. A method
whose network is missing has a row that says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image
from torch import Tensor

from experiments.evaluator import Evaluator, timed
from experiments.painters import AnyStylePainter, LearnedStyles, Optimisation, Painter, known_files
from experiments.plots import Line, Panel, draw
from experiments.results import Findings, Row, environment, log
from model_store.catalog import read_catalog
from model_store.pixels import to_images, to_tensor
from model_store.runtime import Runtime
from train.data import DataError
from train.evaluate import Distances, median_distances
from train.images import centre_square, read_image
from train.sheet import captioned_grid
from train.tables import StyleFile

LEARNED = {
    # method: (network, norm)
    "pyramid, instance norm": ("pyramid", "instance"),
    "residual, instance norm": ("residual", "instance"),
    "residual, conditional": ("residual", "conditional"),
}
ANY_STYLE = {"AdaIN": "adain", "predicted conditional (swift)": "swift"}
"""Methods that encode any style image, and their networks."""

UNTOUCHED = "content image itself"
GRID_COLUMNS = 4


@dataclass(frozen=True)
class Inputs:
    """Images, networks and settings of the comparison.

    Attributes:
        contents: Held-out content images.
        styles: Images of the learned styles.
        checkpoints: Folder of the networks that take part.
        gatys_steps: Numbers of steps of the optimisation, which is run once for each.
        pairs_at: Number of pairs by their size in pixels; images are squares.
        repeats: Number of timed runs of a feed-forward network for each pair.
        photo: Content image of the image grid.
        vgg: The evaluator, and the loss network of the optimisation.
        seed: Seed of the pyramid's noise.
    """

    contents: Sequence[Path]
    styles: Sequence[StyleFile]
    checkpoints: Path
    gatys_steps: Sequence[int]
    pairs_at: Mapping[int, int]
    repeats: int
    photo: Path
    vgg: str
    seed: int


@dataclass(frozen=True)
class Pairing:
    """Content and style image at one size, (1, 3, S, S) in [0, 1] each, and the style's file."""

    content: Tensor
    style_image: Tensor
    style: Path


@dataclass(frozen=True)
class Result:
    """Results of a method for the pairs of one size.

    Attributes:
        method: Label of the method.
        size_px: Side of the pairs' images.
        networks: Names of its networks; ``None`` if there are none.
        steps: Steps of an optimisation, 0 for others.
        distances: Distances by pair; empty if the method's network is missing.
        paint_s: Seconds of each run, without encoding the style.
        with_style_s: Seconds of each run, with encoding the style.
    """

    method: str
    size_px: int
    networks: str | None = None
    steps: int = 0
    distances: Sequence[Distances] = ()
    paint_s: Sequence[float] = ()
    with_style_s: Sequence[float] = ()

    def row(self) -> Row:
        """Medians over pairs and over runs."""
        medians = median_distances(self.distances) if self.distances else None
        return {
            "method": self.method,
            "networks": self.networks if medians else "missing",
            "size_px": self.size_px,
            "pairs": len(self.distances),
            "content": medians.content if medians else None,
            "style": medians.style if medians else None,
            "paint_s": median(self.paint_s) if self.paint_s else None,
            "with_style_s": median(self.with_style_s) if self.with_style_s else None,
            "runs": len(self.paint_s),
        }


def run(inputs: Inputs, runtime: Runtime) -> Findings:
    """Run every method on every pair at every size.

    Raises:
        DataError: An image cannot be read, or no style is common to all networks.
        CatalogError, CheckpointError: A checkpoint cannot be used.
        WeightsError: The evaluator's weights cannot be used.
    """
    painters, styles = find_painters(inputs, runtime)
    evaluator = Evaluator(inputs.vgg, runtime.device)
    pairs_at = {
        size_px: read_pairings(inputs.contents, styles, count, size_px, runtime)
        for size_px, count in inputs.pairs_at.items()
    }
    results = []
    for size_px, pairs in pairs_at.items():
        untouched = [evaluator(pair.content, pair.content, pair.style_image) for pair in pairs]
        results.append(Result(UNTOUCHED, size_px, distances=untouched))
        for method, painter in painters.items():
            if painter is None:
                results.append(Result(method, size_px))
            else:
                log(f"{size_px} px: {method}")
                results.append(paint_all(method, painter, pairs, evaluator, inputs.repeats))
    (shown,) = read_pairings([inputs.photo], styles[:1], 1, next(iter(pairs_at)), runtime)
    return Findings(
        name="methods",
        title="All methods on the same pairs",
        settings={
            "styles": " ".join(dict.fromkeys(pair.style.stem for pairs in pairs_at.values() for pair in pairs)),
            "evaluator": Path(inputs.vgg).stem,
            "seed": inputs.seed,
            **environment(runtime),
        },
        tables={"Distances and seconds": [result.row() for result in results]},
        plots={"distances": draw(distance_panels(results), columns=2)},
        images={"pictures": image_grid(painters, shown)},
    )


def find_painters(inputs: Inputs, runtime: Runtime) -> tuple[dict[str, Painter | None], list[Path]]:
    """Find the methods by label, ``None`` for one whose network is missing, and the styles that all of them have.

    Raises:
        DataError: No style is common to all networks.
        CatalogError, CheckpointError, WeightsError: A network cannot be used.
    """
    models = [model for model in read_catalog(inputs.checkpoints).models if model.problem is None]
    files = {file.named.id: file.path for file in inputs.styles}
    known = {
        method: known_files([model for model in models if (model.network, model.norm) == kind], files)
        for method, kind in LEARNED.items()
    }
    learned = {method: styles for method, styles in known.items() if styles}
    common = [path for path in dict.fromkeys(files.values()) if all(path in styles for styles in learned.values())]
    if not common:
        raise DataError(f"--styles: none of its styles is common to all of these: {'; '.join(learned)}")
    painters: dict[str, Painter | None] = {
        f"optimisation, {steps} steps": Optimisation(inputs.vgg, steps, runtime) for steps in inputs.gatys_steps
    }
    for method, styles in known.items():
        wanted = {path: styles[path] for path in common} if styles else {}
        painters[method] = LearnedStyles(wanted, runtime, inputs.seed) if wanted else None
    for method, network in ANY_STYLE.items():
        entry = next((model for model in models if model.network == network), None)
        painters[method] = AnyStylePainter(entry, runtime) if entry else None
    return painters, common


def read_pairings(
    contents: Sequence[Path], styles: Sequence[Path], count: int, size_px: int, runtime: Runtime
) -> list[Pairing]:
    """Read at most ``count`` pairs; the first ones differ in both content and style.

    Raises:
        DataError: An image cannot be read.
    """

    def square(path: Path) -> Tensor:
        return to_tensor([centre_square(read_image(path), size_px)]).to(runtime.device)

    pairs = [
        (content, styles[(index + shift) % len(styles)])
        for shift in range(len(styles))
        for index, content in enumerate(contents)
    ]
    return [Pairing(square(content), square(style), style) for content, style in pairs[:count]]


def paint_all(method: str, painter: Painter, pairs: Sequence[Pairing], evaluator: Evaluator, repeats: int) -> Result:
    """Warm up on the first pair; then stylize, time and evaluate each."""
    distances, paint_s, with_style_s = [], [], []
    device = pairs[0].content.device
    painter.warm_up(pairs[0].content, painter.style(pairs[0].style_image, pairs[0].style))
    for pair in pairs:
        for _ in range(1 if painter.steps else repeats):
            style, encoding_s = timed(painter.style, pair.style_image, pair.style, device=device)
            output, seconds = timed(painter.paint, pair.content, style, device=device)
            paint_s.append(seconds)
            with_style_s.append(encoding_s + seconds)
        distances.append(evaluator(output, pair.content, pair.style_image))
    size_px = pairs[0].content.shape[-1]
    return Result(method, size_px, painter.name, painter.steps, distances, paint_s, with_style_s)


def distance_panels(results: Sequence[Result]) -> list[Panel]:
    """Plot the paper's figure 3: the optimisation by its steps, from the content image on; the others as levels."""
    panels = []
    for size_px in dict.fromkeys(result.size_px for result in results):
        there = [result for result in results if result.size_px == size_px and result.distances]
        by_steps = sorted((one for one in there if one.steps or one.method == UNTOUCHED), key=lambda one: one.steps)
        steps = [one.steps for one in by_steps]
        for term in ("content", "style"):
            levels = {one.method: getattr(median_distances(one.distances), term) for one in there}
            lines = [Line("optimisation", steps, [levels[one.method] for one in by_steps], marker="o")]
            lines += [
                Line(one.method, (0, steps[-1]), (levels[one.method],) * 2, "--") for one in there if not one.steps
            ]
            panels.append(Panel(f"{term} distance at {size_px} px", "steps of the optimisation", lines))
    return panels


def image_grid(painters: Mapping[str, Painter | None], pair: Pairing) -> Image.Image:
    """Draw the content image and each method's output. The style image is only named: it may not be free to show."""
    cells = [(to_images(pair.content)[0], f"photo; style {pair.style.stem}")]
    for method, painter in painters.items():
        if painter is not None:
            output = painter.paint(pair.content, painter.style(pair.style_image, pair.style))
            cells.append((to_images(output)[0], method))
    return captioned_grid(cells, GRID_COLUMNS)
