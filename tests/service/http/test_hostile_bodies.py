"""Files made to be expensive, sent to a running API: each is answered, and others are answered meanwhile."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import image_files as files
import pytest
from processes import Service

JPEG, PNG = (files.saved(files.photo(300, 200), format) for format in ("jpeg", "png"))
SIZE = 31 * 2**20
HOSTILE = {
    "segments": JPEG[:2] + b"\xff\xe5\0\2" * (SIZE // 4) + JPEG[2:],
    "fill": JPEG[:2] + b"\xff" * SIZE + JPEG[2:],
    "scans": JPEG[:-2] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * (SIZE // 10) + JPEG[-2:],
    "chunks": PNG[:33] + files.chunk(b"tEXt", b"") * (SIZE // 12) + PNG[33:],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_expensive_file_keeps_nobody_else_waiting(api_alone: Service, name: str) -> None:
    def post() -> httpx.Response:
        return httpx.post(
            f"{api_alone.url}/stylize", files={"content": HOSTILE[name]}, data={"style_id": "first"}, timeout=60
        )

    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=api_alone.url) as client:
        answer = pool.submit(post)
        waits = []
        while not answer.done():
            started = time.monotonic()
            assert client.get("/healthz").status_code == 200
            waits.append(time.monotonic() - started)
    assert answer.result().status_code == 422
    assert "save it again as an ordinary one" in answer.result().text
    assert max(waits) < 1.5  # a busy machine's; the file itself held the loop for five seconds and more


async def test_headers_are_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    from service.errors import Unavailable
    from service.http import context

    monkeypatch.setattr(context, "HEADERS_WITHIN_S", 0.05)
    fake = context.Context(*([None] * 9))  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match=r"headers were not read within 0\.05 s: try again"):
        await fake.read_headers(lambda: time.sleep(0.3))
    assert await fake.read_headers(lambda: 7) == 7
