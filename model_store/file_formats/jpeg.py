"""JPEG markers (ITU-T T.81, annex B): count a file's scans, and find out whether one without its end is complete."""

import random
import re
from collections.abc import Iterator

MARKER = re.compile(rb"\xff+([\x02-\xcf\xd8-\xfe])")
"""A marker with a length behind it, or the end; not a restart, nor a stuffed byte among the pixels."""

FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
"""Start of frame: sequential or progressive, Huffman or arithmetic coding."""

SCAN = 0xDA
END = 0xD9
END_MARKER = b"\xff\xd9"


def segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield code and contents of each marker in order, including the end marker."""
    at = 2
    while marker := MARKER.search(jpeg, at):
        code, start = marker[1][0], marker.end()
        length = 2 if code == END else int.from_bytes(jpeg[start : start + 2])
        yield code, jpeg[start + 2 : start + length]
        if code == END:
            return
        at = start + length


def has_more_scans(jpeg: bytes, limit: int) -> bool:
    """Return true if there are more than ``limit`` passes over the pixels."""
    if jpeg.count(b"\xff\xda") <= limit:  # fast, but also counts scans in metadata or behind the image
        return False
    count = 0
    for code, _ in segments(jpeg):
        count += code == SCAN
        if count > limit:
            return True
    return False


def lacks_end(jpeg: bytes) -> bool:
    """Return true if the end marker is missing; other data may follow it."""
    return not jpeg.endswith(END_MARKER) and all(code != END for code, _ in segments(jpeg))


def has_all_scans(jpeg: bytes) -> bool:
    """Return true if scans have begun for every coefficient of every component down to its last bit."""
    missing_bits: dict[int, list[int]] = {}  # of each component's 64 coefficients
    try:
        for code, contents in segments(jpeg):
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


def endings(jpeg: bytes) -> tuple[bytes, bytes]:
    """Complete a file without its end marker in two ways.

    A decoder silently fills missing pixels from the data that follows. So the two give the same pixels exactly if none
    are missing: behind the last pixel a decoder skips to the end marker.
    """
    dice = random.Random(0)
    noise = [bytes(dice.randrange(255) for _ in range(128)) for _ in range(9)]
    # Noise at once for a file that was cut anywhere; after every restart marker for one that was cut before a restart.
    restarts = b"".join(b"\xff%c%b" % (0xD0 + index, noise[index]) for index in range(8))
    body = jpeg.rstrip(b"\xff")  # half of the end marker
    return body + END_MARKER, body + noise[8] + restarts + END_MARKER
