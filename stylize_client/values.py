"""What the client returns: values, not things that change. Fields that a newer service adds are ignored."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ENDED = ("succeeded", "failed", "cancelled", "expired")


@dataclass(frozen=True)
class Picture:
    """A painted picture, and how it was made.

    Attributes:
        data: The file.
        media_type: Such as ``image/jpeg``.
        model: The network that painted it.
        batch_size: How many pictures it painted at once.
        seed: Of the noise, if the network takes some: the same seed paints the same again.
        timings_ms: ``queue``, ``decode``, ``model`` and ``encode``.
        request_id: Names the request in the service's log.
        is_replayed: Whether it was painted before, for a request with the same ``Idempotency-Key``.
    """

    data: bytes
    media_type: str
    model: str
    batch_size: int
    seed: int | None
    timings_ms: Mapping[str, float]
    request_id: str
    is_replayed: bool = False

    def save(self, path: str | Path) -> Path:
        """Write the file; its name does not change its format."""
        path = Path(path)
        path.write_bytes(self.data)
        return path


@dataclass(frozen=True)
class Style:
    """A style that has an id.

    Attributes:
        id: The style's.
        title: Its title.
        artist: Empty where that is not known.
        year: ``None`` where that is not known.
        rights: Terms of use.
        model: The network that paints it if none is asked for.
        models: All networks that can paint it.
        kind: ``shipped``, ``learned`` or ``registered``.
        controls: The fields that ``model`` supports.
        preview: Path of a small picture painted in it.
        image: Path of the painting that it was made from; ``None`` where only numbers are kept.
        origin: Where that painting was taken from.
    """

    id: str
    title: str
    artist: str
    year: int | None
    rights: str
    model: str
    models: tuple[str, ...]
    kind: str
    controls: tuple[str, ...]
    preview: str | None
    image: str | None
    origin: str


@dataclass(frozen=True)
class Model:
    """A network.

    Attributes:
        id: The network's.
        network: Its kind.
        norm: Where its scale and shift come from.
        styles: How many of its styles have an id.
        any_style: Whether it paints in the style of any image.
        is_default: Whether it is the one that does so if none is asked for.
        controls: The fields that it supports.
        parameters: How many weights it has.
        licence: Of the weights.
        attribution: Whom to name.
        training: Recipe, data, losses.
        measured: Distances on validation pairs.
        state: ``available``, or what is wrong with it.
    """

    id: str
    network: str
    norm: str
    styles: int
    any_style: bool
    is_default: bool
    controls: tuple[str, ...]
    parameters: int
    licence: str
    attribution: str
    training: Mapping[str, Any]
    measured: Mapping[str, Any]
    state: str


@dataclass(frozen=True)
class Readiness:
    """Whether requests will be answered; if not, ``detail`` says why."""

    ready: bool
    queue_depth: int = 0
    workers: int = 0
    detail: str = ""


@dataclass(frozen=True)
class FieldProblem:
    """One field of a request that cannot be used."""

    field: str
    detail: str


@dataclass(frozen=True)
class JobStatus:
    """A job this moment.

    Attributes:
        id: The job's.
        state: ``queued``, ``running``, ``succeeded``, ``failed``, ``cancelled`` or ``expired``.
        progress: Share of the work that is done, from 0 to 1.
        position: Among the jobs that wait, from 1 for the next; ``None`` if it does not wait.
        created: When it was accepted.
        problem: Why there will be no picture, as the service wrote it.
    """

    id: str
    state: str
    progress: float
    position: int | None
    created: datetime
    problem: Mapping[str, Any] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ENDED

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "JobStatus":
        """From the service's view of a job."""
        return known(cls, {**document, "created": datetime.fromisoformat(document["created"])})


@dataclass(frozen=True)
class JobProgress:
    """An event: a step of a long job was done."""

    progress: float
    step: int
    steps: int
    losses: Mapping[str, float]


@dataclass(frozen=True)
class JobPreview:
    """An event: the picture so far, small, as a file."""

    step: int
    media_type: str
    data: bytes

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "JobPreview":
        """From an event's data."""
        return cls(document["step"], document["type"], b64decode(document["data"]))


Event = JobStatus | JobProgress | JobPreview


def known(kind: type[T], document: Mapping[str, Any]) -> T:
    """A dataclass from a JSON object; lists become tuples, and what it has no field for is left out."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
    return kind(**{name: value for name, value in values.items() if name in names})
