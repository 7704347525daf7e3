"""The CSV files that commands read: pairs to measure on, styles to export, reference rows."""

import csv
from dataclasses import dataclass
from pathlib import Path

from model_store.catalog import STYLE_ID, NamedStyle
from train.data import DataError


@dataclass(frozen=True)
class Pair:
    """A photo and the painting to paint it like."""

    name: str
    content: Path
    style: Path


@dataclass(frozen=True)
class StyleFile:
    """A style to export, and the picture that it is computed from."""

    named: NamedStyle
    path: Path


@dataclass(frozen=True)
class Reference:
    """What another system reaches on the same pairs."""

    system: str
    content: float
    style: float
    note: str


def read_pairs(path: Path) -> list[Pair]:
    """Columns ``name, content, style``; paths are relative to the file.

    Raises:
        DataError: The file is missing, empty or lacks a column.
    """
    rows = _read(path, ("name", "content", "style"))
    return [Pair(row["name"], path.parent / row["content"], path.parent / row["style"]) for row in rows]


def read_styles(path: Path, root: Path) -> list[StyleFile]:
    """Columns ``id, file, title, artist, year, rights``; files are relative to ``root``, a year may be empty.

    Raises:
        DataError: The file is missing, empty or lacks a column, or an id or a year is none.
    """
    styles: dict[str, StyleFile] = {}
    for row in _read(path, ("id", "file", "title", "artist", "year", "rights")):
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


def read_references(path: Path) -> list[Reference]:
    """Columns ``system, content, style, note``.

    Raises:
        DataError: The file is missing, empty or lacks a column, or a distance is no number.
    """
    rows = _read(path, ("system", "content", "style", "note"))
    try:
        return [Reference(row["system"], float(row["content"]), float(row["style"]), row["note"]) for row in rows]
    except ValueError as err:
        raise DataError(f"{path}: {err}") from err


def _read(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise DataError(f"{path}: cannot be read ({err})") from err
    if not rows:
        raise DataError(f"{path}: no rows in it; its columns are {', '.join(columns)}")
    if missing := [column for column in columns if column not in rows[0]]:
        raise DataError(f"{path}: lacks the column {missing[0]!r}; its columns are {', '.join(columns)}")
    return rows
