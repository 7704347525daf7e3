"""How far a long job is: what its worker tells whoever asks, and what the next worker needs to go on from there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class JobProgress:
    """For people. The defaults are those of a job that no worker has begun.

    Attributes:
        step: Steps done.
        steps: Steps in all; 0 as long as they are not known.
        losses: By name, at the last step.
        preview: The picture so far, small, as a JPEG file; empty if there is none yet.
    """

    FIELDS: ClassVar = ("progress", "preview")

    step: int = 0
    steps: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    preview: bytes = b""

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.step / self.steps if self.steps else 0.0

    def to_fields(self) -> list[str | bytes]:
        """Names and values by turns, for a hash; without a preview, the last one stays."""
        told = json.dumps({"step": self.step, "steps": self.steps, "losses": dict(self.losses)})
        return ["progress", told, *(("preview", self.preview) if self.preview else ())]

    @classmethod
    def from_fields(cls, values: Sequence[bytes | None]) -> "JobProgress":
        """From the values of ``FIELDS``; ``None`` where there is no such field."""
        told, preview = values
        return cls(**json.loads(told), preview=preview or b"") if told is not None else cls()


@dataclass(frozen=True)
class Saved:
    """For workers: the steps done, and the picture that they led to, at its full size, as a file without loss."""

    step: int
    picture: bytes

    def to_fields(self) -> list[str | bytes]:
        """Names and values by turns, for a hash."""
        return ["saved_step", str(self.step), "saved_picture", self.picture]

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> "Saved | None":
        """From a whole hash, if there is such a state in it."""
        if b"saved_step" not in fields:
            return None
        return cls(int(fields[b"saved_step"]), fields[b"saved_picture"])
