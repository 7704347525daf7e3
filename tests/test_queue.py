"""The queue's promises, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest
from redis.asyncio import Redis

from service.errors import InvalidField, JobFailed, QueueFull, QueueUnreachable
from service.queue import CANCEL_GRACE_MS, Job, JobQueue, Result
from service.settings import Settings


@asynccontextmanager
async def queues(settings: Settings, *names: str) -> AsyncIterator[list[JobQueue]]:
    made = [JobQueue(settings.redis_url or "", settings, name) for name in names]
    try:
        yield made
    finally:
        for queue in made:
            await queue.close()


def job(name: str) -> Job:
    return Job(name, {"alpha": 0.5}, {"content": b"\x00\xffbytes"})


def test_a_job_comes_back_as_a_result(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "worker") as (api, worker):
            await worker.prepare()
            await api.enqueue(job("a"), 5)
            (claim,) = await worker.claim(4)
            assert claim.job == job("a") and claim.reply_to == "api" and claim.deliveries == 1
            assert 4 < claim.deadline - monotonic() <= 5
            assert await worker.complete(claim, Result(b"image", {"batch_size": 1}))
            assert await api.replies() == ["a"]
            assert await api.take_results(["a"]) == {"a": Result(b"image", {"batch_size": 1})}
            assert await api.take_results(["a"]) == {}
            assert (await api.status()).depth == 0

    asyncio.run(scenario())


def test_jobs_older_than_the_first_worker_are_found(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "worker") as (api, worker):
            await api.enqueue(job("a"), 5)
            await worker.prepare()
            await worker.prepare()  # of the second worker
            assert [claim.job.id for claim in await worker.claim(4)] == ["a"]

    asyncio.run(scenario())


def test_errors_travel(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "worker") as (api, worker):
            await worker.prepare()
            await api.enqueue(job("a"), 5)
            (claim,) = await worker.claim(1)
            await worker.complete(claim, Result(error=InvalidField("truncated", "content")))
            error = (await api.take_results(["a"]))["a"].error
            assert isinstance(error, InvalidField) and (error.detail, error.field) == ("truncated", "content")

    asyncio.run(scenario())


def test_enqueue_twice_is_once(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "worker") as (api, worker):
            await worker.prepare()
            await api.enqueue(job("a"), 5)
            await api.enqueue(job("a"), 5)
            assert len(await worker.claim(4)) == 1

    asyncio.run(scenario())


def test_the_first_result_wins(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "one", "two") as (api, one, two):
            await one.prepare()
            await api.enqueue(job("a"), 5)
            (claim,) = await one.claim(1)
            await asyncio.sleep(settings.lease_ms / 1000 + 0.05)
            second = await two.reclaim()
            assert second is not None and second.deliveries == 2
            assert await two.complete(second, Result(b"second", {}))
            assert not await one.complete(claim, Result(b"first", {}))
            assert (await api.take_results(["a"]))["a"].image == b"second"
            assert (await api.status()).redelivered == 1

    asyncio.run(scenario())


def test_a_living_worker_keeps_its_jobs(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "one", "two") as (api, one, two):
            await one.prepare()
            await api.enqueue(job("a"), 5)
            claims = await one.claim(1)
            for _ in range(4):
                await asyncio.sleep(settings.heartbeat_s)
                await one.extend(claims)
                assert not await two.has_orphans()
            assert await two.reclaim() is None

    asyncio.run(scenario())


def test_only_one_of_two_workers_gets_an_orphan(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "dead", "one", "two") as (api, dead, one, two):
            await dead.prepare()
            for name in "abcd":
                await api.enqueue(job(name), 5)
            assert len(await dead.claim(4)) == 4
            await asyncio.sleep(settings.lease_ms / 1000 + 0.05)
            claims = await asyncio.gather(*(queue.reclaim() for queue in (one, two) for _ in range(4)))
            ids = [claim.job.id for claim in claims if claim is not None]
            assert sorted(ids) == sorted(set(ids)) and set(ids) <= set("abcd") and ids

    asyncio.run(scenario())


def test_a_job_that_outlives_its_workers_is_dead_lettered(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "worker") as (api, worker):
            await worker.prepare()
            await api.enqueue(job("poison"), 30)
            assert len(await worker.claim(1)) == 1
            for deliveries in range(2, settings.max_deliveries + 1):
                await asyncio.sleep(settings.lease_ms / 1000 + 0.05)
                claim = await worker.reclaim()
                assert claim is not None and claim.deliveries == deliveries
            await asyncio.sleep(settings.lease_ms / 1000 + 0.05)
            assert await worker.reclaim() is None
            assert isinstance((await api.take_results(["poison"]))["poison"].error, JobFailed)
            status = await api.status()
            assert (status.depth, status.dead_lettered) == (0, 1)

    asyncio.run(scenario())


def test_cancelled_and_late_jobs_are_not_given_out(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "worker") as (api, worker):
            await worker.prepare()
            await api.enqueue(job("cancelled"), 5)
            await api.enqueue(job("late"), 0.05)
            await api.enqueue(job("kept"), 5)
            await api.cancel("cancelled")
            await asyncio.sleep(0.1)
            assert [claim.job.id for claim in await worker.claim(4)] == ["kept"]
            assert (await api.status()).depth == 1

    asyncio.run(scenario())


def test_who_waited_in_vain_leaves_nothing_in_the_queue(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api") as (api,):
            await api.enqueue(job("a"), 0.05)
            await asyncio.sleep(0.2)
            await api.cancel("a")
            assert (await api.status()).depth == 0

    asyncio.run(scenario())


def test_a_cancelled_job_that_is_held_is_known_and_its_result_dropped(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "worker") as (api, worker):
            await worker.prepare()
            await api.enqueue(job("a"), 5)
            await api.enqueue(job("b"), 5)
            claims = await worker.claim(2)
            await api.cancel("a")
            assert await worker.still_wanted(claims) == [False, True]
            assert not await worker.complete(claims[0], Result(b"image", {}))
            assert await api.take_results(["a"]) == {}

    asyncio.run(scenario())


def test_released_jobs_are_claimed_at_once_and_not_counted(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "one", "two") as (api, one, two):
            await one.prepare()
            await api.enqueue(job("a"), 5)
            claims = await one.claim(1)
            await one.release(claims)
            await one.leave()
            (claim,) = await two.claim(1)
            assert claim.job.id == "a" and claim.deliveries == 1
            await api.cancel("a")  # finds the new entry
            assert (await api.status()).depth == 0

    asyncio.run(scenario())


def test_a_full_queue_refuses(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "worker") as (api, worker):
            await worker.prepare()
            for index in range(settings.max_queue):
                await api.enqueue(job(str(index)), 5)
            with pytest.raises(QueueFull, match="8 jobs"):
                await api.enqueue(job("one too many"), 5)
            (claim,) = await worker.claim(1)
            with pytest.raises(QueueFull):  # running jobs count
                await api.enqueue(job("one too many"), 5)
            await worker.complete(claim, Result(b"", {}))
            await api.enqueue(job("fits"), 5)

    asyncio.run(scenario())


def test_a_redis_without_memory_is_a_full_queue(settings: Settings) -> None:
    async def scenario() -> None:
        big = Job("big", {}, {"content": bytes(2_000_000)})
        redis = Redis.from_url(settings.redis_url or "")
        async with queues(settings, "api", "worker") as (api, worker):
            await worker.prepare()
            await api.enqueue(job("small"), 5)
            (claim,) = await worker.claim(1)
            before = await redis.config_get("maxmemory")
            try:
                await redis.config_set("maxmemory", 1)
                with pytest.raises(QueueFull, match="no memory"):
                    await api.enqueue(big, 5)
                assert await worker.complete(claim, Result(b"image", {}))  # answers still go out
            finally:
                await redis.config_set("maxmemory", before["maxmemory"])
                await redis.aclose()

    asyncio.run(scenario())


def test_nothing_stays_behind(settings: Settings) -> None:
    async def scenario() -> None:
        short = settings.model_copy(update={"result_ttl_s": 0.2})
        redis = Redis.from_url(settings.redis_url or "")
        async with queues(short, "api", "worker") as (api, worker):
            await worker.prepare()
            for name in ("answered", "late", "cancelled"):
                await api.enqueue(job(name), 0.3)
            claims = {claim.job.id: claim for claim in await worker.claim(4)}
            await worker.complete(claims["answered"], Result(b"image", {}))
            await api.cancel("cancelled")
            await worker.drop([claims["late"].entry])
            await worker.leave()
            await asyncio.sleep(0.3 + CANCEL_GRACE_MS / 1000)
            keys = [key.decode() async for key in redis.scan_iter(f"{settings.key_prefix}:*")]
            await redis.aclose()
        assert keys == [f"{settings.key_prefix}:jobs"]

    asyncio.run(scenario())


def test_a_queue_that_is_away_says_so(settings: Settings) -> None:
    async def scenario() -> None:
        gone = settings.model_copy(update={"redis_url": "unix:///nonexistent/socket"})
        async with queues(gone, "api") as (api,):
            with pytest.raises(QueueUnreachable):
                await api.enqueue(job("a"), 5)
            with pytest.raises(QueueUnreachable):
                await api.status()

    asyncio.run(scenario())


def test_workers_are_seen_by_their_beat(settings: Settings) -> None:
    async def scenario() -> None:
        async with queues(settings, "api", "worker") as (api, worker):
            await worker.prepare()
            await worker.beat({"state": "ready"})
            (beat,) = (await api.status()).workers
            assert beat.name == "worker" and beat.is_ready(500)
            await asyncio.sleep(0.1)
            assert not (await api.status()).workers[0].is_ready(50)
            await worker.leave()
            assert (await api.status()).workers == ()

    asyncio.run(scenario())
