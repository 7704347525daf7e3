"""The memory that files may take while they are decoded, by what their headers say."""

import asyncio
from pathlib import Path

import image_files as files
import pytest
import torch

from model_store.catalog import read_catalog
from model_store.runtime import Runtime
from service.engine.stylizer import Stylizer
from service.queue.jobs import Claim, Job
from service.queue.queue import JobQueue
from service.queue.styles import StyleStore
from service.request import StylizeRequest
from service.resolve import resolve
from service.settings import Settings
from service.worker.codecs import Codecs

MOST = 1000


@pytest.fixture
def codecs(settings: Settings, tiny_checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Codecs:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    settings = settings.model_copy(update={"max_decoding_pixels": MOST})
    queue = JobQueue(settings.redis_url or "", settings, "worker")
    stylizer = Stylizer(tiny_checkpoints, Runtime(torch.device("cpu"), torch.float32), 4)
    return Codecs(stylizer, StyleStore(queue.redis, settings), settings)


async def test_jobs_wait_for_room_in_the_order_of_their_arrival_and_one_always_has_some(codecs: Codecs) -> None:
    sizes = [600, 300, 5000, 10, 10, 10, 10, 10]
    now: list[int] = []
    together: list[list[int]] = []

    async def decode(number: int) -> None:
        parameters = {"decoded_pixels": sizes[number]}
        claim = Claim(Job(str(number), parameters, {}), "interactive", b"1-0", "api", float("inf"), 0.0)
        async with codecs.room(claim):
            now.append(number)
            together.append(sorted(now))
            await asyncio.sleep(0.02)
            now.remove(number)

    async with asyncio.TaskGroup() as group:
        for number in range(len(sizes)):
            group.create_task(decode(number))
    assert together[:3] == [[0], [0, 1], [2]], "the large one is alone, and nobody overtakes it"
    assert max(map(len, together)) == 4, "as many as there are threads"
    assert [group[-1] for group in together] == sorted(range(len(sizes)))


@pytest.mark.parametrize(
    ("format", "style", "mask", "expected"),
    [
        ("png", (40, 30), None, 120 * 80),
        ("jpeg", (40, 30), None, 120 * 80),
        ("jpeg", (150, 100), None, 150 * 100),
        ("jpeg", (40, 30), (200, 200), 200 * 200),
    ],
)
def test_the_largest_file_counts(
    settings: Settings,
    tiny_checkpoints: Path,
    format: str,
    style: tuple[int, int],
    mask: tuple[int, int] | None,
    expected: int,
) -> None:
    masks = [files.saved(files.photo(*mask).convert("L"))] if mask is not None else []
    content, painting = files.saved(files.photo(120, 80), format), files.saved(files.photo(*style), "webp")
    request = StylizeRequest[bytes](content=content, style=[painting], mask=masks, size="64")
    parameters = resolve(request, read_catalog(tiny_checkpoints), settings, request_id="a")
    assert parameters.decoded_pixels == expected
