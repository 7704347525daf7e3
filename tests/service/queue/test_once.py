"""A job is done once, whoever stands still meanwhile; what Redis knows is not sent to it again. On a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.errors import Conflict
from service.queue.jobs import Claim, Job, Result
from service.queue.queue import JobQueue
from service.queue.records import Accepted, JobRecords
from service.queue.replies import Dispatcher
from service.settings import Settings

ACCEPTED = Accepted(1_700_000_000.5, "request-7", "webp", None, "fingerprint")
PHOTO = bytes(3_000_000)


class Ends:
    """Two API processes and two workers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.queues = [JobQueue(settings.redis_url or "", settings, name) for name in ("api", "other", "one", "two")]
        self.api, self.other_api, self.one, self.two = self.queues
        self.records = JobRecords(self.api.redis, settings)

    async def enqueue(self, queue: JobQueue, alpha: float = 1.0) -> bool:
        return await queue.enqueue(Job("keyed", {"alpha": alpha}, {"content": b"photo"}), 5, ACCEPTED)

    async def claim(self, queue: JobQueue) -> Claim:
        (claim,) = await queue.claim(1)
        return claim

    async def lease_ends(self) -> None:
        await asyncio.sleep(self.settings.lease_ms / 1000 + 0.05)
        assert await self.two.reclaim() == 1


@asynccontextmanager
async def playing(settings: Settings) -> AsyncIterator[Ends]:
    ends = Ends(settings)
    await ends.one.prepare()
    await ends.one.heartbeat({"state": "ready"})
    try:
        yield ends
    finally:
        for queue in ends.queues:
            await queue.close()


async def test_a_worker_that_stood_still_does_not_begin_what_others_have(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.enqueue(ends.api)
        claim = await ends.claim(ends.one)
        assert await ends.one.still_wanted([claim]) == [True]
        await ends.lease_ends()
        assert await ends.one.still_wanted([claim]) == [False]
        assert not await ends.one.begin(claim)
        await ends.one.drop(claim)
        second = await ends.claim(ends.two)
        assert await ends.two.begin(second) and second.deliveries == 1
        assert await ends.two.complete(second, Result(b"image", {}))
        assert not await ends.one.complete(claim, Result(b"late", {}))
        assert await ends.records.result("keyed") == Result(b"image", {})
        assert await ends.api.uncounted() == [{}]
        assert not await ends.enqueue(ends.other_api), "it is answered with what is kept"


async def test_a_late_result_does_not_answer_another_request_with_the_same_key(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.enqueue(ends.api)
        stale = await ends.claim(ends.one)  # and stands still
        await ends.api.cancel("keyed")
        assert await ends.enqueue(ends.other_api, alpha=0.5), "its client left: the next one may be another request"
        assert not await ends.one.complete(stale, Result(b"of the first", {}))
        fresh = await ends.claim(ends.two)
        assert fresh.job.parameters == {"alpha": 0.5}
        assert await ends.two.complete(fresh, Result(b"of the second", {}))
        assert (await ends.other_api.take_results(["keyed"]))["keyed"].image == b"of the second"


async def test_an_api_that_stood_still_cancels_no_job_of_another(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.enqueue(ends.api)
        await ends.api.cancel("keyed")
        await ends.enqueue(ends.other_api)
        await ends.api.cancel("keyed")  # once more, late
        assert (await ends.claim(ends.one)).job.id == "keyed"


# ---- the dispatcher -----------------------------------------------------------------------------------------------


async def sent_bytes(queue: JobQueue) -> int:
    info: dict[str, Any] = await queue.redis.commands.info("stats")
    return int(info["total_net_input_bytes"])


async def test_what_redis_knows_is_not_sent_again_and_what_it_forgot_is(settings: Settings) -> None:
    async with playing(settings) as ends:
        dispatcher = Dispatcher(ends.api, settings, lambda _info: None)
        jobs = {name: Job(name, {}, {"content": PHOTO}) for name in ("a", "b", "keyed")}
        waiting = {}
        for name, job in jobs.items():
            waiting[name] = asyncio.create_task(dispatcher.submit(job, ACCEPTED if name == "keyed" else None))
            while (await ends.api.status()).depth < len(waiting):
                await asyncio.sleep(0.02)
        before = await sent_bytes(ends.api)
        await dispatcher._sweep()
        assert await sent_bytes(ends.api) - before < 100_000
        (claim,) = await ends.one.claim(1)
        await ends.one.complete(claim, Result(b"image", {}))
        async for key in ends.api.redis.commands.scan_iter(f"{settings.key_prefix}:*"):
            if claim.job.id.encode() not in key.split(b":"):
                await ends.api.redis.commands.delete(key)  # as a restart without data does
        await ends.one.prepare()
        await ends.one.heartbeat({"state": "ready"})
        await dispatcher._sweep()  # as after the reader's trouble
        assert await waiting["a"] == Result(b"image", {})
        for claim in await ends.one.claim(4):
            assert claim.job.blobs == {"content": PHOTO}
            await ends.one.complete(claim, Result(b"second", {}))
        await dispatcher._sweep()
        assert [(await waiting[name]).image for name in ("b", "keyed")] == [b"second", b"second"]
        assert await ends.records.result("keyed") == Result(b"second", {}), "its record was opened again"
        with pytest.raises(Conflict):
            await dispatcher.submit(jobs["keyed"], ACCEPTED)
        await dispatcher.stop()


async def test_what_is_just_being_sent_is_not_looked_for(settings: Settings) -> None:
    async with playing(settings) as ends:
        dispatcher = Dispatcher(ends.api, settings, lambda _info: None)
        task = asyncio.create_task(dispatcher.submit(Job("keyed", {}, {"content": PHOTO}), ACCEPTED))
        while "keyed" not in dispatcher._awaited:
            await asyncio.sleep(0)
        await dispatcher._sweep()
        claim = await ends.claim(ends.one)
        await ends.one.complete(claim, Result(b"image", {}))
        await dispatcher._sweep()
        assert (await task).image == b"image"
        await dispatcher.stop()
