"""``StylizeRequest``: the fields of ``POST /stylize``, each defined once.

    StylizeOptions                   what a worker gets as it was sent: a new field belongs here
    ├── StylizeRequest[File]         with what ``resolve`` works out: files, styles, weights, size
    │   └── http.forms.StylizeForm   the form; its files are uploads
    └── StylizeParameters            the payload of a job: the options, and what ``resolve`` found

A field's type, bounds, default and description stand here alone. The API's form and its OpenAPI, the options of the
command ``stylize`` and their help, the table in ``docs/api.md`` and what travels to a worker are made from them.
Bounds that depend on settings, networks or files are checked by ``resolve``.
"""

from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.formats import FORMATS
from service.settings import HttpSettings

Color = Literal["style", "match", "luminance"]
Method = Literal["feedforward", "gatys"]
METHODS: tuple[Method, ...] = get_args(Method)

QUALITIES = ", ".join(f"{spec.default_quality} ({name})" for name, spec in FORMATS.items() if spec.default_quality)

MAX_STYLES = 4
MAX_SEED = 2**31 - 1
MIN_SIZE_PX = 64
STYLE_SIZE_PX = 512
"""Longer side at which style images are encoded if the request does not say."""

TRAVELLING = ConfigDict(frozen=True, extra="ignore")
"""Configuration of models that are read from Redis: fields that a newer version wrote are ignored."""

File = TypeVar("File")
"""An image file: an upload in a form, a path on the command line, else its bytes."""


def _known_method(name: Any) -> Any:
    if name not in METHODS:
        raise ValueError(f"allowed are {', '.join(METHODS)}")
    return name


def _limit(setting: str) -> str:
    """A bound that is a setting: its default and its variable."""
    return f"{HttpSettings.model_fields[setting].default} (`STYLIZE_{setting.upper()}`)"


class StylizeOptions(BaseModel):
    """The fields that travel to a worker as they were sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(
        1.0, ge=0, le=1, description="Strength: 0 keeps the photo's own statistics, 1 is the full style."
    )
    color: Color = Field(
        "style",
        description="Whose colours: the `style`'s; or the photo's, by `match` (the painting is recoloured to the photo"
        " before it is encoded: for styles whose painting is there) or by `luminance` (the photo's chroma is kept: for"
        " every style).",
    )
    style_size: int | None = Field(
        None,
        description="Longer side in pixels at which paintings are encoded, uploads and those of styles that have an"
        f" `image`: up to {_limit('max_size_px')}, {STYLE_SIZE_PX} when not given. A larger one makes larger strokes.",
        json_schema_extra={"minimum": MIN_SIZE_PX},
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=MAX_SEED,
        description="For styles whose `controls` name it: the same seed paints the same again. Drawn at random when not"
        " given; `X-Stylize-Seed` says which it was.",
    )
    format: str | None = Field(
        None,
        description="Overrides `Accept`. When neither is given, PNG for a photo with transparency, else JPEG.",
        json_schema_extra={"enum": [*FORMATS, "jpg"]},
    )
    quality: int | None = Field(
        None,
        ge=1,
        le=100,
        description=f"Of lossy formats; {QUALITIES} when not given.",
    )
    model: str | None = Field(
        None,
        description="The network: for style images and registered styles one with `any_style`, for an id one of its"
        " `models`. When not given, the service's default if that can paint all the styles, else one that can.",
        examples=[HttpSettings.model_fields["default_model"].default],
    )
    method: Annotated[Method, BeforeValidator(_known_method)] = Field(
        "feedforward",
        description="`feedforward`: one pass through a network. `gatys`: the picture itself is optimised, which takes"
        " minutes and, over HTTP, needs `Prefer: respond-async`.",
    )
    steps: int | None = Field(
        None,
        description=f"Of `gatys`: up to {_limit('max_steps')}, 80 when not given. More take longer and come closer.",
        json_schema_extra={"minimum": 1},
    )


class StylizeInputs(BaseModel, Generic[File]):
    """The fields that ``resolve`` works out: a worker gets what it found, and files by name."""

    content: File = Field(description="The photo: JPEG, PNG, WebP or AVIF, at most 8:1.")
    style: list[File] = Field(
        [],
        description="Style images, files of the same kinds. With `style_id`, at least one style and at most"
        f" {MAX_STYLES}.",
        json_schema_extra={"maxItems": MAX_STYLES},
    )
    style_id: list[str] = Field(
        [],
        description="Ids from `GET /styles`; those mix whose `models` have one in common.",
        json_schema_extra={"maxItems": MAX_STYLES},
        examples=[["hokusai-great-wave"]],
    )
    weights: str | None = Field(
        None,
        description="Comma-separated, one for each style: uploads first, then ids. `3,1` is three quarters and one;"
        " equal when not given.",
        examples=["3,1"],
    )
    mask: list[File] = Field(
        [],
        description="One grey image for each style, uploads first, then ids: it applies where its mask is light,"
        " softly. Places where all masks are black keep the photo's look; where masks overlap, `weights` decide. Any"
        " size is resized to the result's.",
    )
    size: str = Field(
        "512",
        description=f"Longer side of the result in pixels, {MIN_SIZE_PX} to {_limit('max_size_px')}; or `original`, up"
        f" to {_limit('max_original_px')}.",
        examples=["512"],
        json_schema_extra={"pattern": "^(original|[0-9]{2,9})$"},
    )


class StylizeRequest(StylizeOptions, StylizeInputs[File], Generic[File]):
    """A request for a picture, as it was sent."""

    @property
    def style_count(self) -> int:
        """Number of styles, images and ids together."""
        return len(self.style) + len(self.style_id)

    def blobs(self: "StylizeRequest[bytes]") -> dict[str, bytes]:
        """The files, by the names that ``StylePart`` uses."""
        styles = {f"style-{index}": data for index, data in enumerate(self.style)}
        masks = {f"mask-{index}": data for index, data in enumerate(self.mask)}
        return {"content": self.content, **styles, **masks}


class StylePart(BaseModel):
    """One style of a mix.

    Attributes:
        weight: Its share: all weights sum to 1.
        style_id: Id, if the style is stored.
        upload: Name of its blob, if its image was sent.
        digest: Digest of its painting, if it is a registered style.
        from_painting: Encode the painting beside the checkpoints in place of the numbers that the network stores.
        mask: Name of the blob of its spatial mask, if it has one.
    """

    model_config = TRAVELLING

    weight: float
    style_id: str | None = None
    upload: str | None = None
    digest: str | None = None
    from_painting: bool = False
    mask: str | None = None


class StylizeParameters(StylizeOptions):
    """The payload of a job: options that are checked and settled, and what ``resolve`` found.

    API and worker may be of different versions: what travels leaves defaults out, and fields that the reader does not
    know are ignored.

    Attributes:
        width: Width of the output, in pixels.
        height: Height of the output, in pixels.
        format: One of ``FORMATS``.
        style_size: Longer side at which style images are encoded, in pixels.
        tiled: Paint in tiles, on the background lane.
        registers: Give the painting that is to be kept of the upload back, too.
        decoded_pixels: Pixels of the file that takes most memory to decode.
    """

    model_config = TRAVELLING

    request_id: str
    model: str
    width: int
    height: int
    styles: tuple[StylePart, ...]
    format: str
    style_size: int = STYLE_SIZE_PX
    tiled: bool = False
    registers: bool = False
    decoded_pixels: int = 0

    def travelling(self) -> dict[str, Any]:
        """JSON values, without defaults: ``model_validate`` reads them."""
        return self.model_dump(mode="json", exclude_defaults=True)


class ResultInfo(BaseModel):
    """Facts about the making of an image, which travel back with it; times in milliseconds."""

    model_config = TRAVELLING

    model: str
    batch_size: int
    queue_ms: float
    decode_ms: float
    model_ms: float
    encode_ms: float
