"""The bodies of JSON responses."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

CONTROLS = (
    "Which of the fields `style`, `style_size`, `weights`, `alpha`, `seed`, `mask` and `color` the network heeds; the"
    " others are refused. `color=match` and"
    " `style_size` are for styles whose painting is there: uploads, and styles whose `image` is not null."
)


class Frozen(BaseModel):
    """Base of all: a value, not a thing that changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _encodable(text: str) -> str:
    """Without halves of characters, which a form in a charset of its own may smuggle in, and which JSON cannot hold."""
    return text.encode("utf-8", "replace").decode()


Quoting = Annotated[str, BeforeValidator(_encodable)]
"""Text that may repeat what a request said."""


class FieldProblem(Frozen):
    """One field of a request that cannot be used."""

    field: Quoting
    detail: Quoting


class Problem(Frozen):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: Quoting
    instance: str = Field(description="The request's id, as a URN-like `/requests/{id}`.")
    errors: tuple[FieldProblem, ...] = ()


class StyleView(Frozen):
    """A style that can be asked for by id."""

    id: str
    title: str
    artist: str
    year: int | None
    rights: str
    model: str = Field(description="The network that paints it if none is asked for.")
    models: tuple[str, ...] = Field(description="All networks that can paint it: one of them may be asked for.")
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

    styles: tuple[StyleView, ...]
    next: str | None = None


class ModelView(Frozen):
    """A network that the service has, or a checkpoint that it could not read."""

    id: str
    network: str
    norm: str
    styles: int = Field(description="How many of its styles have an id.")
    any_style: bool = Field(description="Whether it paints in the style of any image: uploaded and registered ones.")
    is_default: bool = Field(description="Whether it is the one that does so if none is asked for.")
    controls: tuple[str, ...] = Field(description=CONTROLS)
    parameters: int
    licence: str
    attribution: str
    training: dict[str, Any]
    measured: dict[str, Any]
    state: str = Field(
        description="`available`, or what is wrong with the checkpoint, be it that the API or a worker found it."
    )


class ModelList(Frozen):
    """All networks."""

    models: tuple[ModelView, ...]


class Liveness(Frozen):
    """That the process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Frozen):
    """Whether requests will be answered."""

    ready: bool
    queue_depth: int
    workers: int
