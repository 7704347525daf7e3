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

    @property
    def size(self) -> str:
        """The form's field ``size``: the longer side."""
        return str(max(self.width, self.height))

    def fields(self) -> dict[str, str]:
        """The text fields of the form."""
        fields = {"size": self.size, "alpha": str(self.alpha), "format": "jpeg"}
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
