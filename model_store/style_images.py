"""Style images of named styles: files of a folder of checkpoints, and one table that assigns them to styles.

    checkpoints/paintings/great-wave.webp
    checkpoints/paintings/paintings.csv       style,file,origin

Several styles may name one file. Standard library only, like ``catalog``: the API serves these files, and only workers
decode them. An error in the table is logged; the styles stay available without their images.
"""

import csv
import logging
from dataclasses import dataclass
from pathlib import Path

FOLDER = "paintings"
TABLE = "paintings.csv"
COLUMNS = ("style", "file", "origin")
SUFFIX = ".webp"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StyleImage:
    """The image that a style was made from: a WebP file, and its source, for readers."""

    path: Path
    origin: str


def read_style_images(folder: Path) -> dict[str, StyleImage]:
    """Read the style images of a folder of checkpoints, by the id of their style; none if there is no table."""
    table = folder / FOLDER / TABLE
    if not table.is_file():
        return {}
    try:
        rows = read_rows(table)
    except (OSError, ValueError, csv.Error) as err:
        log.error("no style images, their table cannot be read: %s: %s", TABLE, err)
        return {}
    found = {}
    for row in rows:
        path = table.with_name(row["file"]) if _is_file_name(row["file"]) else None
        if path is not None and path.is_file():
            found[row["style"]] = StyleImage(path, row["origin"])
        else:
            log.error("no image of %r: there is no %s file %r beside %s", row["style"], SUFFIX, row["file"], TABLE)
    return found


def read_rows(table: Path) -> list[dict[str, str]]:
    """Read the rows of the table.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not UTF-8, or lacks a column.
        csv.Error: It is not CSV.
    """
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
            raise ValueError(f"it lacks the column {missing[0]!r}; its columns are {', '.join(COLUMNS)}")
        return list(reader)


def _is_file_name(name: str) -> bool:
    """Return true for a name without a folder and with the right suffix."""
    return name.endswith(SUFFIX) and Path(name).name == name and "\0" not in name
