"""The worker's pipeline in this process, on a real queue, with a device that fails in chosen ways."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image
from processes import photo
from redis import Redis

from model_store.runtime import Runtime
from service.engine.stylize_input import StylizeInput
from service.engine.stylizer import Stylizer
from service.errors import DeadlinePassed, JobFailed
from service.queue.jobs import Job, Result
from service.queue.keys import Keys
from service.queue.queue import JobQueue
from service.request import StylePart, StylizeParameters
from service.settings import Settings
from service.worker.device import DeviceFailed
from service.worker.pipeline import Worker


class FailingStylizer(Stylizer):
    """Fails for a batch as ``failure`` says, and notes the batches that it was given."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Runtime(torch.device("cpu"), torch.float32), 8)
        self.batches: list[int] = []

    def warm_up(self, model_id: str = "") -> None:
        pass

    def failure(self, inputs: Sequence[StylizeInput]) -> Exception | None:
        return None

    def paint(self, model: str, inputs: Sequence[StylizeInput]) -> list[Image.Image]:
        self.batches.append(len(inputs))
        if (error := self.failure(inputs)) is not None:
            raise error
        return super().paint(model, inputs)


def job(name: str, alpha: float = 1.0, content: bytes = b"") -> Job:
    parameters = StylizeParameters(
        request_id=name,
        model="adain",
        width=64,
        height=48,
        styles=(StylePart(weight=1, style_id="first"),),
        alpha=alpha,
        format="png",
        quality=None,
    )
    return Job(name, parameters.model_dump(), {"content": content or photo()})


async def work(settings: Settings, stylizer: Stylizer, jobs: list[Job], within_s: float = 20) -> dict[str, Result]:
    """Enqueue the jobs, run a worker until the queue is empty, drain it."""
    api = JobQueue(settings.redis_url or "", settings, "api")
    queue = JobQueue(settings.redis_url or "", settings, "worker")
    worker = Worker(queue, stylizer, settings)
    for each in jobs:
        await api.enqueue(each, within_s)
    running = asyncio.create_task(worker.run())
    results: dict[str, Result] = {}
    try:
        while (await api.status()).depth > 0 and not running.done():
            results |= await api.take_results(await api.replies())
        results |= await api.take_results(each.id for each in jobs)
        worker.stop()
        await running
        status = await api.status()
        assert (status.depth, status.workers) == (0, ())
    finally:
        await api.close()
        await queue.close()
    return results


async def test_a_bad_file_fails_alone(settings: Settings, tiny_checkpoints: Path) -> None:
    jobs = [job("good"), job("bad", content=photo()[:-40]), job("also good")]
    results = await work(settings, FailingStylizer(tiny_checkpoints), jobs)
    assert [results[name].error is None for name in ("good", "bad", "also good")] == [True, False, True]
    assert results["bad"].error is not None and results["bad"].error.field == "content"


async def test_a_failing_item_fails_alone(settings: Settings, tiny_checkpoints: Path) -> None:
    class Stumbles(FailingStylizer):
        def failure(self, inputs: Sequence[StylizeInput]) -> Exception | None:
            return RuntimeError("numbers") if any(one.alpha == 0.5 for one in inputs) else None

    jobs = [job(str(index), alpha=0.5 if index == 2 else 1.0) for index in range(5)]
    results = await work(settings, Stumbles(tiny_checkpoints), jobs)
    failed = [name for name, result in results.items() if result.error is not None]
    assert failed == ["2"] and isinstance(results["2"].error, JobFailed)
    assert "numbers" not in results["2"].error.detail


async def test_out_of_memory_halves_the_batches(settings: Settings, tiny_checkpoints: Path) -> None:
    class Small(FailingStylizer):
        def failure(self, inputs: Sequence[StylizeInput]) -> Exception | None:
            return torch.OutOfMemoryError("no room") if len(inputs) > 2 else None

    stylizer = Small(tiny_checkpoints)
    results = await work(settings, stylizer, [job(str(index)) for index in range(8)])
    assert [result.error for result in results.values()] == [None] * 8
    assert max(stylizer.batches) <= 8 and stylizer.batches[-1] <= 2


async def test_a_device_error_ends_the_worker_and_keeps_the_jobs(settings: Settings, tiny_checkpoints: Path) -> None:
    class Broken(FailingStylizer):
        def failure(self, inputs: Sequence[StylizeInput]) -> Exception | None:
            return torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(DeviceFailed):
        await work(settings, Broken(tiny_checkpoints), [job("a")])
    time.sleep(settings.lease_ms / 1000)
    results = await work(settings, FailingStylizer(tiny_checkpoints), [])  # another worker, no new job
    assert results["a"].error is None


async def test_a_forward_pass_that_hangs_ends_the_worker(settings: Settings, tiny_checkpoints: Path) -> None:
    class Hangs(FailingStylizer):
        def paint(self, model: str, inputs: Sequence[StylizeInput]) -> list[Image.Image]:
            time.sleep(2)
            return []

    quick = settings.model_copy(update={"forward_timeout_s": 0.2})
    with pytest.raises(DeviceFailed, match=r"0\.2 s"):
        await work(quick, Hangs(tiny_checkpoints), [job("a")])


async def test_a_defect_ends_the_worker_instead_of_holding_the_job(
    settings: Settings, tiny_checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.worker.codecs.ResultInfo", lambda **_info: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await work(settings, FailingStylizer(tiny_checkpoints), [job("a")])


async def test_as_many_results_come_out_as_jobs_went_in(settings: Settings, tiny_checkpoints: Path) -> None:
    class Loses(FailingStylizer):
        def paint(self, model: str, inputs: Sequence[StylizeInput]) -> list[Image.Image]:
            return super().paint(model, inputs)[1:]

    with pytest.raises(RuntimeError, match="1 jobs went into the batch, 0 results came out"):
        await work(settings, Loses(tiny_checkpoints), [job("a")])


async def test_waiting_for_a_batch_fills_it(settings: Settings, tiny_checkpoints: Path) -> None:
    patient = settings.model_copy(update={"max_wait_ms": 5000, "max_batch_size": 4})
    stylizer = FailingStylizer(tiny_checkpoints)
    started = time.monotonic()
    await work(patient, stylizer, [job(str(index)) for index in range(4)])
    assert stylizer.batches == [4]
    assert time.monotonic() - started < 5  # a full batch does not wait


async def test_what_cannot_be_done_in_the_time_left_is_not_begun(settings: Settings, tiny_checkpoints: Path) -> None:
    class Slow(FailingStylizer):
        def paint(self, model: str, inputs: Sequence[StylizeInput]) -> list[Image.Image]:
            time.sleep(0.3 * len(inputs))
            return super().paint(model, inputs)

    small = settings.model_copy(update={"max_batch_size": 4})
    stylizer = Slow(tiny_checkpoints)
    results = await work(small, stylizer, [job(str(index)) for index in range(16)], within_s=2)
    late = [result for result in results.values() if isinstance(result.error, DeadlinePassed)]
    assert late and len(results) - len(late) == sum(stylizer.batches) < 16


async def test_a_full_redis_takes_no_lease_from_the_living(settings: Settings, tiny_checkpoints: Path) -> None:
    with Redis.from_url(settings.redis_url or "") as redis:
        before = redis.config_get("maxmemory")["maxmemory"]

        class Slow(FailingStylizer):
            def paint(self, model: str, inputs: Sequence[StylizeInput]) -> list[Image.Image]:
                redis.config_set("maxmemory", 1)
                time.sleep(2.5 * settings.lease_ms / 1000)  # the worker itself looks for orphans meanwhile
                return super().paint(model, inputs)

        stylizer = Slow(tiny_checkpoints)
        try:
            results = await work(settings, stylizer, [job("a")])
        finally:
            redis.config_set("maxmemory", before)
        assert results["a"].error is None and stylizer.batches == [1]
        assert not redis.exists(Keys(settings.key_prefix).redelivered)
