"""The bodies of JSON responses."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service import VERSION

CONTROLS = (
    "The fields among `style`, `style_size`, `weights`, `alpha`, `seed`, `mask` and `color` that the network supports;"
    " the others are refused. `color=match` and `style_size` are for styles whose painting is there: uploads, and"
    " styles whose `image` is not null."
)


class Frozen(BaseModel):
    """Base of all: an immutable value."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _encodable(text: str) -> str:
    """Replace halves of characters, which a form in a charset of its own may bring, and which JSON cannot hold."""
    return text.encode("utf-8", "replace").decode()


Quoting = Annotated[str, BeforeValidator(_encodable)]
"""Text that may repeat what a request said."""


class FieldProblem(Frozen):
    """A field of a request that cannot be used."""

    field: Quoting
    detail: Quoting


class Problem(Frozen):
    """An error (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: Quoting
    instance: str = Field(description="The request's id, as a URN-like `/requests/{id}`.")
    errors: tuple[FieldProblem, ...] = ()


class StyleView(Frozen):
    """A style that has an id."""

    example: ClassVar[dict[str, Any]] = {
        "id": "cross-landscape-with-stars",
        "title": "Landscape with Stars",
        "artist": "Henri-Edmond Cross",
        "year": 1908,
        "rights": "Public domain: Henri-Edmond Cross died 1910",
        "model": "swift",
        "models": ["adain", "swift"],
        "kind": "shipped",
        "controls": ["style", "weights", "alpha", "mask", "color", "style_size"],
        "preview": "/styles/cross-landscape-with-stars/preview",
        "image": "/styles/cross-landscape-with-stars/image",
        "origin": "WikiArt, by way of the data set PeopleArt (github.com/BathVisArtData/PeopleArt): JPEGImages/"
        "Impressionism/henri-edmond-cross_landscape-with-stars-1908.jpg; cropped to at most 4:3 and reduced",
    }

    id: str
    title: str
    artist: str
    year: int | None
    rights: str
    model: str = Field(description="The network that paints it if the request names none.")
    models: tuple[str, ...] = Field(description="All networks that can paint it; a request may name any of them.")
    kind: Literal["shipped", "learned", "registered"] = Field(
        description="`shipped`: encoded from a picture, as uploads are; `learned`: trained into its network;"
        " `registered`: an upload with a name."
    )
    controls: tuple[str, ...] = Field(description=CONTROLS)
    preview: str | None = Field(description="Path of a small picture painted in this style.")
    image: str | None = Field(description="Path of the painting that it was made from.")
    origin: str = Field(description="Where that painting was taken from.")


class StylePage(Frozen):
    """A list of styles; `next` is the path of the following page."""

    example: ClassVar[dict[str, Any]] = {"styles": [StyleView.example], "next": None}

    styles: tuple[StyleView, ...]
    next: str | None = None


class ModelView(Frozen):
    """A network that the service has, or a checkpoint that it could not read."""

    id: str
    network: str
    norm: str
    styles: int = Field(description="Number of its styles that have an id.")
    any_style: bool = Field(description="It paints in the style of any image: uploads and registered styles.")
    is_default: bool = Field(description="It is the one that does so if the request names none.")
    controls: tuple[str, ...] = Field(description=CONTROLS)
    parameters: int
    licence: str
    attribution: str
    training: dict[str, Any]
    measured: dict[str, Any]
    state: str = Field(description="`available`, or the problem of the checkpoint that the API or a worker found.")


class ModelList(Frozen):
    """All networks."""

    example: ClassVar[dict[str, Any]] = {
        "models": [
            {
                "id": "swift",
                "network": "swift",
                "norm": "predicted",
                "styles": 36,
                "any_style": True,
                "is_default": True,
                "controls": ["style", "weights", "alpha", "mask", "color", "style_size"],
                "parameters": 4305886,
                "licence": "Apache-2.0; its encoder: CC BY 4.0.",
                "attribution": "VGG-16 by Karen Simonyan and Andrew Zisserman, CC BY 4.0",
                "training": {"recipe": "custom", "steps": 60000},
                "measured": {"content": 0.739, "style": 0.0418},
                "state": "available",
            }
        ]
    }

    models: tuple[ModelView, ...]


class Liveness(Frozen):
    """The process is alive."""

    example: ClassVar[dict[str, Any]] = {"status": "ok", "version": VERSION}

    status: Literal["ok"] = "ok"
    version: str = Field(VERSION, description="The release that this process runs.")


class Readiness(Frozen):
    """Requests will be served."""

    example: ClassVar[dict[str, Any]] = {"ready": True, "queue_depth": 3, "workers": 1}

    ready: bool
    queue_depth: int
    workers: int
