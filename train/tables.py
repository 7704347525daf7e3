"""The CSV files that commands read: pairs to measure on, styles to export, reference rows."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_store.checkpoint_metadata import STYLE_ID, NamedStyle
from train.data import DataError


@dataclass(frozen=True)
class Pair:
    """A content image and a style image; ``row`` is that style's in a network that has learned it."""

    name: str
    content: Path
    style: Path
    row: int | None = None


@dataclass(frozen=True)
class StyleFile:
    """A style to export, and its style image."""

    named: NamedStyle
    path: Path


@dataclass(frozen=True)
class Reference:
    """Distances of another system on the same pairs."""

    system: str
    content: float
    style: float
    note: str


def read_pairs(path: Path) -> list[Pair]:
    """Read a table of ``name, content, style``; paths are relative to the file.

    Raises:
        DataError: The file is missing, empty or lacks a column.
    """
    rows = read_table(path, ("name", "content", "style"))
    return [Pair(row["name"], path.parent / row["content"], path.parent / row["style"]) for row in rows]


def learned_pairs(
    contents: Sequence[Path], known: Sequence[NamedStyle], files: Iterable[StyleFile], only: Sequence[str] = ()
) -> list[Pair]:
    """Pair content images and learned styles, so that each of either occurs at least once.

    Args:
        contents: The content images.
        known: A network's styles, by row.
        files: The images of these styles.
        only: Ids of the styles to take; all when empty.

    Raises:
        DataError: The network has no such style, or the image of one is not among the files.
    """
    rows = {style.id: row for row, style in enumerate(known)}
    if unknown := next((style_id for style_id in only if style_id not in rows), None):
        raise DataError(f"--only {unknown}: the network has {', '.join(rows)}")
    paths = {file.named.id: file.path for file in files}
    taken = only or list(rows)
    if missing := next((style_id for style_id in taken if style_id not in paths), None):
        raise DataError(f"--styles has no image of the learned style {missing!r}, to compare with")
    pairs = []
    for index in range(max(len(contents), len(taken))):
        content, style_id = contents[index % len(contents)], taken[index % len(taken)]
        pairs.append(Pair(f"{content.stem} {style_id}", content, paths[style_id], rows[style_id]))
    return pairs


def read_styles(path: Path, root: Path) -> list[StyleFile]:
    """Read a table of ``id, file, title, artist, year, rights``; files are relative to ``root``, a year may be empty.

    Raises:
        DataError: The file is missing, empty or lacks a column, or an id or a year is invalid.
    """
    styles: dict[str, StyleFile] = {}
    for row in read_table(path, ("id", "file", "title", "artist", "year", "rights")):
        style_id, year = row["id"], row["year"].strip()
        if not STYLE_ID.fullmatch(style_id) or style_id in styles:
            raise DataError(f"{path}: the id {style_id!r} is taken, or not made of a-z, 0-9, - and _ (at most 64)")
        if year and not year.isdecimal():
            raise DataError(f"{path}: the year of {style_id!r} is {year!r}: give a number or nothing")
        named = NamedStyle(
            id=style_id,
            title=row["title"],
            artist=row["artist"],
            year=int(year) if year else None,
            rights=row["rights"],
        )
        styles[style_id] = StyleFile(named, root / row["file"])
    return list(styles.values())


def unnamed_style(path: Path) -> StyleFile:
    """Name a style after its file, without artist, year and rights.

    Raises:
        DataError: The name has no letter or digit to make an id of.
    """
    style_id = re.sub("[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:64]
    if not style_id:
        raise DataError(f"{path}: no letter a-z or digit in its name, from which the style's id is made")
    return StyleFile(NamedStyle(id=style_id, title=path.stem, artist="", year=None, rights=""), path)


def read_references(path: Path) -> list[Reference]:
    """Read a table of ``system, content, style, note``.

    Raises:
        DataError: The file is missing, empty or lacks a column, or a distance is not a number.
    """
    rows = read_table(path, ("system", "content", "style", "note"))
    try:
        return [Reference(row["system"], float(row["content"]), float(row["style"]), row["note"]) for row in rows]
    except ValueError as err:
        raise DataError(f"{path}: {err}") from err


def read_table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read the rows of a CSV file, by column.

    Raises:
        DataError: The file is missing, empty or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise DataError(f"{path}: cannot be read ({err})") from err
    if not rows:
        raise DataError(f"{path}: no rows in it; its columns are {', '.join(columns)}")
    if missing := [column for column in columns if column not in rows[0]]:
        raise DataError(f"{path}: lacks the column {missing[0]!r}; its columns are {', '.join(columns)}")
    return rows
