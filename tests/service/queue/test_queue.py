"""The queue's promises, on a real server."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest
from by_hand import progress_of
from redis.asyncio import Redis

from service.errors import InvalidField, JobFailed, QueueFull, QueueUnreachable
from service.queue.jobs import Job, JobProgress, Result, Saved, Standing
from service.queue.keys import GROUP, Keys
from service.queue.queue import CANCEL_GRACE_MS, JobQueue
from service.queue.records import Accepted
from service.queue.replies import Dispatcher
from service.queue.styles import RegisteredStyle, StyleStore
from service.settings import Settings


@asynccontextmanager
async def queues(settings: Settings, *names: str) -> AsyncIterator[list[JobQueue]]:
    made = [JobQueue(settings.redis_url or "", settings, name) for name in names]
    try:
        yield made
    finally:
        for queue in made:
            await queue.close()


async def lease_ends(settings: Settings) -> None:
    await asyncio.sleep(settings.lease_ms / 1000 + 0.05)


def job(name: str) -> Job:
    return Job(name, {"alpha": 0.5}, {"content": b"\x00\xffbytes"})


async def test_a_job_comes_back_as_a_result(settings: Settings) -> None:
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


async def test_each_image_is_counted_by_one_api_process(settings: Settings) -> None:
    async with queues(settings, "api", "other api", "worker") as (api, other, worker):
        await worker.prepare()
        for name in ("awaited", "failed", "cancelled"):
            await api.enqueue(job(name), 5)
        await api.enqueue(job("asynchronous"), 5, Accepted(0.0, "request", "png", None), is_awaited=False)
        claims = {claim.job.id: claim for claim in await worker.claim(8)}
        await api.cancel("cancelled")
        assert await worker.complete(claims["failed"], Result(error=JobFailed("it failed")))
        assert not await worker.complete(claims["cancelled"], Result(b"image", {"model": "cancelled"}))
        assert await other.uncounted() == []
        for name in ("awaited", "asynchronous"):
            assert await worker.complete(claims[name], Result(b"image", {"model": name}))
            assert not await worker.complete(claims[name], Result(b"image", {"model": "second"}))
        assert await other.uncounted() == [{"model": "awaited"}, {"model": "asynchronous"}]
        assert await api.uncounted() == []


async def test_jobs_older_than_the_first_worker_are_found(settings: Settings) -> None:
    async with queues(settings, "api", "worker") as (api, worker):
        await api.enqueue(job("a"), 5)
        await worker.prepare()
        await worker.prepare()  # of the second worker
        assert [claim.job.id for claim in await worker.claim(4)] == ["a"]


async def test_a_worker_that_leaves_a_new_queue_is_told_that_it_is_empty(settings: Settings) -> None:
    queue = JobQueue(settings.redis_url or "", settings, "worker")
    try:
        with pytest.raises(QueueUnreachable, match="was emptied"):
            await queue.leave()  # before it has prepared anything
    finally:
        await queue.close()


async def test_errors_travel(settings: Settings) -> None:
    async with queues(settings, "api", "worker") as (api, worker):
        await worker.prepare()
        await api.enqueue(job("a"), 5)
        (claim,) = await worker.claim(1)
        await worker.complete(claim, Result(error=InvalidField("truncated", "content")))
        error = (await api.take_results(["a"]))["a"].error
        assert isinstance(error, InvalidField) and (error.detail, error.field) == ("truncated", "content")


async def test_enqueue_twice_is_once(settings: Settings) -> None:
    async with queues(settings, "api", "worker") as (api, worker):
        await worker.prepare()
        await api.enqueue(job("a"), 5)
        await api.enqueue(job("a"), 5)
        assert len(await worker.claim(4)) == 1


async def test_the_first_result_wins(settings: Settings) -> None:
    async with queues(settings, "api", "one", "two") as (api, one, two):
        await one.prepare()
        await api.enqueue(job("a"), 5)
        (claim,) = await one.claim(1)
        assert await one.begin(claim)
        await lease_ends(settings)
        assert await two.reclaim() == 1
        second = await two.claim_suspect()
        assert second is not None and second.deliveries == 2
        assert await two.complete(second, Result(b"second", {}))
        assert not await one.complete(claim, Result(b"first", {}))
        assert (await api.take_results(["a"]))["a"].image == b"second"
        status = await api.status()
        assert (status.depth, status.redelivered) == (0, 1)


async def test_a_worker_that_stood_still_may_answer_first(settings: Settings) -> None:
    async with queues(settings, "api", "one", "two") as (api, one, two):
        await one.prepare()
        await api.enqueue(job("a"), 5)
        (claim,) = await one.claim(1)
        await one.begin(claim)
        await lease_ends(settings)
        assert await two.reclaim() == 1
        await one.extend([claim])
        await one.release([claim])  # it is not this worker's any more
        assert await one.complete(claim, Result(b"first", {}))
        assert await two.claim_suspect() is None
        assert (await api.status()).depth == 0


async def test_a_living_worker_keeps_its_jobs(settings: Settings) -> None:
    async with queues(settings, "api", "one", "two") as (api, one, two):
        await one.prepare()
        await api.enqueue(job("a"), 5)
        claims = await one.claim(1)
        for _ in range(4):
            await asyncio.sleep(settings.heartbeat_s)
            await one.extend(claims)
            assert await two.reclaim() == 0


async def test_what_a_dead_worker_had_not_begun_goes_back_at_once(settings: Settings) -> None:
    async with queues(settings, "api", "dead", "one", "two") as (api, dead, one, two):
        await dead.prepare()
        for name in "abcd":
            await api.enqueue(job(name), 5)
        claims = await dead.claim(4)
        assert await dead.begin(claims[1])
        await lease_ends(settings)
        assert sorted(await asyncio.gather(one.reclaim(), two.reclaim())) == [0, 4]
        assert [(claim.job.id, claim.deliveries) for claim in await one.claim(9)] == [("a", 1), ("c", 1), ("d", 1)]
        suspect = await two.claim_suspect()
        assert suspect is not None and (suspect.job.id, suspect.deliveries, suspect.lane) == ("b", 2, "suspect")
        status = await api.status()
        assert (status.depth, status.redelivered) == (4, 4)


async def test_one_worker_at_a_time_has_a_suspect(settings: Settings) -> None:
    async with queues(settings, "api", "dead", "one", "two") as (api, dead, one, two):
        await dead.prepare()
        for name in "ab":
            await api.enqueue(job(name), 5)
        for claim in await dead.claim(4):
            await dead.begin(claim)
        await lease_ends(settings)
        assert await one.reclaim() == 2
        taken = await asyncio.gather(*(queue.claim_suspect() for queue in (one, two, one, two)))
        (first,) = [claim for claim in taken if claim is not None]
        for _ in range(3):
            assert await two.claim_suspect() is None
            await asyncio.sleep(settings.heartbeat_s)
            await one.extend([first])
        assert await two.reclaim() == 0
        await one.complete(first, Result(b"image", {}))
        second = await two.claim_suspect()
        assert second is not None and {first.job.id, second.job.id} == {"a", "b"}
        await lease_ends(settings)
        assert await one.reclaim() == 1
        again = await one.claim_suspect()
        assert again is not None and again.deliveries == 2, "it had not begun"
        await api.cancel(again.job.id)
        assert not await one.begin(again)
        assert (await api.status()).depth == 0


async def test_a_job_that_outlives_its_workers_is_dead_lettered(settings: Settings) -> None:
    async with queues(settings, "api", "worker") as (api, worker):
        await worker.prepare()
        await api.enqueue(job("poison"), 30)
        (claim,) = await worker.claim(1)
        for deliveries in range(1, settings.max_deliveries + 1):
            assert claim is not None and claim.deliveries == deliveries
            assert await worker.begin(claim)
            await lease_ends(settings)
            assert await worker.reclaim() == 1
            claim = await worker.claim_suspect()
        assert claim is None
        assert isinstance((await api.take_results(["poison"]))["poison"].error, JobFailed)
        status = await api.status()
        assert (status.depth, status.dead_lettered) == (0, 1)


async def test_what_a_worker_was_given_without_learning_of_it_is_not_lost_when_it_leaves(settings: Settings) -> None:
    async with queues(settings, "api", "one", "two") as (api, one, two):
        await one.prepare()
        await api.enqueue(job("a"), 5)
        assert await one.claim(1)  # as if the reply had been lost
        await one.leave()
        assert [claim.job.id for claim in await two.claim(1)] == ["a"]


async def test_reading_the_status_changes_nothing_and_long_dead_workers_are_forgotten_by_the_living(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def consumers(queue: JobQueue) -> set[str]:
        stream = Keys(settings.key_prefix).stream("interactive")
        return {info["name"].decode() for info in await queue.redis.commands.xinfo_consumers(stream, GROUP)}

    monkeypatch.setattr("service.queue.heartbeat.FORGET_WORKER_MS", 150)
    monkeypatch.setattr("service.queue.queue.FORGET_WORKER_MS", 150)
    async with queues(settings, "api", "dead", "one") as (api, dead, one):
        await dead.prepare()
        await dead.heartbeat({"state": "ready"})
        await dead.claim(1)
        await asyncio.sleep(0.2)
        assert (await api.status()).workers == ()
        assert await consumers(api) == {"dead"}
        assert await api.redis.commands.hlen(Keys(settings.key_prefix).workers) == 1
        await one.heartbeat({"state": "ready"})
        await one.reclaim()
        assert [worker.name for worker in (await api.status()).workers] == ["one"]
        assert await consumers(api) == set()


async def test_cancelled_and_late_jobs_are_not_given_out(settings: Settings) -> None:
    async with queues(settings, "api", "worker") as (api, worker):
        await worker.prepare()
        await api.enqueue(job("cancelled"), 5)
        await api.enqueue(job("late"), 0.05)
        await api.enqueue(job("kept"), 5)
        await api.cancel("cancelled")
        await asyncio.sleep(0.1)
        assert [claim.job.id for claim in await worker.claim(4)] == ["kept"]
        assert (await api.status()).depth == 1


async def test_who_waited_in_vain_leaves_nothing_in_the_queue(settings: Settings) -> None:
    async with queues(settings, "api") as (api,):
        await api.enqueue(job("a"), 0.05)
        await asyncio.sleep(0.2)
        await api.cancel("a")
        assert (await api.status()).depth == 0


async def test_a_cancelled_job_that_is_held_is_known_and_its_result_dropped(settings: Settings) -> None:
    async with queues(settings, "api", "worker") as (api, worker):
        await worker.prepare()
        await api.enqueue(job("a"), 5)
        await api.enqueue(job("b"), 5)
        claims = await worker.claim(2)
        await api.cancel("a")
        assert await worker.still_wanted(claims) == [False, True]
        assert not await worker.complete(claims[0], Result(b"image", {}))
        assert await api.take_results(["a"]) == {}


async def test_released_jobs_are_claimed_at_once_and_not_counted(settings: Settings) -> None:
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


async def test_a_job_that_would_wait_for_more_than_half_of_its_time_is_refused(settings: Settings) -> None:
    async with queues(settings, "api", "worker") as (api, worker):
        await worker.prepare()
        await api.enqueue(job("measured"), 60, workers=1)
        (claim,) = await worker.claim(1)
        assert await worker.complete(claim, Result(b"", {}), took_ms=10_000)
        for index in range(4):
            assert await api.enqueue(job(str(index)), 60, workers=1)
        claims = await worker.claim(2)  # running jobs count
        with pytest.raises(QueueFull, match="about 40 s, at most half of its time, 30 s,") as refused:
            await api.enqueue(job("one too many"), 60, workers=1)
        assert refused.value.retry_after_s == 40
        assert not await api.enqueue(job("0"), 60, workers=1), "it was enqueued before"
        assert await api.enqueue(job("more workers"), 60, workers=2)
        assert await api.enqueue(job("more time"), 120, workers=1)
        assert await api.enqueue(job("accepted before"), 60)
        for claim in claims:
            await worker.complete(claim, Result(b"", {}), took_ms=1000)
        with pytest.raises(QueueFull):
            await api.enqueue(job("one too many"), 60, workers=1)


async def test_the_expected_wait_follows_the_time_that_jobs_take(settings: Settings) -> None:
    async with queues(settings, "api", "worker") as (api, worker):
        await worker.prepare()
        await worker.heartbeat({"state": "ready"})

        async def do(took_ms: float | None) -> None:
            await api.enqueue(job(os.urandom(4).hex()), 5)
            (claim,) = await worker.claim(1)
            assert await worker.complete(claim, Result(b"", {}), took_ms)

        await do(8000)
        assert (await api.status()).job_s == 8
        await do(None)  # one that was not begun says nothing
        assert (await api.status()).job_s == 8
        for _ in range(12):
            await do(1000)
        assert 1 < (await api.status()).job_s < 3
        for index in range(4):
            await api.enqueue(job(str(index)), 5)
        status = await api.status()
        assert status.expected_wait_s(1000) == pytest.approx(4 * status.job_s)


async def test_a_redis_without_memory_is_a_full_queue(settings: Settings) -> None:
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
            assert (await api.status()).memory_share > 1
            assert await worker.begin(claim)
            await worker.extend([claim])
            await worker.heartbeat({"state": "ready"})
            assert await worker.report(claim, JobProgress(1, 2), Saved(1, b"png")) is Standing.WANTED
            await worker.reclaim()
            await worker.release([claim])
            (claim,) = await worker.claim(1)
            assert await worker.complete(claim, Result(b"image", {}))  # answers still go out
        finally:
            await redis.config_set("maxmemory", before["maxmemory"])
            await redis.aclose()


async def test_beyond_a_share_of_the_memory_no_jobs_are_taken(settings: Settings) -> None:
    redis = Redis.from_url(settings.redis_url or "")
    async with queues(settings, "api", "worker") as (api, worker):
        dispatcher = Dispatcher(api, settings, lambda _info: None)
        await worker.prepare()
        await worker.heartbeat({"state": "ready"})
        before = await redis.config_get("maxmemory")
        try:
            await redis.config_set("maxmemory", int((await redis.info("memory"))["used_memory"] / 0.9))
            with pytest.raises(QueueFull, match=r"full to (89|9\d)%, jobs are taken up to 85%"):
                await dispatcher.accept(job("a"), Accepted(0.0, "request", "png", None))
            await redis.acl_setuser("default", commands=["-info"])
            assert (await api.status()).memory_share == 0, "it is not told"
        finally:
            await redis.acl_setuser("default", enabled=True, nopass=True, commands=["+info"])
            await redis.config_set("maxmemory", before["maxmemory"])
            await redis.aclose()
        await dispatcher.accept(job("a"), Accepted(0.0, "request", "png", None))
        assert (await api.status()).depth == 1


async def test_files_pass_through_no_script_and_none_is_left_over(settings: Settings) -> None:
    file, redis = bytes(300_000), Redis.from_url(settings.redis_url or "")
    async with queues(settings, "api", "worker") as (api, worker):
        await worker.prepare()
        before = await redis.config_get("slowlog-log-slower-than")
        try:
            await redis.config_set("slowlog-log-slower-than", 0)
            await redis.slowlog_reset()
            for name in ("a", "b"):
                assert await api.enqueue(Job(name, {}, {"content": file, "style-0": file}), 5)
                assert not await api.enqueue(Job(name, {}, {"content": file}), 5)
            claims = await worker.claim(2)
            await api.cancel("b")
            outcomes = [await worker.complete(claim, Result(file, {}, blobs={"painting": file})) for claim in claims]
            assert outcomes == [True, False]
            taken = await api.take_results(["a", "b"])
            assert taken == {"a": Result(file, {}, blobs={"painting": file})}
            style = RegisteredStyle("s", "S", "", None, "", "digest")
            styles = StyleStore(api.redis, settings)
            assert await styles.add(style, file, b"preview") and not await styles.add(style, file, b"preview")
            assert await styles.painting("s") == file
            assert await redis.ttl(Keys(settings.key_prefix).style("s")) == -1
            commands = [entry["command"] for entry in await redis.slowlog_get(128)]
        finally:
            await redis.config_set("slowlog-log-slower-than", before["slowlog-log-slower-than"])
        long = {command.split()[0] for command in commands if re.search(rb"\(\d{5,} more bytes\)", command)}
        assert long == {b"HSET"} and any(command.startswith(b"EVALSHA") for command in commands)
        keys = [key.decode() async for key in redis.scan_iter(f"{settings.key_prefix}:staged:*")]
        await redis.aclose()
    assert keys == []


async def test_scripts_that_redis_has_forgotten_are_loaded_again(settings: Settings) -> None:
    async with queues(settings, "api", "worker") as (api, worker):
        await worker.prepare()
        await api.enqueue(job("a"), 5)
        await api.redis.commands.script_flush()
        await api.enqueue(job("b"), 5)
        assert [claim.job.id for claim in await worker.claim(4)] == ["a", "b"]


async def test_nothing_stays_behind(settings: Settings) -> None:
    short = settings.model_copy(update={"result_ttl_s": 0.2})
    redis = Redis.from_url(settings.redis_url or "")
    async with queues(short, "api", "worker") as (api, worker):
        await worker.prepare()
        for name in ("answered", "late", "cancelled"):
            await api.enqueue(job(name), 0.3)
        claims = {claim.job.id: claim for claim in await worker.claim(4)}
        await worker.complete(claims["answered"], Result(b"image", {}))
        await api.cancel("cancelled")
        await worker.drop(claims["late"])
        await worker.leave()
        await asyncio.sleep(0.3 + CANCEL_GRACE_MS / 1000)
        keys = [key.decode() async for key in redis.scan_iter(f"{settings.key_prefix}:*")]
        await redis.aclose()
    assert sorted(keys) == [f"{settings.key_prefix}:jobs{lane}" for lane in ("", ":background", ":suspect")]


async def test_a_queue_that_is_away_says_so(settings: Settings) -> None:
    gone = settings.model_copy(update={"redis_url": "unix:///nonexistent/socket"})
    async with queues(gone, "api") as (api,):
        with pytest.raises(QueueUnreachable):
            await api.enqueue(job("a"), 5)
        with pytest.raises(QueueUnreachable):
            await api.status()


async def test_workers_are_seen_by_their_heartbeat(settings: Settings) -> None:
    async with queues(settings, "api", "worker") as (api, worker):
        await worker.prepare()
        await worker.heartbeat({"state": "ready"})
        (info,) = (await api.status()).workers
        assert info.name == "worker" and info.is_ready(500)
        await asyncio.sleep(0.1)
        assert not (await api.status()).workers[0].is_ready(50)
        await worker.leave()
        assert (await api.status()).workers == ()


def long_job(name: str) -> Job:
    return Job(name, {"method": "gatys"}, {"content": b"bytes"})


async def test_long_jobs_have_a_lane_of_their_own(settings: Settings) -> None:
    async with queues(settings, "api", "worker") as (api, worker):
        await worker.prepare()
        await api.enqueue(long_job("long"), 5)
        await api.enqueue(job("short"), 5, workers=1)
        await api.enqueue(long_job("longer"), 5)
        status = await api.status()
        assert (status.depth, status.background_depth) == (1, 2)
        (short,), (long, longer) = await worker.claim(4), await worker.claim(4, "background")
        assert [claim.job.id for claim in (short, long, longer)] == ["short", "long", "longer"]
        assert await worker.complete(long, Result(b"image", {}))
        await worker.drop(longer)
        assert await worker.still_wanted([short]) == [True]
        assert await api.replies() == ["long"]  # one list of replies for both
        status = await api.status()
        assert (status.depth, status.background_depth) == (1, 0)


def tiled_job(name: str) -> Job:
    return Job(name, {"tiled": True}, {"content": b"bytes"})


async def test_pictures_in_tiles_go_before_optimisations_that_wait(settings: Settings) -> None:
    async with queues(settings, "api", "one", "two") as (api, one, two):
        for name in ("x", "y"):
            await api.enqueue(long_job(name), 5)
        await api.enqueue(tiled_job("a"), 5)  # before the first worker has come
        await one.prepare()
        await api.enqueue(long_job("z"), 5)
        (running,) = await one.claim(1, "background")
        assert running.job.id == "a"
        await api.enqueue(tiled_job("b"), 5)
        await api.cancel("y")  # its entry has moved
        await api.enqueue(tiled_job("c"), 5)
        await one.release([running])
        claims = await two.claim(9, "background")
        assert [claim.job.id for claim in claims] == ["b", "c", "a", "x", "z"]
        for claim in claims:
            assert await two.complete(claim, Result(b"image", {}))
        assert (await api.status()).background_depth == 0


async def test_an_optimisation_is_preempted_by_a_picture_in_tiles_alone(settings: Settings) -> None:
    async with queues(settings, "api", "one", "two") as (api, one, two):
        await one.prepare()
        await api.enqueue(long_job("a"), 5)
        (claim,) = await one.claim(1, "background")
        told = JobProgress(1, 9)
        assert await one.report(claim, told) is Standing.WANTED
        await api.enqueue(long_job("b"), 5)
        await api.enqueue(job("short"), 5)
        assert await one.report(claim, told) is Standing.WANTED
        await api.enqueue(tiled_job("large"), 5)
        assert await one.report(claim, told) is Standing.PREEMPTED
        (large,) = await two.claim(1, "background")
        assert large.job.id == "large"
        assert await one.report(claim, told) is Standing.WANTED, "another worker has it"
        await api.enqueue(tiled_job("larger"), 5)
        assert await two.report(large, told) is Standing.WANTED, "they do not preempt each other"
        await api.cancel("a")
        assert await one.report(claim, told) is Standing.UNWANTED


async def test_each_kind_of_the_background_lane_waits_for_those_that_go_before_it(settings: Settings) -> None:
    async with queues(settings, "api", "worker") as (api, worker):
        await worker.prepare()
        for each in (long_job("x"), long_job("y"), tiled_job("a"), job("short"), tiled_job("b")):
            await api.enqueue(each, 5)
        # As long as none was measured, one in tiles counts as 10 s, and an optimisation as 60 s.
        for each, wait_s in ((long_job("z"), 140), (tiled_job("c"), 20)):
            with pytest.raises(QueueFull, match=f"about {wait_s} s") as refused:
                await api.enqueue(each, 2 * wait_s - 2, workers=1)
            assert refused.value.retry_after_s == wait_s
        status = await api.status()
        assert (status.depth, status.background_depth) == (1, 4)
        for _ in "ab":
            (claim,) = await worker.claim(1, "background")
            assert await worker.complete(claim, Result(b"image", {}), took_ms=30_000)
        (claim,) = await worker.claim(1, "background")
        assert claim.job.id == "x" and await worker.complete(claim, Result(b"image", {}), took_ms=4000)
        await api.enqueue(tiled_job("c"), 5, workers=1)
        with pytest.raises(QueueFull, match="about 34 s"):
            await api.enqueue(long_job("z"), 5, workers=1)


async def test_a_lane_is_extended_reclaimed_and_cancelled_by_itself(settings: Settings) -> None:
    async with queues(settings, "api", "one", "two") as (api, one, two):
        await one.prepare()
        for each in (long_job("long"), job("short"), long_job("cancelled")):
            await api.enqueue(each, 5)
        await api.cancel("cancelled")
        claims = [*await one.claim(4), *await one.claim(4, "background")]
        assert [claim.job.id for claim in claims] == ["short", "long"]
        for claim in claims:
            await one.begin(claim)
        for _ in range(4):
            await asyncio.sleep(settings.heartbeat_s)
            await one.extend(claims)
        assert await two.reclaim() == 0
        await lease_ends(settings)
        assert await two.reclaim() == 2
        (reclaimed,) = await two.claim(1, "background")
        assert (reclaimed.job.id, reclaimed.deliveries) == ("long", 2), "it does not run alone"
        suspect = await two.claim_suspect()
        assert suspect is not None and suspect.job.id == "short"
        await api.cancel("long")
        assert (await api.status()).background_depth == 0


async def test_progress_is_told_and_a_later_worker_goes_on_from_what_was_saved(settings: Settings) -> None:
    async with queues(settings, "api", "one", "two") as (api, one, two):
        await one.prepare()
        assert await progress_of(api, "a") is None
        await api.enqueue(long_job("a"), 5)
        assert await progress_of(api, "a") == JobProgress()
        (claim,) = await one.claim(1, "background")
        assert claim.saved is None
        told = JobProgress(3, 12, {"style": 0.5}, b"small")
        assert await one.report(claim, told, Saved(2, b"large"))
        assert await progress_of(api, "a") == told and told.share == 0.25
        assert await one.report(claim, JobProgress(4, 12, {"style": 0.4}))  # the rest stays
        assert await progress_of(api, "a") == JobProgress(4, 12, {"style": 0.4}, b"small")
        await one.release([claim])
        (claim,) = await two.claim(1, "background")
        assert claim.saved == Saved(2, b"large") and claim.job == long_job("a")
        assert await two.complete(claim, Result(b"image", {}))
        assert await progress_of(api, "a") is None
        assert not await one.report(claim, told)
        assert await progress_of(api, "a") is None


async def test_a_released_job_keeps_its_earlier_deliveries(settings: Settings) -> None:
    async with queues(settings, "api", "one", "two") as (api, one, two):
        await one.prepare()
        await api.enqueue(long_job("a"), 5)
        for deliveries in (1, 2):
            (claim,) = await one.claim(1, "background")
            assert claim.deliveries == deliveries
            await one.begin(claim)
            await lease_ends(settings)
            assert await two.reclaim() == 1
            (claim,) = await two.claim(1, "background")
            assert claim.deliveries == deliveries + 1
            await two.begin(claim)
            await two.release([claim])


async def test_a_streams_length_counts_what_waits_and_runs(settings: Settings) -> None:
    """Autoscalers read it. The group's lag, which they offer too, is unknown once jobs ended out of order."""
    redis = Redis.from_url(settings.redis_url or "")
    stream = Keys(settings.key_prefix).stream("interactive")
    async with queues(settings, "api", "slow", "quick") as (api, slow, quick):
        await slow.prepare()
        for number in range(8):
            await api.enqueue(job(str(number)), 30)
        held = await slow.claim(2)
        done = await quick.claim(3)
        assert await redis.xlen(stream) == 8
        for claim in reversed(done):  # out of order
            assert await quick.complete(claim, Result(b"image"))
        assert await redis.xlen(stream) == 5
        await api.cancel("7")  # it waits
        await api.cancel(held[0].job.id)  # it runs
        assert await slow.still_wanted(held) == [False, True]
        assert await redis.xlen(stream) <= 4
        assert await slow.complete(held[1], Result(b"image"))
        left = await quick.claim(8)
        assert sorted(claim.job.id for claim in left) == ["5", "6"]
        for claim in left:
            assert await quick.complete(claim, Result(b"image"))
        await slow.drop(held[0])
        assert await redis.xlen(stream) == 0
    await redis.aclose()
