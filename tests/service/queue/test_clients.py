"""Clients take turns in every lane, and their jobs count towards their limit until they end; on a real server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from service.errors import QueueFull
from service.queue.jobs import Claim, Job, Lane, Result
from service.queue.limits import RunningRequests
from service.queue.queue import JobQueue
from service.queue.records import Accepted, JobRecords
from service.settings import Settings

ACCEPTED = Accepted(1_700_000_000.5, "request-7", "webp", None)


class Ends:
    """Both ends of a queue. A job's name is its client's and a number; requests run as long as their job."""

    def __init__(self, settings: Settings) -> None:
        self.api, self.worker = (JobQueue(settings.redis_url or "", settings, name) for name in ("api", "worker"))
        self.running = RunningRequests(self.api.redis, settings)
        self.records = JobRecords(self.api.redis, settings)

    async def enqueue(
        self, *names: str, time_left_s: float = 30, workers: int | None = None, **parameters: str
    ) -> None:
        for name in names:
            client = name.rstrip("0123456789")
            await self.running.start(client)
            await self.api.enqueue(Job(name, parameters, {}, client), time_left_s, workers=workers)

    async def accept(self, name: str, time_left_s: float = 30) -> bool:
        """As an asynchronous request of Alice, whose own count ends at once; tell whether she may send it."""
        request_id = await self.running.start("alice")
        if request_id is None:
            return False
        await self.api.enqueue(Job(name, {}, {}, "alice"), time_left_s, ACCEPTED, is_awaited=False)
        await self.running.end("alice", request_id)
        return True

    async def claimed(self, count: int = 99, lane: Lane = "interactive") -> list[str]:
        return [claim.job.id for claim in await self.worker.claim(count, lane)]

    async def claim(self) -> Claim:
        (claim,) = await self.worker.claim(1)
        return claim


@asynccontextmanager
async def playing(settings: Settings) -> AsyncIterator[Ends]:
    ends = Ends(settings)
    await ends.worker.prepare()
    try:
        yield ends
    finally:
        await ends.running.stop()
        for queue in (ends.api, ends.worker):
            await queue.close()


# ---- turns --------------------------------------------------------------------------------------------------------


async def test_one_that_sends_much_keeps_nobody_else_waiting(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.enqueue(*(f"a{number}" for number in range(1, 7)))
        await ends.enqueue("b1", "b2", "c1")
        assert (await ends.api.status()).depth == 9
        assert await ends.claimed(3) == ["a1", "b1", "c1"]
        await ends.enqueue("b3", "d1")
        assert await ends.claimed() == ["a2", "b2", "d1", "a3", "b3", "a4", "a5", "a6"]


async def test_who_was_served_before_is_not_put_behind_for_it(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.enqueue(*(f"a{number}" for number in range(1, 7)))
        assert len(await ends.claimed()) == 6
        await ends.enqueue("b1", "b2", "b3", "a7", "a8")
        assert await ends.claimed() == ["b1", "a7", "b2", "a8", "b3"]


async def test_who_cancels_much_is_not_put_behind_for_it(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.enqueue("b1", "b2", "b3")
        for number in range(1, 20):
            request_id = await ends.running.start("a") or ""
            await ends.api.enqueue(Job(f"a{number}", {}, {}, "a"), 30)
            await ends.api.cancel(f"a{number}")
            await ends.running.end("a", request_id)
        await ends.enqueue("a20")
        assert await ends.claimed() == ["b1", "b2", "a20", "b3"]


async def test_without_clients_the_first_is_the_first(settings: Settings) -> None:
    async with playing(settings) as ends:
        for number in range(1, 6):
            await ends.api.enqueue(Job(str(number), {}, {}), 30)
        assert await ends.claimed() == ["1", "2", "3", "4", "5"]
        keys = [key async for key in ends.api.redis.commands.scan_iter(f"{settings.key_prefix}:*turns*")]
        assert keys == []


async def test_turns_in_the_background_lane_and_of_jobs_that_come_back(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.enqueue("a1", "a2", "a3", "b1", method="gatys")
        await ends.enqueue("b2", tiled="yes")
        assert await ends.claimed(lane="background") == ["b2", "a1", "b1", "a2", "a3"]
        await ends.worker.leave()
        await ends.worker.prepare()
        assert sorted(await ends.claimed(lane="background")) == ["a1", "a2", "a3", "b1", "b2"]


async def test_what_waits_behind_is_not_waited_for(settings: Settings) -> None:
    async with playing(settings) as ends:
        with pytest.raises(QueueFull):
            await ends.enqueue(*(f"a{number}" for number in range(1, 99)), time_left_s=4, workers=1)
        await ends.enqueue("b1", time_left_s=4, workers=1)
        assert await ends.claimed(2) == ["a1", "b1"]


# ---- limits -------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(settings: Settings) -> Settings:
    """At most two at once."""
    return settings.model_copy(update={"max_requests_per_key": 2, "lease_ms": 500})


@pytest.mark.parametrize("end", ["completed", "cancelled", "running and cancelled", "late"])
async def test_a_job_counts_until_it_ends(two: Settings, end: str) -> None:
    async with playing(two) as ends:
        assert await ends.accept("one", time_left_s=0.3 if end == "late" else 30)
        assert await ends.accept("two")
        assert not await ends.accept("three")
        assert await ends.running.start("bob"), "others are not hurt"
        claim = await ends.claim()
        assert claim.job.id == "one" and not await ends.accept("three")
        if end == "completed":
            assert await ends.worker.complete(claim, Result(b"image", {}))
        elif end == "running and cancelled":
            assert await ends.records.cancel("one")
        elif end == "cancelled":
            assert await ends.records.cancel("two")
        else:
            redis = Redis.from_url(two.redis_url or "")
            while await redis.exists(f"{two.key_prefix}:job:one"):
                pass
            await redis.aclose()
        assert await ends.accept("three")
        assert not await ends.accept("four")


async def test_a_job_counts_for_longer_than_a_lease_and_once(two: Settings) -> None:
    async with playing(two) as ends:
        assert await ends.accept("one")
        await ends.running.start("alice")  # whose lease is shorter than the job's time
        redis = Redis.from_url(two.redis_url or "")
        key = f"{two.key_prefix}:running:alice"
        assert await redis.pttl(key) > 20_000
        await ends.worker.complete(await ends.claim(), Result(b"image", {}))
        assert await redis.zcard(key) == 1
        await redis.aclose()
