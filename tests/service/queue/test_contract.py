"""What another version wrote in Redis is read: fields from the future are ignored, missing ones have their default."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from by_hand import progress_of

from service.queue.contract import CONTRACT, from_document
from service.queue.jobs import Job, JobProgress, Result
from service.queue.keys import Keys
from service.queue.queue import JobQueue
from service.queue.records import Accepted, JobRecords
from service.queue.replies import Dispatcher
from service.queue.styles import RegisteredStyle
from service.request import ResultInfo, StylizeParameters
from service.settings import Settings

ACCEPTED = Accepted(1_700_000_000.5, "request-7", "webp", 3)
FUTURE = {"mood": "blue", "nested": {"a": [1]}}
PARAMETERS = {"request_id": "r", "model": "m", "width": 8, "height": 8, "styles": [], "format": "png"}
INFO = {"model": "m", "batch_size": 2, "queue_ms": 1.0, "decode_ms": 1.0, "model_ms": 1.0, "encode_ms": 1.0}


class Ends:
    """A queue with one job that has a record, and what Redis holds of it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.queue = JobQueue(settings.redis_url or "", settings, "one")
        self.records = JobRecords(self.queue.redis, settings)
        self.keys = Keys(settings.key_prefix)
        self.redis = self.queue.redis.commands

    async def accept(self) -> None:
        await self.queue.prepare()
        await self.queue.enqueue(Job("id", PARAMETERS, {"content": b"photo"}), 20, ACCEPTED, is_awaited=False)

    async def add_to(self, key: str, field: str, **more: object) -> None:
        """Write more fields into a JSON object in a hash, as a newer version would."""
        document = json.loads(await self.redis.hget(key, field))
        await self.redis.hset(key, mapping={field: json.dumps({**document, **more}), "unknown": "value"})


@asynccontextmanager
async def playing(settings: Settings) -> AsyncIterator[Ends]:
    ends = Ends(settings)
    try:
        yield ends
    finally:
        await ends.queue.close()


async def test_jobs_records_and_heartbeats_say_which_version_wrote_them(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.accept()
        assert await ends.redis.hget(ends.keys.job("id"), "contract") == str(CONTRACT).encode()
        record = json.loads(await ends.redis.hget(ends.keys.record("id"), "accepted"))
        assert record["contract"] == CONTRACT
        await ends.queue.heartbeat({"state": "ready"})
        assert [worker.contract for worker in (await ends.queue.status()).workers] == [CONTRACT]


async def test_a_record_and_a_result_of_a_newer_version(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.accept()
        job, record = ends.keys.job("id"), ends.keys.record("id")
        await ends.add_to(record, "accepted", **FUTURE, contract=CONTRACT + 1)
        status = await ends.records.status("id")
        assert status is not None
        assert (status.state, status.accepted.contract) == ("queued", CONTRACT + 1)
        assert status.accepted == from_document(Accepted, vars(ACCEPTED) | {"contract": CONTRACT + 1})

        await ends.add_to(job, "parameters", **FUTURE)
        (claim,) = await ends.queue.claim(1)
        assert StylizeParameters.model_validate(claim.job.parameters) == StylizeParameters.model_validate(PARAMETERS)
        assert claim.job.blobs == {"content": b"photo"}

        await ends.queue.report(claim, JobProgress(3, 9, {"style": 0.5}))
        await ends.add_to(job, "progress", **FUTURE)
        assert await progress_of(ends.queue, "id") == JobProgress(3, 9, {"style": 0.5})
        status = await ends.records.status("id")
        assert status is not None
        assert (status.state, status.progress.step) == ("running", 3)

        assert await ends.queue.complete(claim, Result(b"image", {**INFO, **FUTURE}))
        await ends.add_to(record, "outcome", **FUTURE)
        status = await ends.records.status("id")
        assert status is not None and status.state == "succeeded"
        result = await ends.records.result("id")
        assert result is not None
        assert ResultInfo.model_validate(result.info) == ResultInfo.model_validate(INFO)


async def test_a_record_and_a_heartbeat_of_an_older_version(settings: Settings) -> None:
    async with playing(settings) as ends:
        await ends.accept()
        older = {"created_s": 1.5, "request_id": "r", "format": "png", "seed": None}
        await ends.redis.hset(ends.keys.record("id"), "accepted", json.dumps(older))
        status = await ends.records.status("id")
        assert status is not None
        assert status.accepted == Accepted(1.5, "r", "png", None, contract=0)
        await ends.queue.redis.run("heartbeat", [ends.keys.workers], ["old", json.dumps({"state": "ready"})])
        (worker,) = (await ends.queue.status()).workers
        assert (worker.contract, worker.is_ready(1000)) == (0, True)


async def test_heartbeats_of_other_versions_are_read_and_logged_once(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with playing(settings) as ends:
        newer = {"state": "ready", "contract": CONTRACT + 1, **FUTURE}
        await ends.queue.redis.run("heartbeat", [ends.keys.workers], ["new", json.dumps(newer)])
        await ends.queue.heartbeat({"state": "ready"})
        (worker,) = [worker for worker in (await ends.queue.status()).workers if worker.name == "new"]
        assert worker.is_ready(1000)
        assert worker.about["mood"] == "blue"
        await ends.queue.prepare()
        dispatcher = Dispatcher(ends.queue, ends.settings, lambda info: None)
        for index in range(2):
            await dispatcher.accept(Job(f"id-{index}", PARAMETERS, {}), ACCEPTED)
            await asyncio.sleep(1.1)  # it looks after the workers once a second
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == [f"the worker new writes contract {CONTRACT + 1}, this process {CONTRACT}"]


def test_a_style_of_another_version() -> None:
    style = RegisteredStyle("mine", "Mine", "", None, "", "d" * 64)
    assert RegisteredStyle.from_json(json.dumps({**vars(style), **FUTURE}).encode()) == style


def test_a_field_that_must_be_there() -> None:
    with pytest.raises(TypeError, match="created_s"):
        Accepted.from_json(b"{}")
