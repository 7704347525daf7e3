"""Answers to requests with an Idempotency-Key, on a real server."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from service.errors import Conflict, InvalidField
from service.queue.answer_store import Answer, AnswerStore, Hold
from service.queue.queue import JobQueue
from service.settings import Settings

ANSWER = Answer(201, [("location", "/styles/a"), ("content-type", "application/json")], b'{"id": "a"}')


def play(settings: Settings, scenario: Callable[[AnswerStore], Awaitable[None]]) -> None:
    async def run() -> None:
        queue = JobQueue(settings.redis_url or "", settings, "api")
        try:
            await scenario(AnswerStore(queue.redis, settings))
        finally:
            await queue.close()

    asyncio.run(asyncio.wait_for(run(), 20))


async def hold(store: AnswerStore, key: str = "key", caller: str = "", token: str = "token") -> Hold:
    found = await store.begin(caller, key, "request", token)
    assert isinstance(found, Hold)
    return found


def test_what_was_answered_is_answered_again(settings: Settings) -> None:
    async def scenario(store: AnswerStore) -> None:
        await store.keep(await hold(store), ANSWER)
        for _ in range(2):
            assert await store.begin("", "key", "request", "other token") == ANSWER
        with pytest.raises(InvalidField, match="another request"):
            await store.begin("", "key", "another request", "token")

    play(settings, scenario)


def test_one_of_many_answers_and_the_others_are_told(settings: Settings) -> None:
    async def scenario(store: AnswerStore) -> None:
        tries = [store.begin("", "key", "request", str(number)) for number in range(20)]
        found = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(each, Hold) for each in found) == 1
        assert sum(isinstance(each, Conflict) for each in found) == 19

    play(settings, scenario)


def test_callers_do_not_share_keys(settings: Settings) -> None:
    async def scenario(store: AnswerStore) -> None:
        await store.keep(await hold(store, caller="one"), ANSWER)
        await hold(store, caller="other")
        await hold(store, key="one\0key", caller="")

    play(settings, scenario)


def test_a_released_key_is_free(settings: Settings) -> None:
    async def scenario(store: AnswerStore) -> None:
        await store.release(await hold(store))
        await hold(store)

    play(settings, scenario)


def test_who_comes_late_overwrites_nothing(settings: Settings) -> None:
    async def scenario(store: AnswerStore) -> None:
        late = await hold(store)
        await store.release(late)  # its time was over
        await store.keep(await hold(store, token="second"), ANSWER)
        await store.keep(late, Answer(200, [], b"late"))
        await store.release(late)
        assert await store.begin("", "key", "request", "third") == ANSWER

    play(settings, scenario)


def test_a_process_that_dies_holds_its_key_for_a_lease_only(settings: Settings) -> None:
    async def scenario(store: AnswerStore) -> None:
        await hold(store)
        with pytest.raises(Conflict) as caught:
            await hold(store)
        assert caught.value.headers == {"Retry-After": "1"}
        await asyncio.sleep(0.4)
        await hold(store)

    play(settings.model_copy(update={"lease_ms": 300}), scenario)


def test_who_answers_holds_its_key_for_longer_than_a_lease(settings: Settings) -> None:
    async def scenario(store: AnswerStore) -> None:
        held = await hold(store)
        async with store.held(held):
            await asyncio.sleep(1)
            with pytest.raises(Conflict):
                await hold(store)
        await store.keep(held, ANSWER)
        assert await store.begin("", "key", "request", "other token") == ANSWER

    play(settings.model_copy(update={"lease_ms": 300}), scenario)


def test_answers_are_forgotten_by_age_and_by_size(settings: Settings) -> None:
    async def scenario(store: AnswerStore) -> None:
        for number in range(12):
            await store.keep(await hold(store, str(number)), Answer(200, [], bytes(120_000)))
        found = {}
        for number in range(12):
            answer = await store.begin("", str(number), "request", "other")
            found[number] = isinstance(answer, Answer)
        assert [number for number, is_kept in found.items() if is_kept] == list(range(4, 12))
        large = await hold(store, "large")
        await store.keep(large, Answer(200, [], bytes(2**20 // 8)))
        await hold(store, "large")
        await asyncio.sleep(1)
        await hold(store, "11")

    play(settings.model_copy(update={"idempotency_mb": 1, "idempotency_ttl_s": 0.9}), scenario)
