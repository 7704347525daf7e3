"""EXIF (CIPA DC-008): the entries that change pixels, which are the orientation and the declaration of Adobe RGB.

Pillow reads every tag with its value. Values may overlap, so that a megabyte of tags can stand for gigabytes.
"""

import struct
from dataclasses import dataclass

PREFIX = b"Exif\0\0"
MAX_ENTRIES = 1000
"""Largest number of entries of a directory that are read."""

ORIENTATION, EXIF_DIRECTORY, COLOUR_SPACE, INTEROPERABILITY_DIRECTORY, INTEROPERABILITY_INDEX = (
    *(0x0112, 0x8769, 0xA001, 0xA005),
    0x0001,
)
SHORT, LONG = 3, 4


@dataclass(frozen=True)
class Exif:
    """Entries of an EXIF block that change pixels.

    Attributes:
        orientation: 1 to 8; by default 1, upright.
        is_adobe_rgb: True if the colours are declared as Adobe RGB, by DCF's index R03 or by the number 2.
    """

    orientation: int = 1
    is_adobe_rgb: bool = False


def read_exif(block: bytes) -> Exif:
    """Read an EXIF block, or a TIFF file; the defaults if it is damaged."""
    while block.startswith(PREFIX):
        block = block[len(PREFIX) :]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return Exif()
    try:
        first = _directory(block, order, struct.unpack_from(order + "I", block, 4)[0])
    except struct.error:
        return Exif()
    orientation = _number(first, ORIENTATION, order)
    try:
        is_adobe_rgb = _is_adobe_rgb(block, order, first)
    except struct.error:
        is_adobe_rgb = False
    return Exif(orientation if orientation is not None and 1 <= orientation <= 8 else 1, is_adobe_rgb)


Directory = dict[int, tuple[int, int, bytes]]
"""Type, number of values, and their bytes or their place, by tag."""


def _directory(block: bytes, order: str, at: int) -> Directory:
    count = struct.unpack_from(order + "H", block, at)[0]
    found: Directory = {}
    for nth in range(min(count, MAX_ENTRIES)):
        try:
            tag, kind, number, value = struct.unpack_from(order + "HHI4s", block, at + 2 + 12 * nth)
        except struct.error:  # cut off; the entries so far count
            break
        found[tag] = kind, number, value
    return found


def _number(directory: Directory, tag: int, order: str) -> int | None:
    kind, number, value = directory.get(tag, (0, 0, b""))
    if number != 1 or kind not in (SHORT, LONG):
        return None
    return int(struct.unpack_from(order + ("H" if kind == SHORT else "I"), value)[0])


def _is_adobe_rgb(block: bytes, order: str, first: Directory) -> bool:
    place = _number(first, EXIF_DIRECTORY, order)
    if place is None:
        return False
    directory = _directory(block, order, place)
    space = _number(directory, COLOUR_SPACE, order)
    place = _number(directory, INTEROPERABILITY_DIRECTORY, order)
    if space != 0xFFFF or place is None:
        return space == 2
    return _directory(block, order, place).get(INTEROPERABILITY_INDEX, (0, 0, b""))[2][:3] == b"R03"
