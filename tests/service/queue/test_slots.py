"""A client's slots, against a real Redis: exact over processes, and none is lost for longer than a lease."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from service.errors import QueueUnreachable
from service.queue.limits import Slots
from service.settings import Settings


@asynccontextmanager
async def two_processes(settings: Settings) -> AsyncIterator[tuple[Slots, Slots]]:
    """The slots as two API processes see them."""
    one, other = Slots(settings.redis_url or "", settings), Slots(settings.redis_url or "", settings)
    try:
        yield one, other
    finally:
        await one.stop()
        await other.stop()


@pytest.fixture
def three(settings: Settings) -> Settings:
    """At most three at once."""
    return settings.model_copy(update={"max_requests_per_key": 3, "lease_ms": 1500})


async def test_processes_count_together_and_clients_apart(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        assert await one.take("alice")
        assert await other.take("alice")
        assert await one.take("alice")
        assert await one.take("alice") is None
        assert await other.take("alice") is None
        assert await other.take("bob")


async def test_a_slot_that_was_given_back_is_free_at_once(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        slots = [await one.take("alice") for _ in range(3)]
        assert await other.take("alice") is None
        await one.give("alice", slots[1] or "")
        assert await other.take("alice")
        assert await other.take("alice") is None


async def test_many_at_once_never_get_more(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        taken = await asyncio.gather(*((one, other)[index % 2].take("alice") for index in range(40)))
        assert sum(slot is not None for slot in taken) == 3


async def test_a_held_slot_outlives_its_lease(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        for _ in range(3):
            assert await one.take("alice")
        await asyncio.sleep(2.5 * three.lease_ms / 1000)
        assert await other.take("alice") is None


async def test_what_a_dead_process_held_is_free_after_a_lease(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        for _ in range(3):
            assert await one.take("alice")
        assert one._renewer is not None
        one._renewer.cancel()  # as if the process were gone
        await asyncio.sleep(0.5 * three.lease_ms / 1000)
        assert await other.take("alice") is None
        await asyncio.sleep(1.5 * three.lease_ms / 1000)
        assert await other.take("alice")


async def test_a_process_that_stood_still_counts_again(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        for _ in range(3):
            assert await one.take("alice")
        await one._redis.commands.delete(one._keys.slots("alice"))  # what a lease does that nobody renews
        await asyncio.sleep(0.6 * three.lease_ms / 1000)
        assert await other.take("alice") is None


async def test_a_renewal_does_not_bring_back_what_was_given(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        slot = await one.take("alice") or ""
        await one.give("alice", slot)
        await one._renew_held("alice", {slot})  # as if it had begun before
        for _ in range(3):
            assert await other.take("alice")


async def test_a_process_that_stops_gives_everything_back(three: Settings) -> None:
    async with two_processes(three) as (one, other):
        for _ in range(3):
            assert await one.take("alice")
        await one.stop()
        assert await other.take("alice")


async def test_nothing_stays_in_redis(three: Settings) -> None:
    async with two_processes(three) as (one, _other):
        slot = await one.take("alice") or ""
        redis = Redis.from_url(three.redis_url or "")
        key = f"{three.key_prefix}:slots:alice"
        assert 0 < await redis.pttl(key) <= three.lease_ms
        await one.give("alice", slot)
        assert not await redis.exists(key)
        await redis.aclose()


async def test_without_redis_a_request_is_told_so(three: Settings) -> None:
    async with two_processes(three) as (_one, _other):
        nowhere = Slots("unix:///nowhere/redis.sock", three)
        with pytest.raises(QueueUnreachable):
            await nowhere.take("alice")
        assert not nowhere._held
        await nowhere.stop()
