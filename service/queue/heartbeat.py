"""A worker's sign of life."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class WorkerBeat:
    """The last one of a worker, and what it said of itself."""

    name: str
    age_ms: float
    says: Mapping[str, Any]

    @classmethod
    def read(cls, name: bytes, value: bytes, now_ms: float) -> "WorkerBeat":
        """From ``<time in ms> <JSON>``, as ``queue_scripts.BEAT`` writes it."""
        at_ms, _, says = value.partition(b" ")
        return cls(name.decode(), now_ms - float(at_ms), json.loads(says))

    def is_ready(self, patience_ms: float) -> bool:
        """Whether it takes jobs, judged by a beat not older than ``patience_ms``."""
        return self.age_ms < patience_ms and self.says["state"] == "ready"
