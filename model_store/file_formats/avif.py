"""AVIF boxes (ISO/IEC 14496-12 and 23008-12): the code points of the image's colours, which Pillow does not report."""

from collections.abc import Iterator

from model_store.file_formats.colour_space import ColourSpace, from_code_points


def colours(avif: bytes) -> ColourSpace | None:
    """Read the primary image's colour space from its ``colr`` box of type ``nclx``; ``None``: sRGB or undeclared."""
    try:
        points = _code_points(avif)
    except IndexError:  # a damaged header
        return None
    return from_code_points(*points) if points is not None else None


def _code_points(avif: bytes) -> tuple[int, int] | None:
    for kind, start, end in _boxes(avif, 0, len(avif)):
        if kind == b"meta":
            parts = {kind: (start, end) for kind, start, end in _boxes(avif, start + 4, end)}
            if b"iprp" not in parts:
                return None
            tables = {kind: (start, end) for kind, start, end in _boxes(avif, *parts[b"iprp"])}
            declared = {
                index: (_number(avif, start + 4, 2), _number(avif, start + 6, 2))
                for index, (kind, start, _) in enumerate(_boxes(avif, *tables.get(b"ipco", (0, 0))), 1)
                if kind == b"colr" and avif[start : start + 4] == b"nclx"
            }
            used = _properties(avif, tables[b"ipma"][0], _primary(avif, parts)) if b"ipma" in tables else []
            # The tiles of a grid may declare what the grid itself does not.
            return next((declared[index] for index in [*used, *declared] if index in declared), None)
    return None


def _primary(avif: bytes, parts: dict[bytes, tuple[int, int]]) -> int | None:
    """Number of the primary item, the image to be shown."""
    if b"pitm" not in parts:
        return None
    start = parts[b"pitm"][0]
    return _number(avif, start + 4, 2 if avif[start] == 0 else 4)


def _properties(avif: bytes, start: int, item: int | None) -> list[int]:
    """Numbers, from 1, of an item's properties, from the box ``ipma``."""
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


def _boxes(avif: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each box, and where its contents start and end."""
    while start + 8 <= end:
        size, contents = _number(avif, start, 4), start + 8
        if size == 1:
            size, contents = _number(avif, start + 8, 8), start + 16
        stop = end if size == 0 else min(start + size, end)
        if stop < contents:
            return
        yield avif[start + 4 : start + 8], contents, stop
        start = stop


def _number(avif: bytes, at: int, length: int) -> int:
    return int.from_bytes(avif[at : at + length])
