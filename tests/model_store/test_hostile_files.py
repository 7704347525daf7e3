"""Files made to be expensive: a walk over their structure is bounded, so each costs no more than an ordinary one."""

import contextlib
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable

import image_files as files
import pytest

from model_store.file_formats.exif import Exif, read_exif
from service.errors import InvalidField, ServiceError
from service.images import ImageLimits, decode, read_header

pytestmark = pytest.mark.slow

LIMITS = ImageLimits(max_bytes=2**25, max_pixels=2**26)
SIZE = 31 * 2**20
"""Bytes."""

JPEG, PNG, WEBP, AVIF = (files.saved(files.photo(300, 200), format) for format in ("jpeg", "png", "webp", "avif"))
SCAN_HEADER = JPEG[JPEG.index(b"\xff\xda") : JPEG.index(b"\xff\xda") + 14]


def segment(code: int, contents: bytes) -> bytes:
    return b"\xff%c" % code + struct.pack(">H", len(contents) + 2) + contents


def jpeg(before: bytes = b"", within: bytes = b"", end: bytes = b"\xff\xd9") -> bytes:
    """A JPEG with more before its tables, and among its scans."""
    return JPEG[:2] + before + JPEG[2:-2] + within + end


def png(*chunks: bytes, at: int = 33) -> bytes:
    return PNG[:at] + b"".join(chunks) + PNG[at:]


def webp_chunk(kind: bytes, contents: bytes) -> bytes:
    return kind + struct.pack("<I", len(contents)) + contents + bytes(len(contents) % 2)


def webp(before: bytes = b"", behind: bytes = b"", flags: int = 0) -> bytes:
    extended = webp_chunk(b"VP8X", bytes((flags, 0, 0, 0)) + (299).to_bytes(3, "little") + (199).to_bytes(3, "little"))
    chunks = extended + before + WEBP[12:] + behind
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def box(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">I", len(contents) + 8) + kind + contents


def avif(in_header: bytes = b"", behind: bytes = b"") -> bytes:
    """An AVIF with one more box in its header, and more behind its pixels."""
    at = AVIF.index(b"meta") - 4
    length = int.from_bytes(AVIF[at : at + 4])
    header = struct.pack(">I", length + len(in_header)) + AVIF[at + 4 : at + length] + in_header
    return AVIF[:at] + header + AVIF[at + length :] + behind


def overlapping_exif(size: int) -> bytes:
    """As many tags as fit, each of which has half of the block for its value."""
    count = min(65_535, size // 24)
    value_bytes = size - 12 * count - 14
    tags = b"".join(struct.pack("<HHII", tag, 7, value_bytes, 8) for tag in range(count))
    return b"II*\0" + struct.pack("<IH", 8, count) + tags + bytes(4 + value_bytes)


def jpeg_exif(block: bytes) -> bytes:
    parts = (block[at : at + 65_000] for at in range(0, len(block), 65_000))
    return b"".join(segment(0xE1, b"Exif\0\0" + part) for part in parts)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "segments": (lambda: jpeg(segment(0xE5, b"") * (SIZE // 4)), "JPEG with more than 1000 segments"),
    "long segments": (
        lambda: jpeg(segment(0xE5, bytes(60_000)) * 500),
        "more than 4194304 bytes before its first scan",
    ),
    "fill": (lambda: jpeg(b"\xff" * SIZE), "JPEG with more than 64 fill bytes"),
    "strays": (lambda: jpeg(bytes((1, 2)) + bytes(SIZE)), "a file of no image type|more than 64 fill bytes"),
    "stuffing": (lambda: jpeg(segment(0xFE, b"") + b"\xff\0" * (SIZE // 2)), "more than 64 fill bytes"),
    "tables": (lambda: jpeg(segment(0xDB, bytes(65 * 1000)) * 60), "more than 65536 bytes of tables"),
    "scans": (lambda: jpeg(within=SCAN_HEADER * (SIZE // 14)), "more than 64 scans"),
    "cut segment": (lambda: JPEG[:2] + b"\xff\xe5\xff\xff" + bytes(1000), "header is damaged"),
    "chunks": (lambda: png(files.chunk(b"tEXt", b"") * (SIZE // 12)), "PNG with more than 1000 chunks before"),
    "pixel chunks": (lambda: png(files.chunk(b"IDAT", b"") * (SIZE // 12)), "PNG with more than 20000 chunks:"),
    "chunks behind": (
        lambda: png(files.chunk(b"tEXt", b"") * (SIZE // 12), at=len(PNG) - 12),
        "than 20000 chunks",
    ),
    "palette": (lambda: png(files.chunk(b"PLTE", bytes(SIZE))), "PNG with more than 65536 bytes of palettes"),
    "webp chunks": (
        lambda: webp(behind=webp_chunk(b"ABCD", b"") * (SIZE // 8)),
        "WebP with more than 1000 chunks",
    ),
    "webp frames": (
        lambda: webp(webp_chunk(b"ANMF", bytes(24)) * (SIZE // 32), flags=2),
        "more than 1000 chunks",
    ),
    "webp cut": (lambda: b"RIFF\xff\xff\xff\x7fWEBP" + WEBP[12:], "header is damaged"),
    "boxes": (lambda: avif(behind=box(b"free", b"") * (SIZE // 8)), "AVIF with more than 1000 boxes"),
    "boxes in the header": (lambda: avif(box(b"free", b"") * (SIZE // 8)), "AVIF with more than 1000 boxes"),
    "items": (
        lambda: avif(box(b"iinf", bytes(8) + box(b"infe", bytes(13)) * 1_000_000)),
        "box iinf has more than 65536",
    ),
    "places": (lambda: avif(box(b"iloc", b"\2\0\0\0\0\0" + struct.pack(">I", 6000) + bytes(48_000))), "1000 items"),
    "references": (lambda: avif(box(b"iref", bytes(2**16))), "box iref has more than 8192 bytes"),
    "film": (lambda: avif(behind=box(b"moov", bytes(SIZE))), "box moov has more than 65536 bytes"),
    "frames": (
        lambda: avif(behind=box(b"moov", box(b"stsz", struct.pack(">III", 0, 1, 2**31)))),
        "AVIF of more than 20000 frames",
    ),
}

READ: dict[str, Callable[[], bytes]] = {
    "exif": lambda: jpeg(jpeg_exif(overlapping_exif(4_000_000))),
    "exif of png": lambda: png(files.chunk(b"eXIf", overlapping_exif(SIZE))),
    "exif of webp": lambda: webp(behind=webp_chunk(b"EXIF", overlapping_exif(SIZE)), flags=8),
    "exif of avif": lambda: with_exif(overlapping_exif(4_000_000)),
    "text": lambda: png(files.chunk(b"tEXt", b"a\0" + bytes(SIZE))),
    "profile": lambda: png(files.chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**28)))),
    "stuffing behind": lambda: jpeg(within=b"\xff\0" * (SIZE // 2)),
    "fill behind": lambda: jpeg(end=b"\xff" * SIZE),
    "behind the end": lambda: jpeg() + b"\xff" * SIZE,
    "few fill bytes": lambda: jpeg(b"\xff" * 60 + segment(0xE5, b"") * 900),
    "many chunks": lambda: png(files.chunk(b"tEXt", b"a\0b") * 900),
}


def with_exif(block: bytes) -> bytes:
    room = b"II*\0" + struct.pack("<I", len(block) - 6) + bytes(len(block) - 8)  # of no tags
    data = files.saved(files.photo(300, 200), "avif", exif=b"Exif\0\0" + room)
    return data.replace(room, block)


def header_costs(data: bytes) -> tuple[float, int]:
    """Milliseconds of this processor for a header, read or refused, and the most bytes of memory."""
    times = []
    for _ in range(2):  # the first may pay for what it is the first to need
        started = time.process_time()
        with contextlib.suppress(ServiceError):
            read_header(data, "content", LIMITS)
        times.append(time.process_time() - started)
    tracemalloc.start()
    with contextlib.suppress(ServiceError):
        read_header(data, "content", LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return min(times) * 1000, peak


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_of_countless_parts_is_refused_at_once(name: str) -> None:
    make, message = REFUSED[name]
    data = make()
    for read in (lambda: read_header(data, "content", LIMITS), lambda: decode(data, "content", LIMITS, 96)):
        with pytest.raises(ServiceError, match=message) as caught:
            read()
        assert caught.value.status in (415, 422)
    ms, peak_bytes = header_costs(data)
    assert ms < 50 and peak_bytes < 8 * 2**20


@pytest.mark.parametrize("name", READ)
def test_a_file_with_much_that_does_not_matter_is_read(name: str) -> None:
    data = READ[name]()
    header = read_header(data, "content", LIMITS)
    assert (header.width, header.height) == (300, 200)
    assert decode(data, "content", LIMITS, 96).rgb.size == (96, 64)
    ms, peak_bytes = header_costs(data)
    assert ms < 50 and peak_bytes < 40 * 2**20


@pytest.mark.parametrize(
    ("within", "message"),
    [
        (segment(0xFE, b"\xff\xd9") + segment(0xFE, b"\xff\xda") * 1_000_000, "more than 10000 segments"),
        (segment(0xFE, b"\xff\xd9") + SCAN_HEADER * 100, "more than 64 scans"),
        (b"\xff" * SIZE + b"\0", "more than 64 fill bytes among its scans"),
    ],
    ids=["segments", "scans", "fill"],
)
@pytest.mark.parametrize("end", [b"\xff\xd9", b""], ids=["whole", "without-end"])
def test_a_decoder_is_not_kept_busy_behind_the_header(within: bytes, message: str, end: bytes) -> None:
    data = jpeg(within=within, end=end)
    started = time.process_time()
    with pytest.raises(InvalidField, match=message):
        decode(data, "content", LIMITS, 96)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_and_colours_in_exif(order: str) -> None:
    start = {"<": b"II*\0", ">": b"MM\0*"}[order]

    def directory(*entries: tuple[int, int, int, bytes]) -> bytes:
        packed = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
        return struct.pack(order + "H", len(entries)) + packed + bytes(4)

    def number(value: int, kind: int = 3) -> bytes:
        return struct.pack(order + ("HH" if kind == 3 else "I"), *((value, 0) if kind == 3 else (value,)))

    first = directory((0x0112, 3, 1, number(6)), (0x8769, 4, 1, number(38, 4)))
    camera = directory((0xA001, 3, 1, number(0xFFFF)), (0xA005, 4, 1, number(68, 4)))
    index = directory((1, 2, 4, b"R03\0"))
    block = start + number(8, 4) + first + camera + index
    assert read_exif(block) == read_exif(b"Exif\0\0" + block) == Exif(6, True)
    assert read_exif(block.replace(b"R03", b"R98")) == Exif(6, False)
    assert read_exif(block[: len(block) - 12]).orientation == 6
    assert read_exif(start + number(8, 4) + directory((0x0112, 3, 1, number(9)))) == Exif()
    assert read_exif(start + number(4000, 4)) == read_exif(start) == read_exif(b"") == read_exif(b"nonsense") == Exif()
    for cut in range(len(block)):
        assert isinstance(read_exif(block[:cut]), Exif)
