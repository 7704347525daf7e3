"""Large pictures in a worker of this process, on a real queue: tile by tile, beside everything else that it does."""

import asyncio
import time
from collections.abc import Generator, Sequence
from io import BytesIO
from pathlib import Path

import image_files as files
import numpy as np
import pytest
import torch
from by_hand import progress_of
from PIL import Image

from model_store.runtime import Runtime
from service.engine.stylize_input import StylizeInput, TiledProgress
from service.engine.stylizer import Stylizer
from service.errors import InvalidField, JobFailed
from service.queue.jobs import Job, JobProgress
from service.request import StylePart
from service.settings import Settings
from service.worker import background
from service.worker.device import DeviceFailed
from tests.service.worker.test_background import long_job as optimisation
from tests.service.worker.test_background import parameters, playing

SIZE = (160, 96)
TILES = 2 * 3 * 3  # each is encoded, measured and decoded


class NotedStylizer(Stylizer):
    """Notes what the device does; waits ``pause_s`` before every tile from ``pause_from`` on."""

    def __init__(self, folder: Path, pause_from: int = 10**9, pause_s: float = 0.0) -> None:
        super().__init__(folder, Runtime(torch.device("cpu"), torch.float32), 8, tile_px=64)
        self.events: list[str] = []
        self.pause_from, self.pause_s = pause_from, pause_s
        self.failure: Exception | None = None

    def warm_up(self, model_id: str = "") -> None:
        pass

    def paint(self, model: str, paintings: Sequence[StylizeInput]) -> list[Image.Image]:
        self.events.append(f"batch of {len(paintings)}")
        return super().paint(model, paintings)

    def paint_tiled(self, model: str, painting: StylizeInput) -> Generator[TiledProgress, None, None]:
        for progress in super().paint_tiled(model, painting):
            if progress.step >= self.pause_from:
                time.sleep(self.pause_s)
                if self.failure is not None:
                    raise self.failure
            self.events.append(f"tile {progress.step}")
            yield progress


@pytest.fixture(autouse=True)
def a_word_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "REPORT_EVERY_S", 0.0)


CONTENT = files.saved(files.photo(*SIZE))


def large_job(name: str = "large", **changes: object) -> Job:
    asked = {"width": SIZE[0], "height": SIZE[1], "styles": (StylePart(weight=1, style_id="first"),), "tiled": True}
    return Job(name, parameters(**{**asked, **changes}).model_dump(), {"content": CONTENT})


def short_job(name: str) -> Job:
    asked = parameters(styles=(StylePart(weight=1, style_id="first"),))
    return Job(name, asked.model_dump(), {"content": CONTENT})


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)), dtype=int)


async def test_a_large_picture_is_the_one_of_a_single_pass(settings: Settings, tiny_checkpoints: Path) -> None:
    stylizer = NotedStylizer(tiny_checkpoints)
    async with playing(settings, stylizer) as stage:
        await stage.api.enqueue(large_job(), 30)
        await stage.api.enqueue(large_job("whole", tiled=False), 30)
        tiled, whole = await stage.result("large"), await stage.result("whole")
        assert np.abs(pixels(tiled.image) - pixels(whole.image)).max() <= 2
        assert tiled.info is not None and tiled.info["batch_size"] == 1 and tiled.info["model_ms"] > 0
    assert [event for event in stylizer.events if event != "batch of 1"] == [f"tile {i + 1}" for i in range(TILES)]


async def test_it_tells_its_progress_with_a_picture(settings: Settings, tiny_checkpoints: Path) -> None:
    async with playing(settings, NotedStylizer(tiny_checkpoints, 1, 0.05)) as stage:
        await stage.api.enqueue(large_job(), 30)
        told: list[JobProgress] = []
        while (progress := await progress_of(stage.api, "large")) is not None:
            told.append(progress)
            await asyncio.sleep(0.01)
        steps = [progress.step for progress in told if progress.steps]
        assert len(set(steps)) > 3 and steps == sorted(steps)
        assert all(progress.steps == TILES for progress in told if progress.steps)
        assert Image.open(BytesIO(told[-1].preview)).size == SIZE
        assert (await stage.result("large")).error is None


async def test_small_requests_are_answered_between_two_tiles(settings: Settings, tiny_checkpoints: Path) -> None:
    stylizer = NotedStylizer(tiny_checkpoints, 1, 0.1)
    async with playing(settings, stylizer) as stage:
        await stage.api.enqueue(large_job(), 30)
        await stage.until(lambda: "tile 2" in stylizer.events)
        await stage.api.enqueue(short_job("short"), 30)
        assert (await stage.result("short")).error is None
        assert f"tile {TILES}" not in stylizer.events
        assert (await stage.result("large")).error is None
    assert "batch of 1" in stylizer.events


async def test_a_large_picture_preempts_an_optimisation_which_goes_on_afterwards(
    settings: Settings, tiny_checkpoints: Path
) -> None:
    async with playing(settings, NotedStylizer(tiny_checkpoints)) as stage:

        async def step() -> int:
            progress = await progress_of(stage.api, "long")
            assert progress is not None
            return progress.step

        await stage.api.enqueue(optimisation(steps=100_000), 30)
        await stage.api.enqueue(optimisation("waits behind it", steps=100_000), 30)
        while await step() < 2:
            await asyncio.sleep(0.02)
        await stage.api.enqueue(large_job(), 30)
        assert (await stage.result("large")).error is None
        given_back_at = await step()
        assert given_back_at >= 2
        await stage.api.cancel("waits behind it")
        while await step() <= given_back_at:
            await asyncio.sleep(0.02)
        await stage.api.cancel("long")
        assert (await stage.api.status()).redelivered == 0


async def test_a_cancelled_picture_ends_after_its_tile(settings: Settings, tiny_checkpoints: Path) -> None:
    stylizer = NotedStylizer(tiny_checkpoints, 3, 0.1)
    async with playing(settings, stylizer) as stage:
        await stage.api.enqueue(large_job("cancelled"), 30)
        await stage.until(lambda: "tile 3" in stylizer.events)
        await stage.api.cancel("cancelled")
        await stage.until(lambda: not stage.worker._held.claims)
        assert f"tile {TILES}" not in stylizer.events
        await stage.api.enqueue(large_job("next"), 30)
        assert (await stage.result("next")).error is None
        assert await stage.api.take_results(["cancelled"]) == {}


async def test_a_late_picture_ends_after_its_tile(settings: Settings, tiny_checkpoints: Path) -> None:
    stylizer = NotedStylizer(tiny_checkpoints, 1, 0.3)
    async with playing(settings, stylizer) as stage:
        await stage.api.enqueue(large_job(), 1.5)
        await stage.until(lambda: "tile 1" in stylizer.events)
        await stage.until(lambda: not stage.worker._held.claims)
        assert f"tile {TILES}" not in stylizer.events
        assert (await stage.api.status()).background_depth == 0


async def test_the_worker_lives_while_it_paints_longer_than_a_lease(settings: Settings, tiny_checkpoints: Path) -> None:
    """Tiles of half a lease, a pass of many leases, and a limit that each tile keeps and the whole does not."""

    stylizer = NotedStylizer(tiny_checkpoints, 1, settings.lease_ms / 2000)
    async with playing(settings.model_copy(update={"forward_timeout_s": 3.0}), stylizer) as stage:
        await stage.api.enqueue(large_job(width=100, height=60), 60)
        other_sees = []
        while not (results := await stage.api.take_results(["large"])):
            assert not stage.running.done()
            beats = (await stage.api.status()).workers
            other_sees.append(all(beat.age_ms < settings.lease_ms for beat in beats))
            await asyncio.sleep(0.1)
        assert all(other_sees)
        assert results["large"].error is None
        assert (await stage.api.status()).redelivered == 0


async def test_a_tile_that_hangs_ends_the_worker(settings: Settings, tiny_checkpoints: Path) -> None:
    async with playing(
        settings.model_copy(update={"forward_timeout_s": 1.0}), NotedStylizer(tiny_checkpoints, 3, 3.0)
    ) as stage:
        await stage.api.enqueue(large_job(), 20)
        with pytest.raises(DeviceFailed, match=r"more than 1 s"):
            await stage.running


async def test_draining_gives_it_back_and_another_worker_begins_anew(
    settings: Settings, tiny_checkpoints: Path
) -> None:
    first, second = NotedStylizer(tiny_checkpoints, 3, 0.1), NotedStylizer(tiny_checkpoints)
    async with playing(settings, first, "first") as stage:
        await stage.api.enqueue(large_job(), 60)
        await stage.until(lambda: "tile 3" in first.events)
        stage.worker.stop()
        await stage.running
        assert (await stage.api.status()).background_depth == 1
    async with playing(settings, second, "second") as stage:
        assert (await stage.result("large")).error is None
    assert f"tile {TILES}" not in first.events and second.events[0] == "tile 1"


async def test_a_tile_that_fails_fails_its_job_alone(settings: Settings, tiny_checkpoints: Path) -> None:
    stylizer = NotedStylizer(tiny_checkpoints, 2)
    async with playing(settings, stylizer) as stage:
        stylizer.failure = RuntimeError("numbers")
        await stage.api.enqueue(large_job("bad"), 20)
        error = (await stage.result("bad")).error
        assert isinstance(error, JobFailed) and "numbers" not in error.detail
        stylizer.failure = None
        await stage.api.enqueue(large_job("good"), 20)
        assert (await stage.result("good")).error is None


async def test_a_style_that_is_gone_and_masks_that_are_black(settings: Settings, tiny_checkpoints: Path) -> None:
    async with playing(settings, NotedStylizer(tiny_checkpoints)) as stage:
        await stage.api.enqueue(large_job("gone", styles=(StylePart(weight=1, style_id="gone"),)), 20)
        error = (await stage.result("gone")).error
        assert error is not None and "has no style 'gone' now" in error.detail
        black = large_job("black", styles=(StylePart(weight=1, style_id="first", mask="mask-0"),))
        blobs = {**black.blobs, "mask-0": files.saved(Image.new("L", (9, 9), 0))}
        await stage.api.enqueue(Job("black", black.parameters, blobs), 20)
        refused = (await stage.result("black")).error
        assert isinstance(refused, InvalidField) and refused.field == "mask"
