"""Files with changed bytes and mangled structure, sent to a running service: refused or painted, and nothing dies.

``make fuzz`` sends many more than ``make test`` (``FUZZ_FILES``), with a seed of its own (``FUZZ_SEED``).
"""

import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import image_files as files
import pytest
from answers import STYLE
from processes import Service

COUNT = int(os.environ.get("FUZZ_FILES", "240"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
AT_ONCE = 4
EXPECTED = {200, 413, 415, 422}


def mangled(count: int, seed: int) -> Iterator[bytes]:
    """Valid files of which parts are repeated, moved, cut out or swapped, and numbers of two and four bytes changed."""
    dice = random.Random(seed)
    originals = [files.saved(files.photo(80, 56), format) for format in files.FORMATS]
    originals += [files.with_metadata(format) for format in files.FORMATS]
    originals += [files.saved(files.photo(80, 56), "jpeg", progressive=True), files.stereo_jpeg(), files.many_scans(9)]
    originals += [files.animation(format) for format in ("png", "webp", "avif")]
    originals += [files.oriented(6, format) for format in files.FORMATS]
    for _ in range(count):
        data = bytearray(dice.choice(originals))
        for _ in range(dice.choice((1, 1, 2, 4))):
            first, last = sorted(dice.randrange(len(data)) for _ in range(2))
            last = min(last, first + dice.choice((4, 64, 5000)))
            place, kind = dice.randrange(min(len(data), dice.choice((64, 600, 10**9)))), dice.randrange(5)
            if kind == 0:
                data[place:place] = data[first:last] * dice.choice((1, 2, 50))
            elif kind == 1:
                del data[first:last]
            elif kind == 2:
                data[place : place + 4] = dice.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(data))).to_bytes(4)
            elif kind == 3:
                data[place : place + 2] = dice.choice((0, 1, 2, 0xFFFF, 0xFFD9, 0xFFDA)).to_bytes(2)
            else:
                data[place : place + 8] = dice.choice(originals)[place : place + 8]
            if len(data) < 4:
                break
        yield bytes(data)


@pytest.mark.timeout(max(120, COUNT))
def test_no_file_breaks_the_service(service: Service) -> None:
    dice = random.Random(SEED)
    makers = (files.damaged(COUNT - COUNT // 2, SEED), mangled(COUNT // 2, SEED))
    pictures = (data for maker in makers for data in maker)
    photo = files.saved(files.photo(64, 48))
    client = httpx.Client(base_url=service.url, timeout=120)

    def post(sent: tuple[bytes, str]) -> tuple[int, bytes, str]:
        data, field = sent
        parts = {"content": photo, "style": STYLE, field: data}
        answer = client.post("/stylize", files=list(parts.items()), data={"size": "64"})
        return answer.status_code, data, answer.text if answer.status_code != 200 else ""

    fields = ("content", "content", "style", "mask")
    with client, ThreadPoolExecutor(AT_ONCE) as pool:
        statuses: Counter[int] = Counter()
        for status, data, text in pool.map(post, ((data, dice.choice(fields)) for data in pictures)):
            assert status in EXPECTED, (status, text, data[:200])
            statuses[status] += 1
        assert client.get("/readyz").status_code == 200
    assert service.is_whole()
    assert statuses.total() == COUNT and min(statuses[200], statuses[422]) > COUNT // 20, statuses
    print(f"{COUNT} files, seed {SEED}: {dict(statuses)}")
