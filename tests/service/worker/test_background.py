"""Long jobs in a worker of this process, on a real queue: whose turn it is, and how they end."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from by_hand import progress_of
from PIL import Image
from processes import photo

from model_store.gatys import Progress
from model_store.runtime import Runtime
from service.engine.stylize_input import StyleImage, StylizeInput
from service.engine.stylizer import Stylizer
from service.errors import JobFailed, ModelUnavailable
from service.queue.jobs import Claim, Job, JobProgress, Result
from service.queue.queue import JobQueue
from service.request import StylePart, StylizeParameters
from service.settings import Settings
from service.worker import background
from service.worker.device import NO_MEMORY, DeviceFailed
from service.worker.pipeline import Worker


class NotedStylizer(Stylizer):
    """Notes what the device does, and waits before the step ``pause_before`` until ``go_on``."""

    def __init__(self, folder: Path, pause_before: int = 0, failure: Exception | None = None) -> None:
        super().__init__(folder, Runtime(torch.device("cpu"), torch.float32), 8)
        self.events: list[str] = []
        self.pause_before = pause_before
        self.failure = failure
        self.paused, self.go_on = threading.Event(), threading.Event()

    def warm_up(self, model_id: str = "") -> None:
        pass

    def paint(self, model: str, paintings: Sequence[StylizeInput]) -> list[Image.Image]:
        self.events.append(f"batch of {len(paintings)}")
        return super().paint(model, paintings)

    def optimise(
        self, model: str, painting: StylizeInput, steps: int | None = None, begin: tuple[int, Image.Image] | None = None
    ) -> Iterator[Progress]:
        for progress in super().optimise(model, painting, steps, begin):
            if progress.step == self.pause_before:
                self.paused.set()
                self.go_on.wait(20)
                if self.failure is not None:
                    raise self.failure
            self.events.append(f"step {progress.step}")
            yield progress


def parameters(**changes: object) -> StylizeParameters:
    values: dict[str, object] = {
        "request_id": "request",
        "model": "adain",
        "width": 64,
        "height": 48,
        "styles": (StylePart(weight=1, upload="style-0"),),
        "alpha": 1.0,
        "format": "png",
        "quality": None,
        "style_size": 48,
    }
    return StylizeParameters.model_validate({**values, **changes})


def long_job(name: str = "long", steps: int = 6, **changes: object) -> Job:
    asked = parameters(method="gatys", steps=steps, **changes)
    return Job(name, asked.model_dump(), {"content": photo(), "style-0": photo(seed=3)})


def short_job(name: str, **changes: object) -> Job:
    return Job(name, parameters(**changes).model_dump(), {"content": photo(), "style-0": photo(seed=3)})


class Stage:
    """An API's and a worker's end of one queue."""

    def __init__(self, settings: Settings, stylizer: Stylizer, worker_name: str) -> None:
        self.api = JobQueue(settings.redis_url or "", settings, "api")
        self.queue = JobQueue(settings.redis_url or "", settings, worker_name)
        self.worker = Worker(self.queue, stylizer, settings)
        self.running = asyncio.create_task(self.worker.run())

    async def result(self, job_id: str) -> Result:
        results: dict[str, Result] = {}
        while job_id not in results:
            assert not self.running.done(), self.running
            results = await self.api.take_results([job_id])
            await asyncio.sleep(0.02)
        return results[job_id]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            assert not self.running.done(), self.running
            await asyncio.sleep(0.02)

    async def empty(self) -> None:
        while (await self.api.status()).background_depth:
            await asyncio.sleep(0.02)

    async def end(self) -> None:
        self.worker.stop()
        await self.running
        assert self.queue.name not in [beat.name for beat in (await self.api.status()).workers]


@pytest.fixture(autouse=True)
def a_word_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "REPORT_EVERY_S", 0.0)


@asynccontextmanager
async def playing(settings: Settings, stylizer: Stylizer, name: str = "worker") -> AsyncIterator[Stage]:
    """A worker, which ends with the context."""
    stage = Stage(settings, stylizer, name)
    try:
        yield stage
        if not stage.running.done():
            await stage.end()
    finally:
        stage.running.cancel()
        await asyncio.wait([stage.running])
        await stage.api.close()
        await stage.queue.close()


async def test_a_long_job_tells_its_progress_and_comes_back_as_a_picture(
    settings: Settings, tiny_checkpoints: Path
) -> None:
    stylizer = NotedStylizer(tiny_checkpoints)
    async with playing(settings, stylizer) as stage:
        await stage.api.enqueue(long_job(steps=12), 20)
        told: list[JobProgress] = []
        while (progress := await progress_of(stage.api, "long")) is not None:
            told.append(progress)
            await asyncio.sleep(0.01)
        steps = [progress.step for progress in told if progress.steps]
        assert len(set(steps)) > 3 and steps == sorted(steps) and steps[-1] < 12
        assert all(progress.steps == 12 and 0 < progress.share < 1 for progress in told if progress.step)
        assert set(told[-1].losses) == {"content", "style", "variation", "total"}
        preview = Image.open(BytesIO(told[-1].preview))
        assert preview.format == "JPEG" and preview.size == (64, 48)
        result = await stage.result("long")
        assert result.error is None and Image.open(BytesIO(result.image)).size == (64, 48)
        assert result.info is not None and result.info["model_ms"] > 0
        assert stylizer.events == [f"step {step}" for step in range(1, 13)]


async def test_batches_go_before_the_next_step(settings: Settings, tiny_checkpoints: Path) -> None:
    stylizer = NotedStylizer(tiny_checkpoints, pause_before=3)
    async with playing(settings, stylizer) as stage:
        await stage.api.enqueue(long_job(steps=5), 20)
        await stage.until(stylizer.paused.is_set)
        for index, width in enumerate((64, 64, 80)):
            await stage.api.enqueue(short_job(str(index), width=width), 20)
        await stage.until(lambda: len(stage.worker._waiting) == 3)
        stylizer.go_on.set()
        for name in ("0", "1", "2", "long"):
            assert (await stage.result(name)).error is None
    assert stylizer.events == ["step 1", "step 2", "step 3", "batch of 2", "batch of 1", "step 4", "step 5"]


async def test_a_cancelled_job_ends_after_its_step_and_frees_the_lane(
    settings: Settings, tiny_checkpoints: Path
) -> None:
    stylizer = NotedStylizer(tiny_checkpoints, pause_before=4)
    async with playing(settings, stylizer) as stage:
        await stage.api.enqueue(long_job("cancelled", steps=1000), 20)
        await stage.api.enqueue(long_job("next", steps=2), 20)
        await stage.until(stylizer.paused.is_set)
        await stage.api.cancel("cancelled")
        stylizer.go_on.set()
        assert (await stage.result("next")).error is None
        assert await stage.api.take_results(["cancelled"]) == {}
        assert (await stage.api.status()).background_depth == 0
    assert stylizer.events == ["step 1", "step 2", "step 3", "step 4", "step 1", "step 2"]


async def test_a_job_past_its_deadline_ends_and_frees_the_lane(settings: Settings, tiny_checkpoints: Path) -> None:
    stylizer = NotedStylizer(tiny_checkpoints)
    async with playing(settings, stylizer) as stage:
        await stage.api.enqueue(long_job("late", steps=100_000), 0.8)
        await stage.until(lambda: len(stylizer.events) > 0)
        await stage.empty()
        steps = len(stylizer.events)
        await stage.api.enqueue(long_job("next", steps=1), 20)
        assert (await stage.result("next")).error is None
        assert await stage.api.take_results(["late"]) == {}
        assert len(stylizer.events) == steps + 1 and steps < 100_000


async def test_draining_gives_it_back_and_another_worker_goes_on(settings: Settings, tiny_checkpoints: Path) -> None:
    first, second = NotedStylizer(tiny_checkpoints, pause_before=4), NotedStylizer(tiny_checkpoints)
    async with playing(settings, first, "first") as stage:
        await stage.api.enqueue(long_job(steps=8), 30)
        await stage.until(first.paused.is_set)
        stage.worker.stop()
        first.go_on.set()
        await stage.running
        status = await stage.api.status()
        assert (status.background_depth, status.redelivered, status.workers) == (1, 0, ())
        progress = await progress_of(stage.api, "long")
        assert progress is not None and progress.step == 4
    async with playing(settings, second, "second") as stage:
        assert (await stage.result("long")).error is None
        assert (await stage.api.status()).redelivered == 0
    assert first.events == ["step 1", "step 2", "step 3", "step 4"]
    assert second.events == ["step 5", "step 6", "step 7", "step 8"]


async def test_what_is_saved_now_and_then_outlives_the_worker(
    settings: Settings, tiny_checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "SAVE_EVERY_S", 0.0)
    first, second = NotedStylizer(tiny_checkpoints, pause_before=4), NotedStylizer(tiny_checkpoints)
    async with playing(settings, first, "first") as stage:
        await stage.api.enqueue(long_job(steps=6), 30)
        await stage.until(first.paused.is_set)
        stage.running.cancel()  # no drain: the job stays claimed, and its lease ends
        await asyncio.wait([stage.running])
        first.go_on.set()
    async with playing(settings, second, "second") as stage:
        assert (await stage.result("long")).error is None
        assert (await stage.api.status()).redelivered == 1
    assert second.events == ["step 4", "step 5", "step 6"]


async def test_it_is_preempted_while_a_job_whose_worker_died_runs_alone(
    settings: Settings, tiny_checkpoints: Path
) -> None:
    async def claim() -> list[Claim]:
        other = JobQueue(settings.redis_url or "", settings, "other")
        await other.prepare()
        await other.enqueue(short_job("orphan"), 20)
        claims = await other.claim(1)
        assert await other.begin(claims[0])
        await other.close()
        return claims

    class Watched(NotedStylizer):
        worker: Worker

        def paint(self, model: str, paintings: Sequence[StylizeInput]) -> list[Image.Image]:
            self.events.append(f"held: {', '.join(claim.job.id for claim in self.worker._held.claims)}")
            return super().paint(model, paintings)

    stylizer = Watched(tiny_checkpoints, pause_before=2)
    claims = await claim()
    async with playing(settings, stylizer) as stage:
        stylizer.worker = stage.worker
        other = JobQueue(settings.redis_url or "", settings, "other")
        await stage.api.enqueue(long_job(steps=4), 20)
        while not stylizer.paused.is_set():
            await other.extend(claims)
            await asyncio.sleep(settings.heartbeat_s / 2)
        await other.close()
        await stage.until(lambda: stage.worker._background._is_preempted)  # the lease is over
        stylizer.go_on.set()
        assert (await stage.result("long")).error is None
    assert stylizer.events == ["step 1", "step 2", "held: orphan", "batch of 1", "step 3", "step 4"]


@pytest.mark.parametrize(
    ("failure", "told"),
    [(RuntimeError("numbers"), "the picture could not be painted"), (torch.OutOfMemoryError("no room"), NO_MEMORY)],
)
async def test_a_step_that_fails_fails_its_job_alone(
    settings: Settings, tiny_checkpoints: Path, failure: Exception, told: str
) -> None:
    stylizer = NotedStylizer(tiny_checkpoints, pause_before=2, failure=failure)
    async with playing(settings, stylizer) as stage:
        stylizer.go_on.set()
        await stage.api.enqueue(long_job("bad"), 20)
        error = (await stage.result("bad")).error
        assert isinstance(error, JobFailed) and error.detail == told
        await stage.api.enqueue(long_job("good", steps=1), 20)
        assert (await stage.result("good")).error is None


async def test_a_device_that_fails_in_a_step_ends_the_worker_and_keeps_the_job(
    settings: Settings, tiny_checkpoints: Path
) -> None:
    failure = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    stylizer = NotedStylizer(tiny_checkpoints, pause_before=2, failure=failure)
    async with playing(settings, stylizer) as stage:
        stylizer.go_on.set()
        await stage.api.enqueue(long_job(), 20)
        with pytest.raises(DeviceFailed, match="illegal memory"):
            await stage.running
        assert (await stage.api.status()).background_depth == 1


async def test_missing_paintings_and_bad_files_are_refused(settings: Settings, tiny_checkpoints: Path) -> None:
    async with playing(settings, NotedStylizer(tiny_checkpoints)) as stage:
        await stage.api.enqueue(long_job("id", styles=(StylePart(weight=1, style_id="first", from_painting=True),)), 20)
        broken = long_job("broken")
        await stage.api.enqueue(Job("broken", broken.parameters, {**broken.blobs, "content": photo()[:-40]}), 20)
        by_id, by_file = (await stage.result("id")).error, (await stage.result("broken")).error
        assert isinstance(by_id, ModelUnavailable) and by_id.field == "style_id" and "try again" in by_id.detail
        assert by_file is not None and by_file.field == "content"
        assert (await stage.api.status()).background_depth == 0


def test_alpha_goes_from_the_content_to_the_style_and_weights_mix(tiny_checkpoints: Path) -> None:
    def painted(alpha: float, *styles: tuple[float, Image.Image]) -> np.ndarray:
        uploads = [(weight, StyleImage(str(index), image)) for index, (weight, image) in enumerate(styles)]
        *_, last = stylizer.optimise("adain", StylizeInput(content, uploads, alpha), steps=16)
        return last.output[0].numpy()

    stylizer = Stylizer(tiny_checkpoints, Runtime(torch.device("cpu"), torch.float32), 8)
    content, one, two = (Image.open(BytesIO(photo(seed=seed))) for seed in (0, 3, 5))
    original = np.asarray(content, np.float32).transpose(2, 0, 1) / 255
    moved = [np.abs(painted(alpha, (1.0, one)) - original).mean() for alpha in (0.0, 1.0)]
    assert moved[0] < 0.5 * moved[1]
    assert np.array_equal(painted(1.0, (1.0, one), (0.0, two)), painted(1.0, (1.0, one)))
    assert not np.array_equal(painted(1.0, (0.5, one), (0.5, two)), painted(1.0, (1.0, one)))


def test_colours_are_the_photos_if_so_wished(tiny_checkpoints: Path) -> None:
    def painted(color: str) -> np.ndarray:
        wish = StylizeInput(content, [(1.0, StyleImage("it", style))], 1.0, color=color)
        *_, last = stylizer.optimise("adain", wish, steps=16)
        return last.output[0].numpy()

    def chroma(image: np.ndarray) -> np.ndarray:
        return image - np.tensordot((0.299, 0.587, 0.114), image, 1)

    stylizer = Stylizer(tiny_checkpoints, Runtime(torch.device("cpu"), torch.float32), 8)
    content, style = (Image.open(BytesIO(photo(seed=seed))) for seed in (0, 3))
    original = np.asarray(content, np.float32).transpose(2, 0, 1) / 255
    plain, matched, kept = (painted(color) for color in ("style", "match", "luminance"))
    assert np.abs(plain - matched).max() > 0.02
    off = [np.abs(chroma(image) - chroma(original)).mean() for image in (plain, kept)]
    assert off[1] < off[0] / 2
