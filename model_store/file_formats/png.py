"""PNG chunks (W3C PNG, third edition): removes chunks that the pixels do not need, and reads the declared colours.

Pillow refuses a whole file for a text or a colour profile above 1 MB, and for an odd chunk without effect.
"""

import struct
import zlib
from collections.abc import Iterator

from model_store.file_formats.colour_space import ColourSpace, from_chromaticities, from_code_points

SIGNATURE_BYTES = 8
PICTURE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"IDAT", b"IEND"})
"""Chunks of the pixels, the orientation and the animation."""

MAX_PROFILE_BYTES = 16 * 2**20
MAX_CHUNKS_BEFORE_PIXELS = 10_000


class ChunkError(ValueError):
    """More chunks before the pixels than any program writes."""


def header(png: bytes) -> bytes:
    """Return the beginning of a file, up to its pixels, without metadata: enough to read their size and type.

    Raises:
        ChunkError: Too many chunks stand before the pixels.
    """
    kept = [png[:SIGNATURE_BYTES]]
    for count, (kind, start, end) in enumerate(_chunks(png)):
        if kind == b"IDAT":
            kept.append(png[start : start + 8])
            break
        if count > MAX_CHUNKS_BEFORE_PIXELS:
            raise ChunkError(f"more than {MAX_CHUNKS_BEFORE_PIXELS} chunks before the pixels")
        if kind in PICTURE:
            kept.append(png[start:end])
    return b"".join(kept)


def without_metadata(png: bytes) -> bytes:
    """Remove texts and all other chunks that the pixels do not need."""
    view, kept = memoryview(png), [png[:SIGNATURE_BYTES]]
    return b"".join([*kept, *(view[start:end] for kind, start, end in _chunks(png) if kind in PICTURE)])


def bit_depth(png: bytes) -> int:
    """Number of bits per channel, or per index into the palette."""
    return png[24]  # of the IHDR chunk, which is the first


def colours(png: bytes) -> bytes | ColourSpace | None:
    """Read the declared colours, from the declaration of highest precedence (section 4.3); ``None``: sRGB.

    Returns:
        An ICC profile, which may be broken, or a colour space.
    """
    found: dict[bytes, bytes] = {}
    for kind, start, end in _chunks(png):
        if kind == b"IDAT":
            break
        if kind in (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"):
            found.setdefault(kind, png[start + 8 : end - 4])
    if len(code_points := found.get(b"cICP", b"")) == 4:
        return from_code_points(code_points[0], code_points[1])
    if (profile := _inflated(found.get(b"iCCP", b""))) is not None:
        return profile
    if b"sRGB" in found:
        return None
    gamma = struct.unpack(">I", found[b"gAMA"])[0] / 1e5 if len(found.get(b"gAMA", b"")) == 4 else None
    xy = [value / 1e5 for value in struct.unpack(">8I", found[b"cHRM"])] if len(found.get(b"cHRM", b"")) == 32 else None
    return from_chromaticities(xy, gamma)


def _inflated(chunk: bytes) -> bytes | None:
    """Decompress an iCCP chunk's profile: it holds a name, a zero, a zero for deflate, and the compressed bytes."""
    packed = chunk.partition(b"\0")[2][1:]
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(packed, MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if profile and not inflater.unconsumed_tail else None


def _chunks(png: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each chunk; other data comes last, as pixels, for the decoder to refuse."""
    at = SIGNATURE_BYTES
    while at < len(png):
        kind = png[at + 4 : at + 8]
        end = at + 12 + int.from_bytes(png[at : at + 4])
        if end > len(png) or not kind.isalpha():
            yield b"IDAT", at, len(png)
            return
        yield kind, at, end
        if kind == b"IEND":
            return
        at = end
