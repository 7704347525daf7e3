"""Immutable values that the client returns. Fields that a newer service adds are ignored."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ENDED = ("succeeded", "failed", "cancelled", "expired")


@dataclass(frozen=True)
class StylizedImage:
    """An output image, and facts about the request.

    Attributes:
        data: The image file.
        media_type: Media type, such as ``image/jpeg``.
        model: Id of the network.
        batch_size: Number of images in the batch.
        seed: Seed of the noise, if the network uses noise: the same seed gives the same output.
        timings_ms: Milliseconds of ``queue``, ``decode``, ``model`` and ``encode``.
        request_id: Id of the request in the service's log.
        is_replayed: True for the response of an earlier request with the same ``Idempotency-Key``.
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
        """Write the file; the name does not change its format."""
        path = Path(path)
        path.write_bytes(self.data)
        return path


@dataclass(frozen=True)
class Style:
    """A style with an id.

    Attributes:
        id: Id of the style.
        title: Title.
        artist: Artist; empty if unknown.
        year: Year; ``None`` if unknown.
        rights: Terms of use.
        model: Network that is used if a request names none.
        models: All networks that have the style.
        kind: ``shipped``, ``learned`` or ``registered``.
        controls: The fields that ``model`` supports.
        preview: Path of a small output in this style.
        image: Path of the image that it was made from; ``None`` if only its statistics are stored.
        origin: Source of that image.
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
        id: Id of the network.
        network: Kind of network.
        norm: Kind of normalisation.
        styles: Number of its styles with an id.
        any_style: True if it accepts any style image.
        is_default: True if it is used for style images when a request names no network.
        controls: Request fields that it supports.
        parameters: Number of weights.
        licence: Licence of the weights.
        attribution: Names to be given.
        training: Recipe, data, losses.
        measured: Distances on validation pairs.
        state: ``available``, or the reason why it cannot be used.
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
    """Readiness of the service; if it is not ready, ``detail`` gives the reason."""

    ready: bool
    queue_depth: int = 0
    workers: int = 0
    detail: str = ""


@dataclass(frozen=True)
class FieldProblem:
    """Problem of one field of a request."""

    field: str
    detail: str


@dataclass(frozen=True)
class JobStatus:
    """Status of a job.

    Attributes:
        id: Id of the job.
        state: ``queued``, ``running``, ``succeeded``, ``failed``, ``cancelled`` or ``expired``.
        progress: Fraction of the work that is done, from 0 to 1.
        position: Position among the waiting jobs, from 1; ``None`` if it does not wait.
        created: Time at which it was accepted.
        problem: Problem document of a job that failed.
    """

    id: str
    state: str
    progress: float
    position: int | None
    created: datetime
    problem: Mapping[str, Any] | None = None

    @property
    def has_ended(self) -> bool:
        """True for a job in a final state."""
        return self.state in ENDED

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "JobStatus":
        """Build from the service's document."""
        return from_document(cls, {**document, "created": datetime.fromisoformat(document["created"])})


@dataclass(frozen=True)
class JobProgress:
    """Event of a completed step of a long job."""

    progress: float
    step: int
    steps: int
    losses: Mapping[str, float]


@dataclass(frozen=True)
class JobPreview:
    """Event with the image so far, as a small file."""

    step: int
    media_type: str
    data: bytes

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "JobPreview":
        """Build from an event's data."""
        return cls(document["step"], document["type"], b64decode(document["data"]))


Event = JobStatus | JobProgress | JobPreview


def from_document(kind: type[T], document: Mapping[str, Any]) -> T:
    """Build a dataclass from a JSON object; lists become tuples, and unknown fields are left out."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
    return kind(**{name: value for name, value in values.items() if name in names})
