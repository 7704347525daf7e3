"""JPEG segments (ITU-T T.81, annex B): those that the pixels need, and whether a file without its end is whole."""

import random
import re
from collections.abc import Iterator

from PIL import Image

from model_store.file_formats.colour_space import ADOBE_RGB, ColourSpace
from model_store.file_formats.exif import PREFIX as EXIF
from model_store.file_formats.exif import read_exif
from model_store.file_formats.structure import MAX_PARTS, MAX_TABLES_BYTES, Facts, Structure, UnusualStructure, facts_of

MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
"""A marker with a length behind it, or the end; not a restart, nor a stuffed byte among the pixels."""

FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
"""Start of frame: sequential or progressive, Huffman or arithmetic coding."""

NEXT_MARKER = re.compile(rb"\xff([^\0\xff])")

SCAN, END, COMMENT = 0xDA, 0xD9, 0xFE
SCAN_MARKER, END_MARKER = b"\xff\xda", b"\xff\xd9"
LONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a segment."""

APPLICATION = range(0xE0, 0xF0)
NEEDED = ((0xE0, b"JFIF"), (0xEE, b"Adobe"))
"""The application's segments by which a decoder knows the colour model."""

ICC = b"ICC_PROFILE\0"
MAX_BEFORE_SCAN_BYTES = 4 * 2**20
MAX_FILL_BYTES = 64
"""Bytes of fill before a marker."""

MAX_SEGMENTS = 10_000
"""Segments of a whole file."""

MAX_SCANS = 64
"""Passes over the pixels; encoders make about ten. One of 30 bytes takes as long as all pixels."""


class JpegFile(Structure):
    """A JPEG, or the first of several in a file (MPO: depth, brightness), as phones write them."""

    pillow = "JPEG"

    def __init__(self, data: bytes) -> None:
        """Walk to the first scan.

        Raises:
            UnusualStructure: There are too many segments, bytes, fill bytes or scans.
            ValueError: A segment is cut.
        """
        super().__init__(data)
        self._icc: list[bytes] = []
        self._tables, self._scan_header, self._scan_at = self._walk()
        self._check_header_scans()

    def facts(self) -> Facts:
        """Read the header, up to the first scan."""
        return facts_of(self._open(self._tables + self._scan_header))

    def open(self, ending: bytes | None = None) -> Image.Image:
        """Open the pixels, without metadata.

        Args:
            ending: One of ``endings()``, for a file that lacks its own.
        """
        scans = self._data[self._scan_at :]
        if ending is not None:
            scans = scans.rstrip(b"\xff") + ending  # there may be half of an end marker
        return self._open(self._tables + scans)

    def check_scans(self) -> None:
        """Check all data that will be decoded.

        Raises:
            UnusualStructure: There are too many segments, scans or fill bytes.
        """
        fill_at = self._data.find(b"\xff" * (MAX_FILL_BYTES + 2), self._scan_at)
        if fill_at >= 0:  # a decoder that is fed block by block reads them anew with every block
            end = self._data.find(END_MARKER, self._scan_at)
            if fill_at < (end if end >= 0 else len(self._data.rstrip(b"\xff"))):
                raise UnusualStructure(f"a JPEG with more than {MAX_FILL_BYTES} fill bytes among its scans")
        if self._data.count(SCAN_MARKER, self._scan_at) <= MAX_SCANS:  # fast, and at least as many
            return
        if sum(code == SCAN for code, _ in self._segments()) > MAX_SCANS:
            raise UnusualStructure(f"a JPEG of more than {MAX_SCANS} scans")

    def colours(self, image: Image.Image) -> bytes | ColourSpace | None:
        """Return the profile; without one Adobe RGB, if EXIF says so."""
        parts = sorted(self._icc)
        if parts and len(parts[0]) > 1 and parts[0][1] == len(parts):
            return b"".join(part[2:] for part in parts)
        return ADOBE_RGB if image.mode == "RGB" and read_exif(self.exif).is_adobe_rgb else None

    @property
    def lacks_end(self) -> bool:
        """Say whether the end marker is missing; other data may follow it."""
        return not self._data.endswith(END_MARKER) and all(code != END for code, _ in self._segments())

    def has_all_scans(self) -> bool:
        """Say whether scans have begun for every coefficient of every component down to its last bit."""
        missing_bits: dict[int, list[int]] = {}  # of each component's 64 coefficients
        try:
            for code, contents in self._segments():
                if code in FRAMES:
                    missing_bits = {component: [16] * 64 for component in contents[6::3]}
                elif code == SCAN:
                    end = 1 + 2 * contents[0]
                    first, last, approximation = contents[end : end + 3]
                    for component in contents[1:end:2]:
                        missing_bits[component][first : last + 1] = [approximation & 15] * (last + 1 - first)
        except (IndexError, KeyError, ValueError):  # a damaged header
            return False
        return bool(missing_bits) and not any(map(any, missing_bits.values()))

    def _walk(self) -> tuple[bytes, bytes, int]:
        """Return the data that a decoder needs before the first scan, that scan's header, and its start."""
        kept, kept_bytes, at = [self._data[:2]], 2, 2
        for _ in range(MAX_PARTS):
            code, start = _marker(self._data, at)
            if code in LONE:
                at = start
                continue
            end = start + int.from_bytes(self._data[start : start + 2])
            if not start + 2 <= end <= len(self._data):
                raise ValueError("a segment ends behind the file")
            contents = self._data[start + 2 : end]
            self._note(code, contents)
            if code == SCAN:
                return b"".join(kept), self._data[start - 2 : end], start - 2
            if code not in (*APPLICATION, COMMENT) or any(code == c and contents.startswith(n) for c, n in NEEDED):
                kept.append(self._data[start - 2 : end])
                kept_bytes += end + 2 - start
            if kept_bytes > MAX_TABLES_BYTES:
                raise UnusualStructure(f"a JPEG with more than {MAX_TABLES_BYTES} bytes of tables")
            if end > MAX_BEFORE_SCAN_BYTES:
                raise UnusualStructure(f"a JPEG with more than {MAX_BEFORE_SCAN_BYTES} bytes before its first scan")
            at = end
        raise UnusualStructure(f"a JPEG with more than {MAX_PARTS} segments before its first scan")

    def _note(self, code: int, contents: bytes) -> None:
        """Keep a segment's metadata that change pixels."""
        if code == 0xE1 and contents.startswith(EXIF):
            self.exif += contents[len(EXIF) :] if self.exif else contents
        elif code == 0xE2 and contents.startswith(ICC):
            self._icc.append(contents[len(ICC) :])

    def _segments(self) -> Iterator[tuple[int, bytes]]:
        """Yield code and contents of each marker in order, including the end marker."""
        at = 2
        for _ in range(MAX_SEGMENTS):
            marker = MARKER.search(self._data, at)
            if marker is None:
                return
            code, start = marker[1][0], marker.end()
            length = 2 if code == END else int.from_bytes(self._data[start : start + 2])
            yield code, self._data[start + 2 : start + length]
            if code == END:
                return
            at = start + length
        raise UnusualStructure(f"a JPEG with more than {MAX_SEGMENTS} segments")

    def _check_header_scans(self) -> None:
        """Count markers of scans in the first part of the pixels, without reading each segment."""
        stop = self._scan_at + MAX_BEFORE_SCAN_BYTES
        end = self._data.find(END_MARKER, self._scan_at, stop)  # data behind the image are none of its scans
        if self._data.count(SCAN_MARKER, self._scan_at, end if end >= 0 else stop) > MAX_SCANS:
            raise UnusualStructure(f"a JPEG of more than {MAX_SCANS} scans")


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """Return the code of the next marker, and where its segment begins; decoders skip fill and strays before it."""
    marker = NEXT_MARKER.search(data, at, at + MAX_FILL_BYTES + 2)
    if marker is not None:
        return marker[1][0], marker.end()
    if len(data) < at + MAX_FILL_BYTES + 2:
        raise ValueError("it ends before its first scan")
    raise UnusualStructure(f"a JPEG with more than {MAX_FILL_BYTES} fill bytes before a segment")


def endings() -> tuple[bytes, bytes]:
    """Return two ways to complete a file without its end marker.

    A decoder fills pixels that are missing from what comes next, and says nothing. So the two give the same pixels
    exactly if none are missing: behind the last one a decoder skips to the end marker.
    """
    dice = random.Random(0)
    noise = [bytes(dice.randrange(255) for _ in range(128)) for _ in range(9)]
    # Noise at once for a file that was cut anywhere; after every restart marker for one that was cut before a restart.
    restarts = b"".join(b"\xff%c%b" % (0xD0 + index, noise[index]) for index in range(8))
    return END_MARKER, noise[8] + restarts + END_MARKER
