"""A client's running requests, against a real Redis: exact over processes, and none is lost for longer than a lease."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from service.errors import QueueUnreachable
from service.queue.limits import RunningRequests
from service.queue.redis_client import RedisClient
from service.settings import Settings


@asynccontextmanager
async def two_processes(settings: Settings) -> AsyncIterator[tuple[RunningRequests, RunningRequests]]:
    """The running requests as two API processes see them."""
    clients = [RedisClient(settings.redis_url or "") for _ in range(2)]
    one, other = (RunningRequests(client, settings) for client in clients)
    try:
        yield one, other
    finally:
        for requests, client in zip((one, other), clients, strict=True):
            await requests.stop()
            await client.close()


@pytest.fixture
def three(settings: Settings) -> Settings:
    """At most three at once."""
    return settings.model_copy(update={"max_requests_per_key": 3, "lease_ms": 1500})


async def test_processes_count_together_and_clients_apart(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        assert await one.start("alice")
        assert await other.start("alice")
        assert await one.start("alice")
        assert await one.start("alice") is None
        assert await other.start("alice") is None
        assert await other.start("bob")


async def test_a_request_that_has_ended_does_not_count(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        request_ids = [await one.start("alice") for _ in range(3)]
        assert await other.start("alice") is None
        await one.end("alice", request_ids[1] or "")
        assert await other.start("alice")
        assert await other.start("alice") is None


async def test_many_at_once_never_get_more(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        taken = await asyncio.gather(*((one, other)[index % 2].start("alice") for index in range(40)))
        assert sum(request_id is not None for request_id in taken) == 3


async def test_a_running_request_outlives_its_lease(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        for _ in range(3):
            assert await one.start("alice")
        await asyncio.sleep(2.5 * three.lease_ms / 1000)
        assert await other.start("alice") is None


async def test_what_a_dead_process_held_is_free_after_a_lease(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        for _ in range(3):
            assert await one.start("alice")
        assert one._renewer is not None
        one._renewer.cancel()  # as if the process were gone
        await asyncio.sleep(0.5 * three.lease_ms / 1000)
        assert await other.start("alice") is None
        await asyncio.sleep(1.5 * three.lease_ms / 1000)
        assert await other.start("alice")


async def test_a_process_that_stood_still_counts_again(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        for _ in range(3):
            assert await one.start("alice")
        await one._redis.commands.delete(one._keys.running("alice"))  # what a lease does that nobody renews
        await asyncio.sleep(0.6 * three.lease_ms / 1000)
        assert await other.start("alice") is None


async def test_a_renewal_does_not_bring_back_what_has_ended(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        request_id = await one.start("alice") or ""
        await one.end("alice", request_id)
        await one._renew("alice", {request_id})  # as if it had begun before
        for _ in range(3):
            assert await other.start("alice")


async def test_a_redis_without_memory_renews_them(three: Settings) -> None:
    redis = Redis.from_url(three.redis_url or "")
    async with two_processes(three) as (one, other):
        request_ids = {await one.start("alice") or "" for _ in range(3)}
        before = await redis.config_get("maxmemory")
        try:
            await redis.config_set("maxmemory", 1)
            await asyncio.sleep(0.6 * three.lease_ms / 1000)
            await one._renew("alice", request_ids)
            assert await redis.pttl(one._keys.running("alice")) > 0.8 * three.lease_ms
            assert await other.start("alice") is None
        finally:
            await redis.config_set("maxmemory", before["maxmemory"])
            await redis.aclose()


async def test_a_process_that_stops_ends_all(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        for _ in range(3):
            assert await one.start("alice")
        await one.stop()
        assert await other.start("alice")


async def test_nothing_stays_in_redis(three: Settings) -> None:
    async with two_processes(three) as (one, _other):
        request_id = await one.start("alice") or ""
        redis = Redis.from_url(three.redis_url or "")
        key = f"{three.key_prefix}:running:alice"
        assert 0 < await redis.pttl(key) <= three.lease_ms
        await one.end("alice", request_id)
        assert not await redis.exists(key)
        await redis.aclose()


async def test_without_redis_a_request_is_told_so(three: Settings) -> None:
    async with two_processes(three) as (_one, _other):
        client = RedisClient("unix:///nowhere/redis.sock")
        nowhere = RunningRequests(client, three)
        with pytest.raises(QueueUnreachable):
            await nowhere.start("alice")
        assert not nowhere._held
        await nowhere.stop()
        await client.close()
