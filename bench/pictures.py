"""Images and requests, made in memory from the two images of the repository."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from model_store.catalog import Catalog, default_folder
from service.request import StylizeRequest

PAINTING = Path(__file__).resolve().parent.parent / "examples" / "painting.jpg"

SHAPES_PX = ((256, 256), (384, 288), (512, 384), (512, 512))
"""Width and height of the outputs in the mix."""

PHOTO_PX = 1024
"""Longer side of the photos that clients send."""

UPLOADS = 4
IDS = 4
ALPHAS = (1.0, 0.8, 0.6, 1.0)


@dataclass(frozen=True)
class Ask:
    """One request of the mix, for HTTP and for the bare loop."""

    width: int
    height: int
    alpha: float
    content: bytes
    upload: bytes | None = None
    style_id: str | None = None
    style_size: int | None = None

    @property
    def size(self) -> str:
        """The form's field ``size``: the longer side."""
        return str(max(self.width, self.height))

    def fields(self) -> dict[str, str]:
        """The text fields of the form."""
        fields = {"size": self.size, "alpha": str(self.alpha), "format": "jpeg"}
        if self.style_size is not None:
            fields["style_size"] = str(self.style_size)
        return fields if self.style_id is None else fields | {"style_id": self.style_id}

    def files(self) -> dict[str, bytes]:
        """The files of the form."""
        return {"content": self.content} if self.upload is None else {"content": self.content, "style": self.upload}

    def as_request(self) -> StylizeRequest[bytes]:
        """The request as the API parses it."""
        return StylizeRequest[bytes](
            content=self.content,
            style=[] if self.upload is None else [self.upload],
            style_id=[] if self.style_id is None else [self.style_id],
            alpha=self.alpha,
            style_size=self.style_size,
            size=self.size,
            format="jpeg",
        )


def photo(width: int, height: int, variant: int = 0) -> Image.Image:
    """Crop and resize the sample photo; another variant is another crop."""
    return _crop(default_folder() / "sample.jpg", width, height, variant)


def painting(width: int, height: int, variant: int = 0) -> Image.Image:
    """Crop and resize the example painting; another variant is another crop."""
    return _crop(PAINTING, width, height, variant)


def request_mix(catalog: Catalog, shapes_px: Sequence[tuple[int, int]] = SHAPES_PX) -> list[Ask]:
    """Four requests of each shape, in a fixed random order: two with an uploaded style, two with an id, if there are.

    Every count of requests that is a multiple of the mix's length does the same work.
    """
    ids = [style.id for style in catalog.styles if "adain" in style.models][:IDS]
    asks = []
    for shape, (width, height) in enumerate(shapes_px):
        for index, alpha in enumerate(ALPHAS):
            scale = PHOTO_PX / max(width, height)
            content = _jpeg(photo(round(width * scale), round(height * scale), 4 * shape + index))
            if index % 2 and ids:
                asks.append(Ask(width, height, alpha, content, style_id=ids[(shape + index) % len(ids)]))
            else:
                upload = _jpeg(painting(640, 512, (shape + index) % UPLOADS))
                asks.append(Ask(width, height, alpha, content, upload=upload))
    random.Random(0).shuffle(asks)
    return asks


class EverNew(Sequence[Ask]):
    """Requests of which no two have the same size or style image."""

    def __init__(self, longest_px: int) -> None:
        """Ask for outputs of 64 to ``longest_px``, in styles that are encoded at such sizes."""
        self._longest_px = longest_px

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, index: int) -> Ask:  # type: ignore[override]
        dice = random.Random(index)
        width, height, style_width, style_height = (dice.randint(64, self._longest_px) for _ in range(4))
        upload = _jpeg(painting(2 * style_width, 2 * style_height, index))
        content = _jpeg(photo(2 * width, 2 * height, index))
        return Ask(width, height, 1.0, content, upload=upload, style_size=max(style_width, style_height))


def _crop(path: Path, width: int, height: int, variant: int) -> Image.Image:
    """Crop up to a fifth less than the largest part of this aspect, at a place that depends on the variant."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    dice = random.Random(variant)
    scale = min(image.width / width, image.height / height) * (1 - 0.2 * dice.random())
    left, top = dice.random() * (image.width - scale * width), dice.random() * (image.height - scale * height)
    box = (left, top, left + scale * width, top + scale * height)
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box)


def _jpeg(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()
