"""Files below a folder, as people keep them: linked folders count, and what looks like a photo and is none is named."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif")
"""Endings, in lower case, of files that are taken for images."""

OTHER_SUFFIXES = frozenset(
    [
        ".heic",
        ".heif",
        ".hif",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".jxl",
        ".jp2",
        ".psd",
        ".svg",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".orf",
        ".rw2",
    ]
)
"""Endings of files that people take for images, too, and that are not read everywhere."""


def files_below(folder: Path, without: Path | None = None) -> Iterator[Path]:
    """Yield the files below a folder in order, each once; hidden folders are left out, linked ones are not.

    Args:
        folder: The folder.
        without: A folder below it that does not count.
    """
    seen = {without.resolve()} if without is not None else set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        real = here.resolve()
        if real in seen and here != folder:  # a link to a folder above, or to one that was seen
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (here / name for name in sorted(names))


def is_companion(path: Path) -> bool:
    """Tell whether a file only describes another one: macOS writes ``._photo.jpg`` to disks that are not its own."""
    return path.name.startswith("._")


def left_out(files: Iterator[Path], suffixes: Collection[str]) -> list[Path]:
    """List those of the files that look like images and are not taken, whose endings are not among ``suffixes``."""
    return [
        path
        for path in files
        if (path.suffix.lower() in suffixes and is_companion(path))
        or (path.suffix.lower() in OTHER_SUFFIXES.difference(suffixes) and not path.name.startswith("."))
    ]
