"""Which models and styles a folder of checkpoints holds. Standard library only: the HTTP process runs without torch.

A checkpoint is one ``.safetensors`` file: 8 bytes of length (little-endian), that many bytes of JSON, the tensors'
data. Under ``__metadata__`` the JSON keeps strings only; ours is one, ``stylize``, with a JSON object of its own: the
``Header``. ``model_store.checkpoint`` writes and reads the same ``Header``; nobody else knows the format.

    checkpoints/adain.safetensors            the model ``adain``
    checkpoints/previews/great-wave.webp     a picture painted in its style ``great-wave``, if there is one
    checkpoints/paintings/                   the paintings that styles were made from, see ``paintings``
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from model_store.paintings import read_paintings

FORMAT_VERSION = 1
METADATA_KEY = "stylize"
SUFFIX = ".safetensors"
MAX_HEADER_BYTES = 8 * 2**20
"""A header takes some hundred bytes per tensor and per style; more is a broken length."""

MAX_PROBLEM_CHARS = 300

COMMON_CONTROLS = ("mask", "color")
"""Request fields that every network heeds: masks are shares of its styles wherever it normalises, and colours are
changed before and after it. So a header need not name them."""

UPLOAD_CONTROLS = ("style_size",)
"""Request fields that every network heeds that takes style images (its ``controls`` name ``style``)."""

STYLE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""Ids stand in URLs and file names."""

Stamp = tuple[int, int, int]
"""A file's inode, time of its last change in ns and size in bytes: who writes or replaces it changes one of them."""


class CheckpointError(Exception):
    """A file that is no usable checkpoint: names the file and what is wrong with it."""


class CatalogError(LookupError):
    """No such folder, model or style: lists what there is."""


@dataclass(frozen=True, kw_only=True)
class NamedStyle:
    """A style that a network knows by name: what the header says about a row of its statistics."""

    id: str
    title: str
    artist: str
    year: int | None
    rights: str


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a checkpoint says about itself.

    Attributes:
        network: Which class rebuilds it: a name of ``model_store.checkpoint.NETWORKS``.
        arguments: Of that class's constructor.
        styles: By row.
        licence: Of the weights.
        attribution: Whom the licences of what went into them ask to name.
        training: Recipe, data, steps, hours, losses, versions.
        measured: Distances on validation pairs.
        norm: Where the network takes scale and shift from; filled in on save.
        controls: Which request fields the network heeds beyond ``COMMON_CONTROLS`` and ``UPLOAD_CONTROLS``; filled in
            on save.
        parameters: How many weights; filled in on save.
        sha256: Of the tensors' data, hexadecimal; filled in on save.
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
        """Whether the network paints in the style of any image, and not of its own styles alone."""
        return "style" in self.controls

    def to_metadata(self) -> dict[str, str]:
        """As safetensors keeps it; the same header gives the same text."""
        document = {"format": FORMAT_VERSION, **asdict(self)}
        return {METADATA_KEY: json.dumps(document, ensure_ascii=False, allow_nan=False)}

    @staticmethod
    def from_metadata(metadata: object) -> "Header":
        """The reverse of ``to_metadata``; strict.

        Raises:
            ValueError: Not ours, another version, a field is missing, unknown or of a wrong type.
        """
        text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
        if not isinstance(text, str):
            raise ValueError("a safetensors file, but not a checkpoint of ours: its metadata has no 'stylize'")
        document = json.loads(text)
        if not isinstance(document, dict) or "format" not in document:
            raise ValueError("its header names no format")
        if (version := document.pop("format")) != FORMAT_VERSION:
            raise ValueError(f"its format is {version!r}, this program reads {FORMAT_VERSION}: export it again")
        _check_fields(Header, document)
        styles = tuple(_named_style(entry) for entry in document["styles"])
        for style_id, count in Counter(style.id for style in styles).items():
            if count > 1:
                raise ValueError(f"it has {count} styles {style_id!r}")
        if document["arguments"].get("styles", len(styles)) != len(styles):
            raise ValueError(f"it names {len(styles)} styles, but stores {document['arguments']['styles']}")
        return Header(**{**document, "styles": styles, "controls": tuple(document["controls"])})


@dataclass(frozen=True, kw_only=True)
class StyleEntry(NamedStyle):
    """A named style of the folder.

    Attributes:
        models: Ids of the usable models that know it: those for any style first, then by name. The first one's header
            says its title and so on.
        preview: A picture painted in it.
        painting: The picture that it was made from, a WebP file.
        origin: Where that was taken from, for readers.
    """

    models: tuple[str, ...]
    preview: Path | None = None
    painting: Path | None = None
    origin: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelEntry(Header):
    """A checkpoint of the folder. One that cannot be used has a ``problem`` and, but for its name, nothing else.

    Attributes:
        id: The file's name without its ending.
        path: The file.
        controls: All request fields that the network heeds.
        stamp: Of the file when its header was read; ``None`` if there was none.
        problem: Why it cannot be used; public, so it names the file without its folder.
    """

    id: str
    path: Path
    stamp: Stamp | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Catalog:
    """All checkpoints of a folder, by name; those with a problem are listed, and otherwise not there.

    Attributes:
        models: By name.
        styles: Those of all usable models, each once; by the first model that knows them, and by its rows.
    """

    models: tuple[ModelEntry, ...]
    styles: tuple[StyleEntry, ...] = ()

    @property
    def any_style(self) -> tuple[ModelEntry, ...]:
        """The usable models that paint in the style of any image."""
        return tuple(model for model in self.models if model.problem is None and model.any_style)

    def model(self, model_id: str) -> ModelEntry:
        """The usable model of this id.

        Raises:
            CatalogError: There is none; lists the known ones, or says what is wrong with it.
        """
        found = next((model for model in self.models if model.id == model_id), None)
        if found is None:
            known = (model.id for model in self.models if model.problem is None)
            raise CatalogError(f"unknown model {model_id!r}: {_listed(known)}")
        if found.problem is not None:
            raise CatalogError(f"the model {model_id!r} cannot be used: {found.problem}")
        return found

    def style(self, style_id: str) -> StyleEntry:
        """The style of this id.

        Raises:
            CatalogError: There is none; lists the known ones.
        """
        found = next((style for style in self.styles if style.id == style_id), None)
        if found is None:
            raise CatalogError(f"unknown style {style_id!r}: {_listed(style.id for style in self.styles)}")
        return found


def default_folder() -> Path:
    """The checkpoints that come with the package."""
    return Path(__file__).parent / "checkpoints"


def read_catalog(folder: Path) -> Catalog:
    """Look at every checkpoint of a folder; a broken one harms no other.

    Raises:
        CatalogError: There is no such folder.
    """
    if not folder.is_dir():
        raise CatalogError(f"{folder}: no such folder of checkpoints")
    models = tuple(_model_entry(path) for path in sorted(folder.glob(f"*{SUFFIX}")))
    return Catalog(models, style_entries(models, folder))


def read_header(path: Path) -> Header:
    """A checkpoint's header. Reads nothing else of the file, but checks that it is as long as its header says.

    Raises:
        CheckpointError: No such file, not a checkpoint, or one that is not there in full.
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
            table = json.loads(file.read(length))
        header = Header.from_metadata(table.pop("__metadata__", None) if isinstance(table, dict) else None)
        if size_bytes - 8 - length != _data_bytes(table):
            raise ValueError("damaged, or still being copied: it is not as long as its header says")
        return header
    except OSError as err:
        raise CheckpointError(f"{path}: {err.strerror or err}") from err
    except json.JSONDecodeError as err:
        raise CheckpointError(f"{path}: its header is not JSON ({err})") from err
    except (ValueError, RecursionError) as err:
        raise CheckpointError(f"{path}: {err}") from err


def tensor_data(file: bytes) -> memoryview:
    """What a checkpoint's hash covers: all that follows its header."""
    return memoryview(file)[8 + int.from_bytes(file[:8], "little") :]


def all_controls(own: tuple[str, ...]) -> tuple[str, ...]:
    """The request fields that a network heeds, from those that its header names."""
    return (*own, *COMMON_CONTROLS, *(UPLOAD_CONTROLS if "style" in own else ()))


def file_stamp(path: Path) -> Stamp | None:
    """What tells one state of a file from the next; ``None`` if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def problem_text(err: CheckpointError | OSError, path: Path) -> str:
    """Why a checkpoint cannot be used, for clients too: a line of bounded length that does not name our folders."""
    text = f"{path}: {err.strerror or type(err).__name__}" if isinstance(err, OSError) else str(err)
    text = " ".join(text.replace(str(path), path.name).split())
    return text if len(text) <= MAX_PROBLEM_CHARS else text[: MAX_PROBLEM_CHARS - 1] + "…"


def _model_entry(path: Path) -> ModelEntry:
    stamp = file_stamp(path)  # before the header: what is written from now on makes another stamp
    try:
        header = read_header(path)
    except CheckpointError as err:
        return ModelEntry(id=path.stem, path=path, stamp=stamp, network="", problem=problem_text(err, path))
    fields = {**vars(header), "controls": all_controls(header.controls)}
    return ModelEntry(**fields, id=path.stem, path=path, stamp=stamp)


def style_entries(models: Iterable[ModelEntry], folder: Path) -> tuple[StyleEntry, ...]:
    """The styles of all models, each once, with what the folder has of them."""
    knowing: dict[str, list[str]] = {}
    named: dict[str, NamedStyle] = {}
    for model in sorted(models, key=lambda model: (not model.any_style, model.id)):
        for style in model.styles:
            named.setdefault(style.id, style)
            knowing.setdefault(style.id, []).append(model.id)
    paintings = read_paintings(folder)

    def entry(style: NamedStyle) -> StyleEntry:
        known = StyleEntry(**vars(style), models=tuple(knowing[style.id]), preview=_preview(folder, style.id))
        found = paintings.get(style.id)
        return known if found is None else replace(known, painting=found.path, origin=found.origin)

    return tuple(map(entry, named.values()))


def _data_bytes(table: dict[str, Any]) -> int:
    """How long the data is that a safetensors header describes."""
    end = 0
    for name, tensor in table.items():
        offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(offset) is int for offset in offsets):
            raise ValueError(f"its header does not say where the tensor {name!r:.80} is")
        end = max(end, offsets[1])
    return end


def _preview(folder: Path, style_id: str) -> Path | None:
    path = folder / "previews" / f"{style_id}.webp"
    return path if path.is_file() else None


def _named_style(entry: object) -> NamedStyle:
    if not isinstance(entry, dict):
        raise ValueError(f"its list of styles has {entry!r}, which is no style")
    _check_fields(NamedStyle, entry)
    if not STYLE_ID.fullmatch(entry["id"]):
        raise ValueError(f"the style id {entry['id']!r} is not made of a-z, 0-9, - and _, or has more than 64 of them")
    return NamedStyle(**entry)


def _check_fields(kind: type, document: dict[str, Any]) -> None:
    """Exactly the fields of a dataclass, each of its type as JSON has it: a list for a tuple."""
    annotations = get_type_hints(kind)
    if missing := sorted(annotations.keys() - document.keys()):
        raise ValueError(f"its header lacks the field {missing[0]!r}")
    for name, value in document.items():
        if name not in annotations:
            raise ValueError(f"its header has an unknown field {name!r}")
        allowed = {dict: dict, tuple: list}.get(get_origin(annotations[name]), annotations[name])
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise ValueError(f"the field {name!r} of its header is {value!r}")


def _listed(names: Iterable[str]) -> str:
    shown = ", ".join(sorted(names))
    return f"known are {shown}" if shown else "there are none"
