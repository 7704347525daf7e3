"""Photos and their output files: single files, whole folders, and pipes."""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_store.folders import SUFFIXES, files_below, left_out
from service.errors import InvalidField
from service.formats import choose_format

PIPE = "-"
"""Stands for stdin or stdout."""

ENDING = re.compile(r"\.[A-Za-z]\w*")
"""Ending of a file's name, and not the number at the end of ``results_0.7``."""


@dataclass(frozen=True)
class FilePair:
    """A photo and its output file; ``None`` is stdin or stdout."""

    source: Path | None
    output: Path | None

    def __str__(self) -> str:
        return str(self.source) if self.source is not None else "stdin"

    @property
    def format(self) -> str | None:
        """Format by the output's name; ``None`` leaves it to the photo."""
        if self.output is None or not self.output.suffix:
            return None
        return self.output.suffix[1:].lower()

    def read(self) -> bytes:
        """Read the photo's file."""
        return self.source.read_bytes() if self.source is not None else sys.stdin.buffer.read()

    def write(self, image: bytes) -> None:
        """Write the output: all of it, or nothing."""
        if self.output is None:
            sys.stdout.buffer.write(image)
            sys.stdout.buffer.flush()
        elif self.output.exists() and not self.output.is_file():
            self.output.write_bytes(image)  # a device or a pipe
        else:
            write_whole(self.output, image)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under another name and rename it, so that a file of this name is always complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{os.getpid()}.part")  # short, since a name may be as long as names may be
    try:
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def plan(sources: Sequence[str], out: str | None, format: str | None) -> list[FilePair]:
    """Pair every photo with its output file.

    Args:
        sources: Files, folders, or ``-`` alone for stdin.
        out: ``-`` for stdout; a file, for one photo; else a folder. If ``None``, stdin goes to stdout.
        format: Format of the outputs, and ending of their names in a folder; JPEG there if ``None``. Photos whose
            names differ in their ending alone keep it in front of that.

    Raises:
        InvalidField: A photo is not there, or an output would overwrite another one or a photo.
    """
    if format is not None:
        choose_format(None, format, False)
    if out is None:
        if list(sources) != [PIPE]:
            raise InvalidField("name a file or a folder with --out", "out")
        out = PIPE
    if PIPE in sources or out == PIPE:
        return [_through_a_pipe(sources, out, format)]
    target = Path(out)
    photos = [(Path(source), name) for source in sources for name in _photos(Path(source), target)]
    if not photos:
        raise InvalidField(f"there are no photos in {', '.join(sources)}: their names end in {', '.join(SUFFIXES)}")
    if _is_file(out):
        if len(photos) != 1 or photos[0][0].is_dir():
            what = f"{len(photos)} photos" if len(photos) != 1 else "a folder"
            raise InvalidField(f"got {what} and the file {target}: name a folder for --out", "out")
        pairs = [FilePair(photos[0][0], target)]
    else:
        pairs = _into_folder(photos, target, f".{format or 'jpg'}")
    _check(pairs, format)
    return pairs


def files_left_out(sources: Sequence[str], out: str | None) -> list[Path]:
    """List the files in the folders among ``sources`` that look like photos, and that ``plan`` leaves out."""
    folders = [Path(source) for source in sources if Path(source).is_dir()]
    without = Path(out) if out is not None else None
    return [path for folder in folders for path in left_out(files_below(folder, without), SUFFIXES)]


def _into_folder(photos: Sequence[tuple[Path, Path]], target: Path, ending: str) -> list[FilePair]:
    """Pair photos, each with its source and its name below that, with files in a folder."""
    shared = Counter(name.with_suffix("") for name in {name for _, name in photos})
    return [
        FilePair(
            root / name if root.is_dir() else root,
            target / (f"{name}{ending}" if shared[name.with_suffix("")] > 1 else name.with_suffix(ending)),
        )
        for root, name in photos
    ]


def _through_a_pipe(sources: Sequence[str], out: str, format: str | None) -> FilePair:
    if len(sources) > 1:
        raise InvalidField(f"got {len(sources)} photos: with `-`, one photo makes one picture", "photos")
    source = None if sources[0] == PIPE else Path(sources[0])
    if source is not None and not source.is_file():
        raise InvalidField(f"there is no file {str(source)!r}", "photos")
    if out == PIPE:
        return FilePair(source, None)
    if not _is_file(out):
        raise InvalidField(f"got the folder {out}: name a file for the photo from stdin, or `-`", "out")
    pair = FilePair(source, Path(out))
    _check([pair], format)
    return pair


def _is_file(out: str) -> bool:
    """Tell whether ``--out`` is a single file: it has an ending, or exists and is no folder."""
    target = Path(out)
    return not out.endswith("/") and not target.is_dir() and (bool(ENDING.fullmatch(target.suffix)) or target.exists())


def _photos(source: Path, target: Path) -> Iterator[Path]:
    """Yield the photos below ``source``, in order; hidden ones and those below ``target`` are left out."""
    if source.is_file():
        yield Path(source.name)
        return
    if not source.is_dir():
        raise InvalidField(f"there is no file or folder {str(source)!r}", "photos")
    for path in files_below(source, target):
        if not path.name.startswith(".") and path.suffix.lower() in SUFFIXES:
            yield path.relative_to(source)


def _check(pairs: Sequence[FilePair], format: str | None) -> None:
    counts = Counter(pair.output for pair in pairs)
    if twice := next((output for output, count in counts.items() if count > 1), None):
        first, second = [str(pair) for pair in pairs if pair.output == twice][:2]
        raise InvalidField(f"{first} and {second} would both become {twice}: paint them into different folders", "out")
    originals = {pair.source.resolve() for pair in pairs if pair.source is not None}
    for pair in pairs:
        assert pair.output is not None
        if pair.output.resolve() in originals:
            raise InvalidField(
                f"the result would overwrite the photo {pair.output}: name another folder or file", "out"
            )
        if pair.format is None:
            continue
        named = choose_format(None, pair.format, False)
        if format is not None and named != choose_format(None, format, False):
            raise InvalidField(
                f"got {format} and a file whose name says {named}, {pair.output}: leave --format out, or rename the"
                " file",
                "format",
            )
