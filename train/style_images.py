"""Style images that are shipped with the styles made from them, as far as they are in the public domain.

``model_store.style_images`` describes the folder and its table.
"""

import csv
import os
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from model_store.style_images import COLUMNS, SUFFIX, TABLE, read_rows
from train.data import DataError
from train.images import fit_longer_side, read_image
from train.tables import StyleFile, read_table

LONGER_PX = 512
QUALITY = 85

DIED_BEFORE = 1926
"""The works of artists who died earlier are in the public domain: a hundred years after, or more, no term runs."""

DIED = re.compile(r"\bdied (?:about )?(\d{3,4})\b")


def read_origins(path: Path, root: Path) -> dict[Path, str]:
    """Read a table of ``file, origin``: the source of each image, for readers; files are relative to ``root``.

    Raises:
        DataError: The table is missing, empty or lacks a column.
    """
    return {root / row["file"]: row["origin"] for row in read_table(path, ("file", "origin"))}


def export_style_images(files: Sequence[StyleFile], origins: Mapping[Path, str], folder: Path) -> list[str]:
    """Write the images of these styles, and their rows of the table; other rows stay.

    An image is left out if its origin is not known, or its rights name no artist who died before ``DIED_BEFORE``.
    Styles of one origin share a file.

    Args:
        files: The styles and their images.
        origins: By the image's path, see ``read_origins``.
        folder: ``paintings`` of a folder of checkpoints; created if necessary.

    Returns:
        Ids of the styles whose image was written.

    Raises:
        DataError: An image, or the existing table, cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    exported = {file.named.id for file in files}
    rows = [row for row in _rows_of(folder / TABLE) if row["style"] not in exported]
    names = {row["origin"]: row["file"] for row in rows}
    written = []
    for file in files:
        origin = origins.get(file.path)
        if origin is None or not is_free(file.named.rights):
            continue
        name = names.setdefault(origin, f"{file.named.id}{SUFFIX}")
        image = read_image(file.path)
        if max(image.size) > LONGER_PX:
            image = fit_longer_side(image, LONGER_PX)
        image.save(folder / name, "WEBP", quality=QUALITY, method=6)
        rows.append({"style": file.named.id, "file": name, "origin": origin})
        written.append(file.named.id)
    _write_table(folder / TABLE, rows)
    return written


def is_free(rights: str) -> bool:
    """Return whether a style's rights say that its artist died before ``DIED_BEFORE``."""
    died = DIED.search(rights)
    return died is not None and int(died[1]) < DIED_BEFORE


def _rows_of(table: Path) -> list[dict[str, str]]:
    try:
        return read_rows(table) if table.exists() else []
    except (OSError, ValueError, csv.Error) as err:
        raise DataError(f"{table}: {err}") from err


def _write_table(table: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Replace the table atomically: a service may read it meanwhile."""
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({column: row[column] for column in COLUMNS} for row in rows)
    unfinished = table.with_suffix(".unfinished")
    unfinished.write_text(text.getvalue(), encoding="utf-8")
    os.replace(unfinished, table)
