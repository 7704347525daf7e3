"""``CONTRACT``: the version of what API and workers write for each other, which may be of different versions.

A reader ignores fields that it does not know, and gives those that are missing their default: so most changes need no
new number. It grows when what is written means something else than before; a reader can then tell by the ``contract``
of a job, a record or a heartbeat which of the two is meant.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

CONTRACT = 1

T = TypeVar("T")


def from_document(cls: type[T], document: Mapping[str, Any]) -> T:
    """Build a dataclass from what a process of any version wrote: its fields by name, and others, which are ignored.

    Raises:
        TypeError: A field without default is missing.
    """
    names = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in document.items() if name in names})
