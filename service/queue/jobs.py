"""``Job``, ``Claim``, ``JobProgress`` and ``Result``: the values that pass through the queue, to a worker and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from time import monotonic
from typing import Any, Literal

from service.errors import ServiceError, error_from_json
from service.queue.contract import from_document

Lane = Literal["interactive", "background", "suspect"]
LANES: tuple[Lane, ...] = ("interactive", "background", "suspect")
BLOB = "blob:"
"""Beginning of the names of a hash's fields that hold blobs."""


@dataclass(frozen=True)
class Job:
    """Work to be done: JSON parameters and named blobs. Clients take turns; ``client`` is the name of its, if any."""

    id: str
    parameters: Mapping[str, Any]
    blobs: Mapping[str, bytes]
    client: str = field(default="", compare=False)

    @property
    def lane(self) -> Lane:
        """Its lane: what takes long must not stand before what takes moments."""
        return "background" if self.is_preemptible or self.parameters.get("tiled") else "interactive"

    @property
    def is_preemptible(self) -> bool:
        """Others of its lane go before it, even when it has begun: an optimisation takes minutes."""
        return self.parameters.get("method") == "gatys"


@dataclass(frozen=True)
class JobProgress:
    """A job's progress, for people. The defaults are those of a job that no worker has begun.

    Attributes:
        steps: Steps in all; 0 as long as they are not known.
        preview: The picture so far, small, as a JPEG file; empty if there is none yet.
    """

    step: int = 0
    steps: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    preview: bytes = b""

    @property
    def share(self) -> float:
        """Share of the work done, from 0 to 1."""
        return self.step / self.steps if self.steps else 0.0

    def to_fields(self) -> list[str | bytes]:
        """Return alternating names and values, for a hash; without a preview, the last one stays."""
        told = json.dumps({"step": self.step, "steps": self.steps, "losses": dict(self.losses)})
        return ["progress", told, *(("preview", self.preview) if self.preview else ())]

    @classmethod
    def from_fields(cls, values: Sequence[bytes | None]) -> "JobProgress":
        """Read the values of ``progress`` and ``preview``; ``None`` where there is no such field."""
        told, preview = values
        return from_document(cls, {**json.loads(told), "preview": preview or b""}) if told is not None else cls()


@dataclass(frozen=True)
class Saved:
    """A job's state, for workers: the steps done, and the picture so far, at its full size, as a file without loss."""

    step: int
    picture: bytes

    def to_fields(self) -> list[str | bytes]:
        """Return alternating names and values, for a hash."""
        return ["saved_step", str(self.step), "saved_picture", self.picture]

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> "Saved | None":
        """Read a whole hash, if there is such a state in it."""
        if b"saved_step" not in fields:
            return None
        return cls(int(fields[b"saved_step"]), fields[b"saved_picture"])


@dataclass(frozen=True)
class Claim:
    """A job that this worker holds.

    Attributes:
        lane: The lane that it was claimed from.
        entry: Its place in the lane's stream.
        reply_to: The API process that waits for it; empty if none does.
        deadline: End of the time in which it is wanted, on this process's monotonic clock, in seconds.
        waited_ms: Time from enqueue to this claim.
        deliveries: Number of workers that have begun it; this one counts from the claim on.
        saved: The state that an earlier worker saved, if any.
        claimed_at: Time of the claim, on the same clock as the deadline.
        enqueued_ms: Time of its enqueuing, on Redis' clock, as Redis has it.
    """

    job: Job
    lane: Lane
    entry: bytes
    reply_to: str
    deadline: float
    waited_ms: float
    deliveries: int = 1
    saved: Saved | None = None
    claimed_at: float = field(default_factory=monotonic)
    enqueued_ms: bytes = b""

    @classmethod
    def from_fields(
        cls, job_id: str, lane: Lane, entry: bytes, fields: Mapping[bytes, bytes], left_ms: float, now_ms: float
    ) -> "Claim":
        """Read a job's whole hash; ``left_ms`` is the time until its deadline, ``now_ms`` that on Redis' clock."""
        return cls(
            job=Job(job_id, json.loads(fields[b"parameters"]), blobs_of(fields)),
            lane=lane,
            entry=entry,
            reply_to=fields[b"reply_to"].decode(),
            deadline=monotonic() + left_ms / 1000,
            waited_ms=max(0.0, now_ms - float(fields[b"enqueued_ms"])),
            deliveries=int(fields.get(b"begun", 0)) + 1,
            saved=Saved.from_fields(fields),
            enqueued_ms=fields[b"enqueued_ms"],
        )

    @property
    def is_late(self) -> bool:
        """Its deadline is over."""
        return monotonic() >= self.deadline

    @property
    def arrival(self) -> tuple[int, int]:
        """Order of arrival: entries of a stream are numbered by time, (ms, sequence)."""
        ms, _, sequence = self.entry.partition(b"-")
        return int(ms), int(sequence)


class Standing(IntEnum):
    """A running job's standing, told to the worker that reports its progress."""

    UNWANTED = 0
    WANTED = 1
    PREEMPTED = 2


@dataclass(frozen=True)
class Result:
    """A job's end: an image, how it was made (``request.ResultInfo``) and what else there is to keep, or an error."""

    image: bytes = b""
    info: Mapping[str, Any] | None = None
    error: ServiceError | None = None
    blobs: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes of all that there is to keep."""
        return len(self.image) + sum(map(len, self.blobs.values()))

    def to_fields(self) -> list[str | bytes]:
        """Return alternating names and values, for a hash."""
        fields: list[str | bytes] = ["image", self.image, "info", json.dumps(self.info)]
        if self.error is not None:
            fields += ["error", json.dumps(self.error.to_json())]
        return [*fields, *blob_fields(self.blobs)]

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> "Result":
        """Read the whole hash."""
        error = error_from_json(json.loads(fields[b"error"])) if b"error" in fields else None
        return cls(fields[b"image"], json.loads(fields[b"info"]), error, blobs_of(fields))


def blob_fields(blobs: Mapping[str, bytes]) -> list[str | bytes]:
    """Return alternating names and values, for a hash."""
    return [part for name, blob in blobs.items() for part in (f"{BLOB}{name}", blob)]


def blobs_of(fields: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """Return the blobs of a hash, by name."""
    return {name[len(BLOB) :].decode(): blob for name, blob in fields.items() if name.startswith(BLOB.encode())}
