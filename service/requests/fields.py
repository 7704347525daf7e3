"""The fields of ``POST /stylize`` as they came."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

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


def check_fields(names: Iterable[str], known: Sequence[str] = FIELDS, repeated: Container[str] = REPEATED) -> None:
    """A misspelt or repeated field must not be ignored: the answer would not be what was asked for.

    Args:
        names: Of the fields that were sent.
        known: Those that there are.
        repeated: Those that may be sent more than once.

    Raises:
        InvalidField: Names the first such field.
    """
    for name, count in Counter(names).items():
        if name not in known:
            raise InvalidField(f"unknown field {name!r:.80}: known are {', '.join(known)}", field=name[:80])
        if count > 1 and name not in repeated:
            raise InvalidField(f"got this field {count} times: send it once", field=name)
