"""The images of ``docs/controls.md``, which show every control; each cell is the output of one HTTP request."""

from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import product
from pathlib import Path

import httpx
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from bench.load import LoadError
from bench.pictures import PAINTING
from bench.processes import running
from model_store.catalog import default_folder
from train.sheet import captioned_grid

PHOTO = default_folder() / "sample.jpg"

ADAIN = ("van-gogh-starry-night", "popova-space-force", "cross-landscape-with-stars", "durer-death-and-landsknecht")
CONDITIONAL = ("kuniyoshi-giant-salamander-cin", "van-gogh-starry-night-cin")
PYRAMID = "van-gogh-starry-night-pyramid"

SIZE_PX = 512
TEXT_PX = 16
SQUARE = 5
AMPLIFIED = 50
QUALITY = 78
TIMEOUT_S = 300.0

Cell = tuple[Image.Image, str]


class Studio:
    """HTTP client of a running service."""

    def __init__(self, url: str, size_px: int) -> None:
        """Prepare the client; ``size_px`` is the longer side of outputs."""
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)
        self.size_px = size_px

    def __enter__(self) -> "Studio":
        """Return the client."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close all connections."""
        self._http.close()

    def paint(
        self,
        *style_ids: str,
        content: bytes | None = None,
        styles: Sequence[bytes] = (),
        masks: Sequence[Image.Image] = (),
        **fields: object,
    ) -> Image.Image:
        """Send one request; the content image is the sample, and ``fields`` are the form's.

        Raises:
            LoadError: The response is not an image.
        """
        files = [("content", content or PHOTO.read_bytes())]
        files += [("style", style) for style in styles]
        files += [("mask", _png(mask)) for mask in masks]
        data = {"size": str(self.size_px), "format": "png", "style_id": list(style_ids)}
        data |= {name: str(value) for name, value in fields.items()}
        response = self._http.post("/stylize", files=files, data=data)
        if response.status_code != 200:
            raise LoadError(f"got {response.status_code}: {response.text[:300]}")
        return Image.open(BytesIO(response.content)).convert("RGB")


def alpha(studio: Studio) -> Image.Image:
    """Show strength: AdaIN above, the conditional generator below."""
    strengths = (0, 0.25, 0.5, 0.75, 1)
    rows = [(ADAIN[0], "AdaIN"), (CONDITIONAL[1], "generator")]
    return _grid(
        [(studio.paint(style, alpha=value), f"{name}, alpha={value:g}") for style, name in rows for value in strengths],
        columns=len(strengths),
        cell_px=300,
    )


def mixing(studio: Studio) -> Image.Image:
    """Show four styles of AdaIN in the corners, and all weights between them."""
    cells = []
    for row in range(SQUARE):
        for column in range(SQUARE):
            down, right = row / (SQUARE - 1), column / (SQUARE - 1)
            weights = ((1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right)
            text = ",".join(f"{round(weight * (SQUARE - 1) ** 2)}" for weight in weights)
            cells.append((studio.paint(*ADAIN, weights=text), f"weights={text}"))
    return _grid(cells, SQUARE, cell_px=180)


def mixing_generator(studio: Studio) -> Image.Image:
    """Show two learned styles of the conditional generator, and three mixes of them."""
    weights = ("1,0", "3,1", "1,1", "1,3", "0,1")
    return _grid([(studio.paint(*CONDITIONAL, weights=text), f"weights={text}") for text in weights], 5, cell_px=300)


def color(studio: Studio) -> Image.Image:
    """Show content image, style image, and the three values of ``color``."""
    painting = PAINTING.read_bytes()
    cells = [(_photo(), "content"), (_opened(PAINTING), "style")]
    cells += [(studio.paint(styles=[painting], color=way), f"color={way}") for way in ("style", "match", "luminance")]
    return _grid(cells, 5, cell_px=300)


def masks(studio: Studio) -> Image.Image:
    """Show two styles with complementary masks, and one that fades out."""
    face = _face(_photo().size)
    around, fade = ImageOps.invert(face), Image.linear_gradient("L").rotate(90).resize(face.size)
    both = studio.paint(ADAIN[0], ADAIN[1], masks=[around, face])
    one = studio.paint(ADAIN[2], masks=[fade])
    shown = [ImageOps.expand(mask.convert("RGB"), border=2, fill="grey") for mask in (around, face, fade)]
    cells = [(shown[0], "mask of the first style"), (shown[1], "mask of the second"), (both, "two styles, two masks")]
    return _grid([*cells, (shown[2], "mask of one style"), (one, "one style, one mask")], 5, cell_px=300)


def style_size(studio: Studio) -> Image.Image:
    """Show stroke sizes."""
    painting = PAINTING.read_bytes()
    sizes = (128, 512, 1536)
    return _grid(
        [(studio.paint(styles=[painting], style_size=size), f"style_size={size}") for size in sizes], 3, cell_px=480
    )


def seeds(studio: Studio) -> Image.Image:
    """Show the pyramid's noise: the middle of four outputs."""
    outputs = [(studio.paint(PYRAMID, seed=seed), f"seed={seed}") for seed in (1, 2, 3, 4)]
    return _grid([(_middle(output, studio.size_px // 2), text) for output, text in outputs], 4, cell_px=360)


def tiles(studio: Studio, tiling: Studio) -> Image.Image:
    """Show the borders of tiles: one pass, tiles, their difference; and tiles with statistics of their own."""
    side_px = studio.size_px // 2
    photo = _photo().resize((3 * side_px, 2 * side_px), Image.Resampling.BICUBIC)

    def output(by: Studio, image: Image.Image) -> Image.Image:
        return by.paint(ADAIN[1], content=_png(image), size="original")

    whole, tiled = output(studio, photo), output(tiling, photo)
    apart = ImageChops.difference(whole, tiled).point(lambda value: min(255, AMPLIFIED * value))
    alone = Image.new("RGB", photo.size)
    for left, top in product(range(0, photo.width, side_px), range(0, photo.height, side_px)):
        alone.paste(output(studio, photo.crop((left, top, left + side_px, top + side_px))), (left, top))
    cells = [(whole, "one pass"), (tiled, f"tiles of {side_px} px"), (apart, f"their difference × {AMPLIFIED}")]
    cells.append((alone, "each tile on its own"))
    return _grid([(_middle(image, side_px * 7 // 5), text) for image, text in cells], 4, cell_px=360)


FIGURES: tuple[Callable[[Studio], Image.Image], ...] = (
    alpha,
    mixing,
    mixing_generator,
    color,
    masks,
    style_size,
    seeds,
)


def make_gallery(
    out: Path, folder: Path, size_px: int = SIZE_PX, say: Callable[[str], None] = lambda _text: None
) -> None:
    """Write all figures into a folder.

    Args:
        out: The folder; created if necessary.
        folder: Folder of checkpoints, with the styles that are named above.
        size_px: Longer side of the outputs.
        say: Called with lines of progress.

    Raises:
        StartError: The service does not start.
        LoadError: A request was refused.
    """
    out.mkdir(parents=True, exist_ok=True)

    def write(name: str, figure: Image.Image) -> None:
        path = out / f"{name.replace('_', '-')}.jpg"
        figure.save(path, "JPEG", quality=QUALITY, optimize=True)
        say(f"gallery: {path}, {path.stat().st_size // 1000} kB")

    checkpoints = {"STYLIZE_CHECKPOINTS": str(folder)}
    with running("serve", "/readyz?worker=1", checkpoints) as service, Studio(service.url, size_px) as studio:
        for make in FIGURES:
            write(make.__name__, make(studio))
        # Tiles so small that an image of this size has several.
        small = {"STYLIZE_TILE_ABOVE_PIXELS": "1", "STYLIZE_TILE_PX": str(size_px // 2)}
        with running("serve", "/readyz?worker=1", checkpoints | small) as other, Studio(other.url, size_px) as tiling:
            write(tiles.__name__, tiles(studio, tiling))


def _grid(cells: Sequence[Cell], columns: int, cell_px: int) -> Image.Image:
    """Draw cells of one size, with the first image's aspect; images of another aspect are padded with white."""
    first = cells[0][0]
    size = (cell_px, round(cell_px * first.height / first.width))
    even = [
        (ImageOps.pad(image.convert("RGB"), size, Image.Resampling.LANCZOS, color="white"), text)
        for image, text in cells
    ]
    return captioned_grid(even, columns, TEXT_PX)


def _photo() -> Image.Image:
    return _opened(PHOTO)


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as file:
        return file.convert("RGB")


def _face(size: tuple[int, int]) -> Image.Image:
    """Make a soft mask of the animal in the sample."""
    width, height = size
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).ellipse((0.16 * width, 0.02 * height, 0.72 * width, 1.05 * height), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(0.03 * width))


def _middle(image: Image.Image, side_px: int) -> Image.Image:
    left, top = (image.width - side_px) // 2, (image.height - side_px) // 2
    return image.crop((left, top, left + side_px, top + side_px))


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
