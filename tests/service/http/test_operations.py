"""Health, metrics, documentation, request ids and the unexpected: what those who run the service rely on."""

import os
import re
import time
from importlib import metadata

import httpx
import pytest
from answers import LIMIT, Post, problem
from processes import photo, wait_for
from redis import Redis

from service.http.app import create_app
from service.queue.keys import Keys
from service.settings import Settings

SERIES = (
    "stylize_request_duration_seconds",
    "stylize_stage_duration_seconds",
    "stylize_queue_depth",
    "stylize_background_queue_depth",
    "stylize_queue_oldest_seconds",
    "stylize_expected_wait_seconds",
    "stylize_queue_memory_ratio",
    "stylize_worker_info",
    "stylize_worker_held_jobs",
    "stylize_batch_size",
    "stylize_rejected_total",
    "stylize_redelivered_total",
    "stylize_dead_letter_total",
)


STAGES = ("queue", "decode", "model", "encode")


def count(client: httpx.Client, name: str) -> float:
    """A series' value; 0 if it is not there yet."""
    lines = client.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)


def test_live_and_ready(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "version": metadata.version("stylize-server")}
    assert client.get("/openapi.json").json()["info"]["version"] == metadata.version("stylize-server")
    assert f'stylize_build_info{{version="{metadata.version("stylize-server")}"}} 1.0' in client.get("/metrics").text
    assert client.get("/readyz").json() == {"ready": True, "queue_depth": 0, "workers": 1}


def test_the_metrics_have_the_documented_names(client: httpx.Client, post: Post) -> None:
    post()
    post(size="7")
    wait_for(lambda: count(client, 'stylize_stage_duration_seconds_count{stage="model"}'))
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    names = set(re.findall(r"^# TYPE (\S+)", answer.text, re.MULTILINE))
    assert names >= set(SERIES)
    assert re.search(r'^stylize_rejected_total\{reason="InvalidField"\} [1-9]', answer.text, re.MULTILINE)
    assert re.search(r'count\{method="POST",route="/stylize",status="200"\} [1-9]', answer.text)


def test_what_never_falls_is_a_counter(client: httpx.Client) -> None:
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)", client.get("/metrics").text, re.MULTILINE))
    counters = {name for name, kind in types.items() if kind == "counter"}
    assert counters == {name for name in types if name.endswith("_total")}
    assert {"stylize_redelivered_total", "stylize_dead_letter_total"} <= counters


def test_jobs_of_every_kind_are_counted_once(client: httpx.Client, post: Post) -> None:
    def counts() -> set[float]:
        stages = (f'stylize_stage_duration_seconds_count{{stage="{stage}"}}' for stage in STAGES)
        return {count(client, name) for name in ("stylize_batch_size_count", *stages)}

    time.sleep(3)  # until the jobs of other tests are counted
    (before,) = counts()
    assert post(headers={"Idempotency-Key": os.urandom(8).hex()}).status_code == 200
    accepted = post(headers={"Prefer": "respond-async"})
    registered = client.post("/styles", files={"image": ("image.png", photo(seed=5))}, data={"title": "Counted"})
    assert (accepted.status_code, registered.status_code) == (202, 201)
    wait_for(lambda: client.get(accepted.headers["location"]).json()["state"] == "succeeded")
    wait_for(lambda: counts() == {before + 3})
    assert client.get(f"{accepted.headers['location']}/result").status_code == 200
    time.sleep(3)  # longer than an API process takes to count
    assert counts() == {before + 3}
    assert client.delete(f"/styles/{registered.json()['id']}").status_code == 204


def test_every_refusal_is_counted(client: httpx.Client, post: Post) -> None:
    def refused(reason: str) -> float:
        return count(client, f'stylize_rejected_total{{reason="{reason}"}}')

    refusals = {
        "BadRequest": lambda: client.post("/stylize", content=b"x", headers={"Content-Type": "multipart/form-data"}),
        "NotFound": lambda: client.get("/nowhere"),
        "MethodNotAllowed": lambda: client.delete("/stylize"),
        "PayloadTooLarge": lambda: post(bytes(LIMIT + 1)),
        "UnsupportedImage": lambda: post(b"text"),
        "NotAcceptable": lambda: post(headers={"Accept": "text/html"}),
    }
    for reason, refuse in refusals.items():
        before = refused(reason)
        assert refuse().status_code >= 400
        assert refused(reason) == before + 1, reason


def test_paths_that_do_not_exist_make_no_series(client: httpx.Client) -> None:
    client.get("/made-up-by-a-scanner")
    assert "made-up" not in client.get("/metrics").text


def test_the_documentation(client: httpx.Client) -> None:
    assert client.get("/docs").status_code == 200


@pytest.mark.parametrize("given", ["abc-123", "a.b_c", "x" * 64])
def test_a_request_id_is_kept(client: httpx.Client, given: str) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a/b", "<script>", 'a"b'])
def test_a_request_id_that_could_do_harm_is_replaced(client: httpx.Client, given: str) -> None:
    answer = client.get("/nowhere", headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    problem(answer, 404, None)


async def get_in_process(settings: Settings, path: str) -> tuple[httpx.Response, str]:
    app = create_app(settings)

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError("secret of /srv/internal.py")

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get(path, headers={"X-Request-ID": "find-me"})
        metrics = app.state.context.metrics.exposition(None, settings.lease_ms).decode()
    await app.state.context.close()
    return answer, metrics


async def test_the_unexpected_is_answered_generically_and_logged(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    answer, metrics = await get_in_process(settings, "/fails")
    body = problem(answer, 500, None, "this is our fault; the request's id helps to find it in the log")
    assert body["title"] == "Internal error"
    assert answer.headers["x-request-id"] == "find-me"
    assert "secret" not in answer.text
    assert any("secret" in str(record.exc_info) for record in caplog.records)
    assert 'stylize_rejected_total{reason="Unexpected"} 1.0' in metrics
    assert 'route="/fails",status="500"' in metrics


async def test_ready_and_metrics_write_nothing(settings: Settings) -> None:
    redis, keys = Redis.from_url(settings.redis_url or ""), Keys(settings.key_prefix)

    def everything() -> dict[bytes, bytes | None]:
        return {key: redis.dump(key) for key in redis.scan_iter(f"{settings.key_prefix}*")}

    redis.xgroup_create(keys.stream("interactive"), "workers", mkstream=True)
    redis.xgroup_createconsumer(keys.stream("interactive"), "workers", "dead for years")
    redis.hset(keys.workers, "dead for years", '1000 {"state": "ready"}')
    before = everything()
    assert len(before) == 2
    for path, status in (("/readyz", 200), ("/readyz?worker=1", 503), ("/metrics", 200)):
        answer, _ = await get_in_process(settings, path)
        assert answer.status_code == status
    assert everything() == before
    redis.close()


async def test_an_unreachable_queue_is_503_and_not_ready(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"redis_url": "unix:///nowhere/at.all"})
    answer, _ = await get_in_process(nowhere, "/readyz")
    body = problem(answer, 503, None, "the queue does not answer: try again later")
    assert body["title"] == "Queue unreachable"
    assert int(answer.headers["retry-after"]) > 0
