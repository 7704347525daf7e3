"""A checkpoint's metadata: ``CheckpointMetadata``, read from the head of its file without torch.

A checkpoint is one ``.safetensors`` file: 8 bytes of length (little-endian), that many bytes of JSON, the tensors'
data. Under ``__metadata__`` the JSON keeps strings only; ours is one, ``stylize``, with a JSON object of its own: the
fields of ``CheckpointMetadata``. ``model_store.checkpoint`` writes it. Standard library only.
"""

import json
import os
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_origin, get_type_hints

FORMAT_VERSION = 1
METADATA_KEY = "stylize"
SUFFIX = ".safetensors"
MAX_HEADER_BYTES = 8 * 2**20
"""A file's JSON takes some hundred bytes per tensor and per style; more is a broken length."""

STYLE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""Ids stand in URLs and file names."""


class CheckpointError(Exception):
    """A file that is no usable checkpoint: names the file and what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class NamedStyle:
    """A style that is stored with a network: the metadata of one row of its statistics."""

    id: str
    title: str
    artist: str
    year: int | None
    rights: str


@dataclass(frozen=True, kw_only=True)
class CheckpointMetadata:
    """Everything that a checkpoint stores besides its tensors: it rebuilds the network and describes it.

    Attributes:
        network: Name of the network's class in ``model_store.checkpoint.NETWORKS``.
        arguments: Arguments of that class's constructor.
        styles: Named styles, by row.
        licence: Licence of the weights.
        attribution: Names that the licences of the training's inputs require to be given.
        training: Recipe, data, steps, hours, losses, versions.
        measured: Content and style loss on validation pairs, and how they were measured.
        norm: Kind of normalisation, ``StyleNetwork.norm``; filled in on save.
        controls: Request fields that the network supports beyond ``COMMON_CONTROLS`` and ``UPLOAD_CONTROLS``; filled
            in on save.
        parameters: Number of weights; filled in on save.
        sha256: Hash of the tensors' data, hexadecimal; filled in on save.
    """

    network: str
    arguments: dict[str, Any] = field(default_factory=dict)
    styles: tuple[NamedStyle, ...] = ()
    licence: str = ""
    attribution: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    norm: str = ""
    controls: tuple[str, ...] = ()
    parameters: int = 0
    sha256: str = ""

    @property
    def any_style(self) -> bool:
        """True if the network accepts any style image, not only its named styles."""
        return "style" in self.controls

    def to_metadata(self) -> dict[str, str]:
        """Return the dictionary that safetensors stores; equal metadata give equal text."""
        document = {"format": FORMAT_VERSION, **asdict(self)}
        return {METADATA_KEY: json.dumps(document, ensure_ascii=False, allow_nan=False)}

    @staticmethod
    def from_metadata(metadata: object) -> "CheckpointMetadata":
        """Parse the dictionary that ``to_metadata`` returned; strict.

        Raises:
            ValueError: Another program's metadata, another version, or a field that is missing, unknown or of a wrong
                type.
        """
        text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
        if not isinstance(text, str):
            raise ValueError("a safetensors file, but not a checkpoint of ours: its metadata has no 'stylize'")
        document = json.loads(text)
        if not isinstance(document, dict) or "format" not in document:
            raise ValueError("its header names no format")
        if (version := document.pop("format")) != FORMAT_VERSION:
            raise ValueError(f"its format is {version!r}, this program reads {FORMAT_VERSION}: export it again")
        _check_fields(CheckpointMetadata, document)
        styles = tuple(_named_style(entry) for entry in document["styles"])
        for style_id, count in Counter(style.id for style in styles).items():
            if count > 1:
                raise ValueError(f"it has {count} styles {style_id!r}")
        if document["arguments"].get("styles", len(styles)) != len(styles):
            raise ValueError(f"it names {len(styles)} styles, but stores {document['arguments']['styles']}")
        return CheckpointMetadata(**{**document, "styles": styles, "controls": tuple(document["controls"])})


def read_metadata(path: Path) -> CheckpointMetadata:
    """Read a checkpoint's metadata, and check that the file has the length that its header says.

    Raises:
        CheckpointError: No such file, not a checkpoint, or an incomplete one.
    """
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > size_bytes - 8:
                raise ValueError(f"not a safetensors file, or cut short at {size_bytes} bytes")
            if length > MAX_HEADER_BYTES:
                raise ValueError(f"its header claims {length} bytes, at most {MAX_HEADER_BYTES} are allowed")
            header = json.loads(file.read(length))
        stored = header.pop("__metadata__", None) if isinstance(header, dict) else None
        metadata = CheckpointMetadata.from_metadata(stored)
        if size_bytes - 8 - length != _data_bytes(header):
            raise ValueError("damaged, or still being copied: it is not as long as its header says")
        return metadata
    except OSError as err:
        raise CheckpointError(f"{path}: {err.strerror or err}") from err
    except json.JSONDecodeError as err:
        raise CheckpointError(f"{path}: its header is not JSON ({err})") from err
    except (ValueError, RecursionError) as err:
        raise CheckpointError(f"{path}: {err}") from err


def tensor_data(file: bytes) -> memoryview:
    """Return the part of a checkpoint that its hash covers: everything behind the header."""
    return memoryview(file)[8 + int.from_bytes(file[:8], "little") :]


def _data_bytes(header: dict[str, Any]) -> int:
    """Length of the data that a safetensors header describes."""
    end = 0
    for name, tensor in header.items():
        offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(offset) is int for offset in offsets):
            raise ValueError(f"its header does not say where the tensor {name!r:.80} is")
        end = max(end, offsets[1])
    return end


def _named_style(entry: object) -> NamedStyle:
    if not isinstance(entry, dict):
        raise ValueError(f"its list of styles has {entry!r}, which is no style")
    _check_fields(NamedStyle, entry)
    if not STYLE_ID.fullmatch(entry["id"]):
        raise ValueError(f"the style id {entry['id']!r} is not made of a-z, 0-9, - and _, or has more than 64 of them")
    return NamedStyle(**entry)


def _check_fields(kind: type, document: dict[str, Any]) -> None:
    """Check that a document has exactly a dataclass's fields, each of its JSON type: a list for a tuple."""
    annotations = get_type_hints(kind)
    if missing := sorted(annotations.keys() - document.keys()):
        raise ValueError(f"its header lacks the field {missing[0]!r}")
    for name, value in document.items():
        if name not in annotations:
            raise ValueError(f"its header has an unknown field {name!r}")
        allowed = {dict: dict, tuple: list}.get(get_origin(annotations[name]), annotations[name])
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise ValueError(f"the field {name!r} of its header is {value!r}")
