"""WebP chunks (RFC 9649): size, transparency and frames. Pillow would copy the file and make a canvas to know them."""

import struct
from collections.abc import Iterator

from PIL import Image

from model_store.file_formats.colour_space import ADOBE_RGB, ColourSpace
from model_store.file_formats.exif import read_exif
from model_store.file_formats.structure import MAX_PARTS, Facts, Structure, UnusualStructure

ANIMATION, ALPHA = 0x02, 0x10
"""Flags of the extended header."""

LOSSY, LOSSLESS, EXTENDED, FRAME = b"VP8 ", b"VP8L", b"VP8X", b"ANMF"
LOSSY_START, LOSSLESS_START = b"\x9d\x01\x2a", 0x2F
RIFF_BYTES = 12


class WebpFile(Structure):
    """A WebP."""

    pillow = "WEBP"

    def __init__(self, data: bytes) -> None:
        """Walk over the chunks.

        Raises:
            UnusualStructure: There are too many.
            ValueError: The file ends before it says that it does.
        """
        super().__init__(data)
        self._profile: bytes | None = None
        self._frames = 0
        self._facts: Facts | None = None
        for number, (kind, start, end) in enumerate(_chunks(data)):
            if number == MAX_PARTS:
                raise UnusualStructure(f"a WebP with more than {MAX_PARTS} chunks")
            if number == 0:
                self._facts = _facts(kind, data[start : min(end, start + 10)])
            self._frames += kind == FRAME
            if kind == b"EXIF" and not self.exif:
                self.exif = data[start:end]
            elif kind == b"ICCP" and self._profile is None:
                self._profile = data[start:end]

    def facts(self) -> Facts:
        """Read the header.

        Raises:
            ValueError: It is damaged.
        """
        if self._facts is None:
            raise ValueError("it has no header")
        return Facts(self._facts.size, self._facts.has_alpha, max(1, self._frames))

    def colours(self, image: Image.Image) -> bytes | ColourSpace | None:
        """Return the profile; without one Adobe RGB, if EXIF says so."""
        if self._profile is not None:
            return self._profile
        return ADOBE_RGB if read_exif(self.exif).is_adobe_rgb else None


def _chunks(webp: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each chunk, and where its contents start and end.

    Raises:
        ValueError: One ends behind the file.
    """
    length = 8 + int.from_bytes(webp[4:8], "little")
    if length > len(webp):
        raise ValueError("the file ends before it says that it does")
    at = RIFF_BYTES
    while at + 8 <= length:
        start = at + 8
        end = start + int.from_bytes(webp[at + 4 : start], "little")
        if end > length:
            raise ValueError("a chunk ends behind the file")
        yield webp[at : at + 4], start, end
        at = end + (end & 1)


def _facts(kind: bytes, start: bytes) -> Facts | None:
    """Read the first chunk; frames are counted elsewhere."""
    if kind == LOSSY and start[3:6] == LOSSY_START and len(start) == 10:
        width, height = struct.unpack("<HH", start[6:10])
        return Facts((width & 0x3FFF, height & 0x3FFF), False, 1)
    if kind == LOSSLESS and len(start) >= 5 and start[0] == LOSSLESS_START:
        bits = int.from_bytes(start[1:5], "little")
        return Facts(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1), 1)
    if kind == EXTENDED and len(start) == 10:
        size = (int.from_bytes(start[4:7], "little") + 1, int.from_bytes(start[7:10], "little") + 1)
        return Facts(size, bool(start[0] & ALPHA), 1)
    return None
