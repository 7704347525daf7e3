"""AVIF boxes (ISO/IEC 14496-12 and 23008-12): their number, and the code points of the colours, which Pillow hides.

The decoder's library compares every item of the header with every other one, and reads what EXIF it finds.
"""

from collections.abc import Iterator

from PIL import Image

from model_store.file_formats.colour_space import ColourSpace, from_code_points
from model_store.file_formats.structure import MAX_PARTS, Facts, Structure, UnusualStructure, facts_of

MAX_TABLE_BYTES = {b"iloc": 2**16, b"ipma": 2**16, b"iref": 2**13, b"iinf": 2**16, b"grpl": 2**13, b"moov": 2**16}
"""Largest number of boxes whose entries are compared with all others; an image of a thousand tiles has fewer."""

MAX_PROPERTIES_BYTES = 2**16
"""Length of all properties apart from colour profiles."""

MAX_FRAMES = 20_000

Boxes = dict[bytes, tuple[int, int]]
"""Start and end of the contents of each kind of box."""


class AvifFile(Structure):
    """An AVIF file, of one image or of several."""

    pillow = "AVIF"

    def __init__(self, data: bytes) -> None:
        """Walk over the header's boxes.

        Raises:
            UnusualStructure: There are too many, or their tables are too long.
            ValueError: The file ends before it says that it does.
        """
        super().__init__(data)
        self._parts: Boxes = {}
        self._metadata: list[int] = []
        for kind, start, end in _counted(_boxes(data, 0, len(data), is_strict=True)):
            if kind == b"meta" and not self._parts:
                self._parts = self._read_header(start + 4, end)
            elif kind in (b"meta", b"moov"):
                _check_table(b"moov", data, start, end)

    def facts(self) -> Facts:
        """Read the header.

        Raises:
            OSError: It is damaged, as others that Pillow raises.
        """
        image = self.open()
        self.exif = image.info.get("exif", b"")  # made from those properties
        return facts_of(image)

    def open(self) -> Image.Image:
        """Open the file. EXIF and XMP are hidden: the properties ``irot`` and ``imir`` turn an AVIF."""
        if not self._metadata:
            return self._open(self._data)
        view, at = memoryview(self._data), 0
        parts: list[bytes | memoryview] = []
        for place in self._metadata:
            parts += [view[at:place], b"free"]
            at = place + 4
        return self._open(b"".join([*parts, view[at:]]))

    def colours(self, image: Image.Image) -> bytes | ColourSpace | None:
        """Return the profile; without one, the code points of the primary image's ``colr`` box of type ``nclx``."""
        if profile := super().colours(image):
            return profile
        try:
            points = self._code_points()
        except IndexError:  # a damaged header
            return None
        return from_code_points(*points) if points is not None else None

    def _read_header(self, start: int, end: int) -> Boxes:
        """Check the tables, and note which items are metadata."""
        parts: Boxes = {}
        for kind, start_of_part, end_of_part in _counted(_boxes(self._data, start, end)):
            parts.setdefault(kind, (start_of_part, end_of_part))
            _check_table(kind, self._data, start_of_part, end_of_part)
            if kind == b"iinf":
                self._note_items(start_of_part, end_of_part)
            elif kind == b"iprp":
                self._check_properties(start_of_part, end_of_part)
        return parts

    def _note_items(self, start: int, end: int) -> None:
        """Store the place of an item whose type is EXIF or XMP."""
        at = start + (6 if self._data[start : start + 1] == b"\0" else 8)
        for kind, start_of_item, end_of_item in _counted(_boxes(self._data, at, end)):
            place = start_of_item + (8 if self._data[start_of_item : start_of_item + 1] == b"\2" else 10)
            if kind == b"infe" and place + 4 <= end_of_item and self._data[place : place + 4] in (b"Exif", b"mime"):
                self._metadata.append(place)

    def _check_properties(self, start: int, end: int) -> None:
        for kind, start_of_table, end_of_table in _counted(_boxes(self._data, start, end)):
            _check_table(kind, self._data, start_of_table, end_of_table)
            if kind == b"ipco":
                properties = _counted(_boxes(self._data, start_of_table, end_of_table))
                length = sum(end - start for kind, start, end in properties if kind != b"colr")
                if length > MAX_PROPERTIES_BYTES:
                    raise UnusualStructure(f"an AVIF with more than {MAX_PROPERTIES_BYTES} bytes of properties")

    def _code_points(self) -> tuple[int, int] | None:
        if b"iprp" not in self._parts:
            return None
        tables = {kind: (start, end) for kind, start, end in _boxes(self._data, *self._parts[b"iprp"])}
        declared = {
            index: (_number(self._data, start + 4, 2), _number(self._data, start + 6, 2))
            for index, (kind, start, _) in enumerate(_boxes(self._data, *tables.get(b"ipco", (0, 0))), 1)
            if kind == b"colr" and self._data[start : start + 4] == b"nclx"
        }
        used = _properties(self._data, tables[b"ipma"][0], self._primary()) if b"ipma" in tables else []
        # The tiles of a grid may declare what the grid itself does not.
        return next((declared[index] for index in [*used, *declared] if index in declared), None)

    def _primary(self) -> int | None:
        """Return the number of the primary item, the image to be shown."""
        if b"pitm" not in self._parts:
            return None
        start = self._parts[b"pitm"][0]
        return _number(self._data, start + 4, 2 if self._data[start] == 0 else 4)


def _check_table(kind: bytes, avif: bytes, start: int, end: int) -> None:
    """Refuse a table of too many bytes, entries or frames."""
    limit = MAX_TABLE_BYTES.get(kind)
    if limit is None:
        return
    if end - start > limit:
        raise UnusualStructure(f"an AVIF whose box {kind.decode()} has more than {limit} bytes")
    if kind == b"moov":
        place = avif.find(b"stsz", start, end)
        if place >= 0 and _number(avif, place + 12, 4) > MAX_FRAMES:
            raise UnusualStructure(f"an AVIF of more than {MAX_FRAMES} frames")
    elif kind in (b"iloc", b"ipma"):
        version = avif[start] if start < end else 0
        at, wide = (start + 6, version >= 2) if kind == b"iloc" else (start + 4, True)
        if _number(avif, at, 4 if wide else 2) > MAX_PARTS:
            raise UnusualStructure(f"an AVIF of more than {MAX_PARTS} items")


def _counted(boxes: Iterator[tuple[bytes, int, int]]) -> Iterator[tuple[bytes, int, int]]:
    for number, box in enumerate(boxes):
        if number == MAX_PARTS:
            raise UnusualStructure(f"an AVIF with more than {MAX_PARTS} boxes in one")
        yield box


def _properties(avif: bytes, start: int, item: int | None) -> list[int]:
    """Return the numbers, from 1, of an item's properties, by the box ``ipma``."""
    version, is_wide = avif[start], avif[start + 3] & 1
    at = start + 8
    for _ in range(_number(avif, start + 4, 4)):
        id_bytes = 2 if version < 1 else 4
        found, count = _number(avif, at, id_bytes), avif[at + id_bytes]
        at += id_bytes + 1
        step = 1 + is_wide
        if found == item:  # the highest bit of each number marks properties that a reader must support
            return [_number(avif, at + step * nth, step) & (0x7FFF if is_wide else 0x7F) for nth in range(count)]
        at += step * count
    return []


def _boxes(avif: bytes, start: int, end: int, is_strict: bool = False) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each box, and where its contents start and end.

    Raises:
        ValueError: One ends behind ``end``, and ``is_strict``.
    """
    while start + 8 <= end:
        size, contents = _number(avif, start, 4), start + 8
        if size == 1:
            size, contents = _number(avif, start + 8, 8), start + 16
        stop = end if size == 0 else start + size
        if stop > end and is_strict:
            raise ValueError("a box ends behind the file")
        if stop < contents:
            return
        yield avif[start + 4 : start + 8], contents, min(stop, end)
        start = stop


def _number(avif: bytes, at: int, length: int) -> int:
    return int.from_bytes(avif[at : at + length])
