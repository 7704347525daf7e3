"""The fields of ``POST /stylize`` as they came."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from starlette.datastructures import QueryParams

from service.errors import InvalidField

FIELDS = (
    *("content", "style", "style_id", "weights", "alpha", "color", "mask", "style_size"),
    *("size", "seed", "format", "quality", "model", "method", "steps"),
)
REPEATED = ("style", "style_id", "mask")
MAX_STYLES = 4
MIN_SIZE_PX = 64
MIN_SHORTER_PX = 16
"""Of a result, and of a style: two places of AdaIN's coarsest grid, whose statistics would not exist for one."""


@dataclass(frozen=True)
class StylizeRequest:
    """A request's fields as they came, but for what HTTP and multipart guarantee."""

    request_id: str
    content: bytes
    styles: list[bytes]
    style_ids: list[str]
    weights: str | None
    alpha: float
    size: str
    format: str | None
    quality: int | None
    accept: str | None
    seed: int | None = None
    color: str = "style"
    masks: Sequence[bytes] = ()
    style_size: int | None = None
    method: str = "feedforward"
    steps: int | None = None
    model: str | None = None

    @property
    def count(self) -> int:
        """How many styles it has."""
        return len(self.styles) + len(self.style_ids)

    @property
    def blobs(self) -> Mapping[str, bytes]:
        """The files, by the names that ``StylePart`` uses."""
        styles = {f"style-{index}": data for index, data in enumerate(self.styles)}
        masks = {f"mask-{index}": data for index, data in enumerate(self.masks)}
        return {"content": self.content, **styles, **masks}


def check_fields(
    fields: Iterable[tuple[str, object]],
    known: Sequence[str] = FIELDS,
    repeated: Container[str] = REPEATED,
    may_be_empty: Container[str] = (),
) -> None:
    """A misspelt, repeated or empty field must not be ignored: the answer would not be what was asked for.

    Args:
        fields: Names and values as they were sent; FastAPI itself takes an empty text for none.
        known: Those that there are.
        repeated: Those that may be sent more than once.
        may_be_empty: Those whose empty text says something.

    Raises:
        InvalidField: Names the first such field.
    """
    fields = list(fields)
    for name, count in Counter(name for name, _ in fields).items():
        if name not in known:
            raise InvalidField(f"unknown field {name!r:.80}: known are {', '.join(known)}", field=name[:80])
        if count > 1 and name not in repeated:
            raise InvalidField(f"got this field {count} times: send it once", field=name)
    for name, value in fields:
        if value == "" and name not in may_be_empty:
            raise InvalidField("this field is empty: leave it out, or send a value", field=name)


def check_query(query: QueryParams, known: Sequence[str] = ()) -> None:
    """A parameter behind the path's ``?`` must not be ignored either.

    Raises:
        InvalidField: Names the first that is unknown or repeated.
    """
    allowed = f"known are {', '.join(known)}" if known else "there are none here, send fields in the body"
    for name, count in Counter(name for name, _ in query.multi_items()).items():
        if name not in known:
            raise InvalidField(f"unknown parameter {name!r:.80} in the address: {allowed}", field=name[:80])
        if count > 1:
            raise InvalidField(f"got this parameter {count} times: send it once", field=name)
