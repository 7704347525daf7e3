"""Health, metrics, documentation, request ids and the unexpected: what those who run the service rely on."""

import re

import httpx
import pytest
from answers import LIMIT, Post, problem

from service.http.app import create_app
from service.settings import Settings

SERIES = (
    "stylize_request_duration_seconds",
    "stylize_stage_duration_seconds",
    "stylize_queue_depth",
    "stylize_background_queue_depth",
    "stylize_queue_oldest_seconds",
    "stylize_worker_info",
    "stylize_worker_held_jobs",
    "stylize_batch_size",
    "stylize_rejected_total",
    "stylize_redelivered_total",
    "stylize_dead_letter_total",
)


def test_live_and_ready(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"ready": True, "queue_depth": 0, "workers": 1}


def test_the_metrics_have_the_documented_names(client: httpx.Client, post: Post) -> None:
    post()
    post(size="7")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    names = set(re.findall(r"^# TYPE (\S+)", answer.text, re.MULTILINE))
    assert names >= set(SERIES)
    assert re.search(r'^stylize_rejected_total\{reason="InvalidField"\} [1-9]', answer.text, re.MULTILINE)
    assert re.search(r'^stylize_stage_duration_seconds_count\{stage="model"\} [1-9]', answer.text, re.MULTILINE)
    assert re.search(r'count\{method="POST",route="/stylize",status="200"\} [1-9]', answer.text)


def test_every_refusal_is_counted(client: httpx.Client, post: Post) -> None:
    def count(reason: str) -> float:
        found = re.search(
            rf'^stylize_rejected_total\{{reason="{reason}"\}} (\S+)', client.get("/metrics").text, re.MULTILINE
        )
        return float(found[1]) if found else 0.0

    refusals = {
        "BadRequest": lambda: client.post("/stylize", content=b"x", headers={"Content-Type": "multipart/form-data"}),
        "NotFound": lambda: client.get("/nowhere"),
        "MethodNotAllowed": lambda: client.delete("/stylize"),
        "PayloadTooLarge": lambda: post(bytes(LIMIT + 1)),
        "UnsupportedImage": lambda: post(b"text"),
        "NotAcceptable": lambda: post(headers={"Accept": "text/html"}),
    }
    for reason, refuse in refusals.items():
        before = count(reason)
        assert refuse().status_code >= 400
        assert count(reason) == before + 1, reason


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
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get(path, headers={"X-Request-ID": "find-me"})
        metrics = app.state.context.metrics.exposition(None, settings.lease_ms).decode()
    await app.state.context.dispatcher.stop()
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


async def test_an_unreachable_queue_is_503_and_not_ready(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"redis_url": "unix:///nowhere/at.all"})
    answer, _ = await get_in_process(nowhere, "/readyz")
    body = problem(answer, 503, None, "the queue does not answer: try again later")
    assert body["title"] == "Queue unreachable"
    assert int(answer.headers["retry-after"]) > 0
