"""``Catalog``: the models and styles of a folder of checkpoints. Standard library only: the API runs without torch.

checkpoints/adain.safetensors            the model ``adain``
checkpoints/previews/great-wave.webp     an output in its style ``great-wave``, if there is one
checkpoints/paintings/                   the style images that styles were made from, see ``style_images``
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from model_store.checkpoint_metadata import SUFFIX, CheckpointError, CheckpointMetadata, NamedStyle, read_metadata
from model_store.style_images import read_style_images

MAX_PROBLEM_CHARS = 300

FOREIGN_SUFFIXES = (".pth", ".pt", ".pkl", ".ckpt", ".bin", ".t7", ".onnx", ".model")
"""Endings of files of weights that are named and not opened: most of them can run code."""

FOREIGN = f"%s: only {SUFFIX} files are served: train a network here, and export it by `python -m train export`"

COMMON_CONTROLS = ("mask", "color")
"""Request fields that every network supports, so that metadata need not name them: masks weight its styles wherever it
normalises, and colours are changed before and after it."""

UPLOAD_CONTROLS = ("style_size",)
"""Request fields that every network supports that accepts style images (its ``controls`` name ``style``)."""

Fingerprint = tuple[int, int, int]
"""A file's inode, time of last change in ns and size in bytes: writing or replacing it changes one of them."""


class CatalogError(LookupError):
    """No such folder, model or style: lists what there is."""


@dataclass(frozen=True, kw_only=True)
class StyleEntry(NamedStyle):
    """A named style of the folder.

    Attributes:
        models: Ids of the usable models that have it: those for any style first, then by name. Title, artist and so on
            are the first one's.
        preview: An output in this style.
        style_image: The style image that it was made from, a WebP file.
        origin: Source of the style image, for readers.
    """

    models: tuple[str, ...]
    preview: Path | None = None
    style_image: Path | None = None
    origin: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelEntry(CheckpointMetadata):
    """A checkpoint of the folder. One that cannot be used has a ``problem`` and, but for its name, nothing else.

    Attributes:
        id: The file's name without its ending.
        path: The file.
        controls: All request fields that the network supports.
        fingerprint: The file's, when its metadata was read; ``None`` if there was no file.
        problem: Reason why it cannot be used; public, so it names the file without its folder.
    """

    id: str
    path: Path
    fingerprint: Fingerprint | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Catalog:
    """All checkpoints of a folder.

    Attributes:
        models: By name, including those with a problem.
        styles: The styles of all usable models, each once; by the first model that has them, and by its rows.
    """

    models: tuple[ModelEntry, ...]
    styles: tuple[StyleEntry, ...] = ()

    @property
    def any_style(self) -> tuple[ModelEntry, ...]:
        """The usable models that accept any style image."""
        return tuple(model for model in self.models if model.problem is None and model.any_style)

    def model(self, model_id: str) -> ModelEntry:
        """Return the usable model of this id.

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
        """Return the style of this id.

        Raises:
            CatalogError: There is none; lists the known ones.
        """
        found = next((style for style in self.styles if style.id == style_id), None)
        if found is None:
            raise CatalogError(f"unknown style {style_id!r}: {_listed(style.id for style in self.styles)}")
        return found


def default_folder() -> Path:
    """The folder of the checkpoints that come with the package."""
    return Path(__file__).parent / "checkpoints"


def read_catalog(folder: Path) -> Catalog:
    """Read every checkpoint's metadata; a broken file affects no other.

    Raises:
        CatalogError: There is no such folder.
    """
    if not folder.is_dir():
        raise CatalogError(f"{folder}: no such folder of checkpoints")
    models = tuple(_model_entry(path) for path in checkpoint_files(folder))
    return Catalog(models, style_entries(models, folder))


def checkpoint_files(folder: Path) -> list[Path]:
    """List the checkpoints of a folder, and what others call checkpoints, in order."""
    return sorted(path for path in folder.glob("*.*") if path.suffix.lower() in (SUFFIX, *FOREIGN_SUFFIXES))


def all_controls(own: tuple[str, ...]) -> tuple[str, ...]:
    """All request fields that a network supports, from those that its metadata names."""
    return (*own, *COMMON_CONTROLS, *(UPLOAD_CONTROLS if "style" in own else ()))


def file_fingerprint(path: Path) -> Fingerprint | None:
    """Return the file's fingerprint; ``None`` if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def problem_text(err: CheckpointError | OSError, path: Path) -> str:
    """Describe an unusable checkpoint for clients: one line of bounded length, without our folders' names."""
    text = f"{path}: {err.strerror or type(err).__name__}" if isinstance(err, OSError) else str(err)
    text = " ".join(text.replace(str(path), path.name).split())
    return text if len(text) <= MAX_PROBLEM_CHARS else text[: MAX_PROBLEM_CHARS - 1] + "…"


def style_entries(models: Iterable[ModelEntry], folder: Path) -> tuple[StyleEntry, ...]:
    """The styles of all models, each once, with the preview and style image that the folder has for it."""
    models_of: dict[str, list[str]] = {}
    named: dict[str, NamedStyle] = {}
    for model in sorted(models, key=lambda model: (not model.any_style, model.id)):
        for style in model.styles:
            named.setdefault(style.id, style)
            models_of.setdefault(style.id, []).append(model.id)
    images = read_style_images(folder)

    def entry(style: NamedStyle) -> StyleEntry:
        known = StyleEntry(**vars(style), models=tuple(models_of[style.id]), preview=_preview(folder, style.id))
        found = images.get(style.id)
        return known if found is None else replace(known, style_image=found.path, origin=found.origin)

    return tuple(map(entry, named.values()))


def _model_entry(path: Path) -> ModelEntry:
    if path.suffix != SUFFIX:
        fingerprint = file_fingerprint(path)
        return ModelEntry(id=path.name, path=path, fingerprint=fingerprint, network="", problem=FOREIGN % path.name)
    fingerprint = file_fingerprint(path)  # before the metadata: a write from now on changes the fingerprint
    try:
        metadata = read_metadata(path)
    except CheckpointError as err:
        problem = problem_text(err, path)
        return ModelEntry(id=path.stem, path=path, fingerprint=fingerprint, network="", problem=problem)
    fields = {**vars(metadata), "controls": all_controls(metadata.controls)}
    return ModelEntry(**fields, id=path.stem, path=path, fingerprint=fingerprint)


def _preview(folder: Path, style_id: str) -> Path | None:
    path = folder / "previews" / f"{style_id}.webp"
    return path if path.is_file() else None


def _listed(names: Iterable[str]) -> str:
    shown = ", ".join(sorted(names))
    return f"known are {shown}" if shown else "there are none"
