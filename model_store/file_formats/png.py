"""PNG chunks (W3C PNG, third edition): removes chunks that the pixels do not need, and reads the declared colours.

Pillow refuses a whole file for a text or a colour profile above 1 MB, and for an odd chunk that changes nothing.
"""

import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from model_store.file_formats.colour_space import ColourSpace, from_chromaticities, from_code_points
from model_store.file_formats.structure import (
    MAX_PARTS,
    MAX_TABLES_BYTES,
    Facts,
    Structure,
    UnusualStructure,
    facts_of,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PICTURE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"IDAT", b"IEND"})
"""Chunks of the pixels and the animation."""

COLOURS = frozenset({b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"})
PIXELS = b"IDAT"

MAX_PROFILE_BYTES = 16 * 2**20
MAX_CHUNKS = 20_000
"""Chunks of a whole file: encoders write pixels in pieces of 8 kB and more."""


class PngFile(Structure):
    """A PNG."""

    pillow = "PNG"

    def __init__(self, data: bytes) -> None:
        """Walk over the chunks.

        Raises:
            UnusualStructure: There are too many, or the pixels need more than any palette.
        """
        super().__init__(data)
        self._colours: dict[bytes, tuple[int, int]] = {}
        self._kept: list[tuple[int, int]] = [(0, len(SIGNATURE))]
        self._kept_before_pixels = 1
        pixels_at, kept_bytes = None, 0
        for number, (kind, start, end) in enumerate(_chunks(data)):
            if number == (MAX_PARTS if pixels_at is None else MAX_CHUNKS):
                where = " before its pixels" if pixels_at is None else ""
                raise UnusualStructure(f"a PNG with more than {number} chunks{where}")
            if kind == PIXELS and pixels_at is None:
                pixels_at, self._kept_before_pixels = start, len(self._kept)
            elif pixels_at is None and kind in COLOURS:
                self._colours.setdefault(kind, (start + 8, end - 4))
            elif kind == b"eXIf" and not self.exif:
                self.exif = data[start + 8 : end - 4]
            if kind in PICTURE:
                self._kept.append((start, end))
                kept_bytes += end - start if pixels_at is None else 0
                if kept_bytes > MAX_TABLES_BYTES:
                    raise UnusualStructure(f"a PNG with more than {MAX_TABLES_BYTES} bytes of palettes")
        self._pixels_at = pixels_at

    def facts(self) -> Facts:
        """Read the header, up to the pixels."""
        head = [self._data[start:end] for start, end in self._kept[: self._kept_before_pixels]]
        if self._pixels_at is not None:
            head.append(self._data[self._pixels_at : self._pixels_at + 8])
        return facts_of(self._open(b"".join(head)))

    def open(self) -> Image.Image:
        """Open the pixels, without texts and other chunks that they do not need."""
        view = memoryview(self._data)
        image = self._open(b"".join(view[start:end] for start, end in self._kept))
        _scale_key(image, self._data[24])  # the bit depth, in the IHDR chunk, which is the first
        return image

    def colours(self, image: Image.Image) -> bytes | ColourSpace | None:
        """Return the colours of the declaration of highest precedence (section 4.3).

        Returns:
            An ICC profile, which may be broken, or a colour space; ``None``: sRGB.
        """
        found = {kind: self._data[start:end] for kind, (start, end) in self._colours.items()}
        if len(code_points := found.get(b"cICP", b"")) == 4:
            return from_code_points(code_points[0], code_points[1])
        if (profile := _inflated(found.get(b"iCCP", b""))) is not None:
            return profile
        if b"sRGB" in found:
            return None
        gamma = struct.unpack(">I", found[b"gAMA"])[0] / 1e5 if len(found.get(b"gAMA", b"")) == 4 else None
        chromaticities = found.get(b"cHRM", b"")
        xy = [value / 1e5 for value in struct.unpack(">8I", chromaticities)] if len(chromaticities) == 32 else None
        return from_chromaticities(xy, gamma)


def _scale_key(image: Image.Image, depth: int) -> None:
    """Bring the colour that a PNG declares transparent to 8 bits, as Pillow does with the pixels alone."""
    key = image.info.get("transparency")
    if image.mode not in ("L", "I;16", "RGB") or key is None:
        return
    levels = [key] if isinstance(key, int) else key
    levels = [level >> 8 if depth == 16 else level * 255 // (2**depth - 1) for level in levels]
    image.info["transparency"] = levels[0] if isinstance(key, int) else tuple(levels)


def _inflated(chunk: bytes) -> bytes | None:
    """Return the profile of an iCCP chunk: its name, a zero, a zero for deflate, and the compressed bytes."""
    packed = chunk.partition(b"\0")[2][1:]
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(packed, MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if profile and not inflater.unconsumed_tail else None


def _chunks(png: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each chunk; other data comes last, as pixels, for the decoder to refuse."""
    at = len(SIGNATURE)
    while at < len(png):
        kind = png[at + 4 : at + 8]
        end = at + 12 + int.from_bytes(png[at : at + 4])
        if end > len(png) or not kind.isalpha():
            yield PIXELS, at, len(png)
            return
        yield kind, at, end
        if kind == b"IEND":
            return
        at = end
