"""``Painting``: one image that is to be painted, and what its styles are made from."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from model_store.style import Style
from service.request import Color


@dataclass(frozen=True, eq=False)
class Upload:
    """A style image: a client's, or the painting of a style that has an id.

    Attributes:
        digest: Of the file's bytes and the size at which it is encoded; the same digest is the same style.
        image: RGB; ``None`` where the style was remembered when the job was prepared.
        remembered: The encoded style, in that case.
        encoder_sha256: Of the checkpoint that encoded it: another one would read other things into its numbers.
    """

    digest: str
    image: Image.Image | None
    remembered: Style | None = None
    encoder_sha256: str = ""


@dataclass(frozen=True)
class Painting:
    """One image of a batch.

    Attributes:
        content: RGB, of the size of the result.
        styles: Weight and source of each style of the mix: a stored style's id, or an upload.
        alpha: 0 keeps the content's own statistics, 1 takes the style's.
        seed: For networks that take noise; the others paint the same whatever it is. In one batch all have one or none.
        color: ``match`` recolours uploads to the content before they are encoded; ``luminance`` keeps the content's
            chroma; ``style`` does neither.
        masks: Where each of the styles applies: mode L, of the content's size; none for a mix that is everywhere.
    """

    content: Image.Image
    styles: Sequence[tuple[float, str | Upload]]
    alpha: float
    seed: int | None = None
    color: Color = "style"
    masks: Sequence[Image.Image] = ()


@dataclass(frozen=True)
class TiledProgress:
    """A tile that was taken.

    Attributes:
        step: Its number, from 1.
        steps: How many there will be.
        picture: The photo, as far as it is painted; of the size of the result. The same image after every step.
    """

    step: int
    steps: int
    picture: Image.Image
