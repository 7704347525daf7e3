"""``Prefer: respond-async`` and ``/jobs/{id}``, against running processes that are killed and restarted."""

import base64
import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import httpx
import pytest
from answers import PHOTO, STYLE, picture, problem
from by_hand import WorkerByHand
from PIL import Image
from processes import READY_WITHIN_S, Service, photo, wait_for

LONG_STYLE = photo(128, 16, seed=1)
"""Encoded with its longer side at 512 pixels: a flat one is quick."""

TINY = {"size": "64"}


class Jobs:
    """A client of one service's jobs."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.client = service.client

    def send(
        self,
        headers: dict[str, str] | None = None,
        styles: tuple[bytes, ...] = (),
        masks: tuple[bytes, ...] = (),
        **fields: Any,
    ) -> httpx.Response:
        data = {**TINY, **({} if styles or "style_id" in fields else {"style_id": "first"}), **fields}
        files = [("content", ("photo.jpg", PHOTO)), *(("style", ("style.png", style)) for style in styles)]
        files += [("mask", ("mask.png", mask)) for mask in masks]
        return self.client.post(
            "/stylize", files=files, data=data, headers={"Prefer": "respond-async", **(headers or {})}
        )

    def optimise(self, steps: int, **fields: Any) -> str:
        answer = self.send(styles=(LONG_STYLE,), method="gatys", steps=steps, **fields)
        assert answer.status_code == 202, answer.text
        return str(answer.headers["location"])

    def view(self, path: str) -> dict[str, Any]:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait(self, path: str, *states: str, timeout_s: float = 60) -> dict[str, Any]:
        wait_for(lambda: self.view(path)["state"] in states, timeout_s)
        return self.view(path)


@pytest.fixture(scope="module")
def jobs(service: Service) -> Jobs:
    return Jobs(service)


@pytest.fixture
def by_hand(start_service: Callable[..., Service]) -> Callable[..., tuple[Jobs, WorkerByHand]]:
    """Start an API with settings of one's own, and play its worker."""

    def start(**settings: object) -> tuple[Jobs, WorkerByHand]:
        service = start_service(workers=0, **settings)
        return Jobs(service), WorkerByHand(service)

    return start


ByHand = Callable[..., tuple[Jobs, WorkerByHand]]


def events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """As an ``EventSource`` reads them; comments come as ``{"": text}``."""
    event: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line:
            event[name] = value.removeprefix(" ")
        elif event:
            yield event
            event = {}


@contextmanager
def listening(service: Service, path: str, seen: str | None = None) -> Iterator[Iterator[dict[str, str]]]:
    headers = {"Last-Event-ID": seen} if seen is not None else {}
    with httpx.stream("GET", f"{service.url}{path}/events", headers=headers, timeout=60) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield events(answer.iter_lines())


# ---- acceptance, state, result ------------------------------------------------------------------------------------


def test_a_job_is_accepted_done_and_fetched(jobs: Jobs) -> None:
    answer = jobs.send({"X-Request-ID": "mine"}, format="png")
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    path = answer.headers["location"]
    view = answer.json()
    assert path == f"/jobs/{view['id']}"
    assert set(view) == {"id", "state", "progress", "position", "created", "links", "problem"}
    assert view["state"] in ("queued", "running", "succeeded")
    assert view["links"] | {"result": None} == {
        "self": path,
        "events": f"{path}/events",
        "result": None,
        "preview": None,
    }
    age = datetime.now(UTC) - datetime.fromisoformat(view["created"])
    assert timedelta(0) <= age < timedelta(seconds=30)
    view = jobs.wait(path, "succeeded")
    assert (view["progress"], view["position"], view["problem"]) == (1.0, None, None)
    assert view["links"]["result"] == f"{path}/result"
    result = jobs.client.get(f"{path}/result")
    picture(result, "png")
    assert result.headers["x-stylize-model"] == "adain"
    assert "model;dur=" in result.headers["server-timing"]
    assert jobs.client.get(f"{path}/result").content == result.content, "as often as one likes"
    direct = jobs.send({"Prefer": "handling=lenient"}, format="png")
    assert direct.content == result.content, "the picture of the synchronous request"


@pytest.mark.parametrize("prefer", ["Respond-Async, wait=10", "wait=10; x=1,respond-async"])
def test_the_preference_may_stand_among_others(jobs: Jobs, prefer: str) -> None:
    assert jobs.send({"Prefer": prefer}).status_code == 202


@pytest.mark.parametrize(
    ("accept", "format"),
    [("application/json", "jpeg"), ("Application/JSON;q=0.5, image/webp;q=0.1", "webp"), ("image/png", "png")],
)
def test_a_job_may_be_asked_for_as_json(jobs: Jobs, accept: str, format: str) -> None:
    path = jobs.send({"Accept": accept}).headers["location"]
    jobs.wait(path, "succeeded")
    picture(jobs.client.get(f"{path}/result"), format)
    problem(jobs.send({"Accept": "application/json, image/gif"}), 406, None, "we write image/jpeg")


def test_a_bad_request_is_refused_before_it_is_a_job(jobs: Jobs) -> None:
    problem(jobs.send(style_id="starry"), 404, "style_id", "there is no style 'starry'")
    problem(jobs.send(size="7"), 422, "size")


def test_a_job_waits_with_its_position_and_can_be_cancelled(by_hand: ByHand) -> None:
    jobs, worker = by_hand()
    first, second, third = (jobs.send().headers["location"] for _ in range(3))
    assert [(jobs.view(path)["state"], jobs.view(path)["position"]) for path in (first, second, third)] == [
        ("queued", 1),
        ("queued", 2),
        ("queued", 3),
    ]
    (claim,) = worker.claim()
    assert (jobs.view(first)["state"], jobs.view(first)["position"]) == ("running", None)
    assert jobs.view(third)["position"] == 2
    problem(jobs.client.get(f"{first}/result"), 409, None, "the job is running, its picture is not there yet")
    problem(jobs.client.get(f"{third}/preview"), 404, None, "queued and has no preview: a long job has none yet")
    for path in (first, second):
        assert jobs.client.delete(path).status_code == 204
        assert jobs.view(path)["state"] == "cancelled"
        problem(jobs.client.get(f"{path}/result"), 409, None, "because it was cancelled")
        assert jobs.client.delete(path).status_code == 204, "once more harms nothing"
    assert not worker.paint(claim), "its picture comes too late"
    assert jobs.view(first)["state"] == "cancelled"
    (claim,) = worker.claim(4)
    assert claim.job.id == third.removeprefix("/jobs/")
    assert worker.paint(claim)
    picture(jobs.client.get(f"{third}/result"), size=(8, 8))
    assert jobs.client.delete(third).status_code == 204
    assert jobs.view(third)["state"] == "expired"
    body = problem(jobs.client.get(f"{third}/result"), 410, None, "has expired", "send the request again")
    assert body["title"] == "Gone"


@pytest.mark.parametrize("job_id", ["0" * 32, "mine", "..%2F..", "%00", "x" * 5000])
def test_an_unknown_job(jobs: Jobs, job_id: str) -> None:
    for ask in (
        lambda: jobs.client.get(f"/jobs/{job_id}"),
        lambda: jobs.client.delete(f"/jobs/{job_id}"),
        lambda: jobs.client.get(f"/jobs/{job_id}/result"),
        lambda: jobs.client.get(f"/jobs/{job_id}/preview"),
        lambda: jobs.client.get(f"/jobs/{job_id}/events"),
    ):
        problem(ask(), 404, None)


def test_a_job_that_fails_has_the_problem_of_the_synchronous_request(jobs: Jobs) -> None:
    files = {"content": ("photo.png", photo()[:-40])}
    headers = {"Prefer": "respond-async", "X-Request-ID": "cut-short"}
    answer = jobs.client.post("/stylize", files=files, data={"style_id": "first", "size": "64"}, headers=headers)
    view = jobs.wait(answer.headers["location"], "failed")
    assert (view["problem"]["status"], view["problem"]["instance"]) == (422, "/requests/cut-short")
    assert view["problem"]["errors"][0]["field"] == "content"
    problem(jobs.client.get(f"{answer.headers['location']}/result"), 409, None, "because it failed")


# ---- optimisation -------------------------------------------------------------------------------------------------


STEPS = 150
"""Of an optimisation that takes some seconds with the tests' small encoder."""


def test_an_optimisation_tells_its_progress_and_shows_its_picture(jobs: Jobs) -> None:
    path = jobs.optimise(STEPS, format="png")
    with listening(jobs.service, path) as heard:
        told = list(heard)
    states = [json.loads(event["data"]) for event in told if event.get("event") == "state"]
    assert [view["state"] for view in states][-1] == "succeeded"
    assert {view["id"] for view in states} == {path.removeprefix("/jobs/")}
    steps = [json.loads(event["data"]) for event in told if event.get("event") == "progress"]
    assert steps and all(step["steps"] == STEPS and 0 < step["progress"] < 1 for step in steps)
    assert [step["step"] for step in steps] == sorted({step["step"] for step in steps})
    assert set(steps[0]["losses"]) == {"content", "style", "variation", "total"}
    previews = [json.loads(event["data"]) for event in told if event.get("event") == "preview"]
    assert previews and previews[0]["type"] == "image/jpeg"
    assert Image.open(BytesIO(base64.b64decode(previews[0]["data"]))).size == (64, 43)
    picture(jobs.client.get(f"{path}/result"), "png")


def test_an_optimisation_is_stopped_between_two_steps(jobs: Jobs) -> None:
    path = jobs.optimise(500)
    wait_for(lambda: jobs.view(path)["progress"] > 0, 60)
    view = jobs.view(path)
    assert view["state"] == "running" and 0 < view["progress"] < 1
    preview = jobs.client.get(view["links"]["preview"])
    assert preview.headers["content-type"] == "image/jpeg"
    assert Image.open(BytesIO(preview.content)).size == (64, 43)
    assert jobs.client.delete(path).status_code == 204
    assert jobs.view(path)["state"] == "cancelled"
    wait_for(lambda: jobs.service.metric("stylize_background_queue_depth") == 0, 5)
    jobs.wait(jobs.optimise(1), "succeeded")  # the lane is free


def test_what_cannot_be_optimised(jobs: Jobs) -> None:
    answer = jobs.send({"Prefer": ""}, styles=(LONG_STYLE,), method="gatys")
    problem(answer, 422, "method", "takes minutes: send the header `Prefer: respond-async`")
    problem(jobs.send(method="gatys"), 422, "style_id", "got 'first'", "upload the painting itself as `style`")
    problem(jobs.send(steps=5), 422, "steps", "the method feedforward takes no steps: leave it out")
    for steps in (0, 501):
        answer = jobs.send(styles=(STYLE,), method="gatys", steps=steps)
        problem(answer, 422, "steps", f"got {steps}: steps must be from 1 to 500")
    answer = jobs.send(styles=(STYLE,), method="gatys", size="1025")
    problem(answer, 422, "size", "would be 1025 pixels", "allows at most 1024: ask for a smaller")
    answer = jobs.send(styles=(STYLE,), method="gatys", style_size="1025")
    problem(answer, 422, "style_size", "would be 1025 pixels", "allows at most 1024: ask for a smaller style_size")
    answer = jobs.send(styles=(STYLE,), masks=(STYLE,), method="gatys")
    problem(answer, 422, "mask", "the method gatys takes no masks")
    problem(jobs.send(method="magic"), 422, "method", "got 'magic': allowed are feedforward, gatys")


# ---- events -------------------------------------------------------------------------------------------------------


def test_events_tell_every_change_and_end_with_the_job(by_hand: ByHand) -> None:
    jobs, worker = by_hand()
    before = jobs.optimise(9)
    path = jobs.optimise(9)
    with listening(jobs.service, path) as heard:
        assert next(heard) == {"retry": "2000"}
        first = next(heard)
        assert first["event"] == "state" and json.loads(first["data"]) == jobs.view(path)
        assert json.loads(first["data"])["position"] == 2
        jobs.client.delete(before)
        assert json.loads(next(heard)["data"])["position"] == 1
        (claim,) = worker.claim(1, "background")
        assert json.loads(next(heard)["data"])["state"] == "running"
        assert worker.tell(claim, 3, 9)
        progress, preview = next(heard), next(heard)
        assert progress["event"] == "progress" and preview["event"] == "preview"
        assert json.loads(progress["data"]) == {
            "progress": 0.3333,
            "step": 3,
            "steps": 9,
            "losses": {"total": 0.333333},
        }
        assert json.loads(preview["data"])["step"] == 3
        worker.paint(claim)
        last = next(heard)
        assert json.loads(last["data"])["state"] == "succeeded"
        assert list(heard) == [], "the stream ends with the job"
    with listening(jobs.service, path, seen=progress["id"]) as heard:
        assert [event.get("id") for event in heard] == [None, last["id"]], "who comes back gets what is new"
    with listening(jobs.service, path, seen="nonsense") as heard:
        assert [event.get("id") for event in heard] == [None, last["id"]]
    answer = jobs.client.get(f"{path}/events", headers={"Last-Event-ID": last["id"]})
    assert (answer.status_code, answer.content) == (204, b""), "there is nothing more: an EventSource gives up"


def test_who_comes_back_in_the_middle_hears_only_what_is_new(by_hand: ByHand) -> None:
    jobs, worker = by_hand()
    path = jobs.optimise(9)
    (claim,) = worker.claim(1, "background")
    worker.tell(claim, 3, 9)
    with listening(jobs.service, path) as heard:
        seen = [next(heard) for _ in range(4)][-1]
        assert seen["event"] == "preview"
    with listening(jobs.service, path, seen=seen["id"]) as heard:
        assert next(heard) == {"retry": "2000"}
        worker.tell(claim, 4, 9)
        assert json.loads(next(heard)["data"])["step"] == 4


def test_a_stream_without_news_has_heartbeats(by_hand: ByHand) -> None:
    jobs, _ = by_hand(before="from service.http.responses import job_events; job_events.HEARTBEAT_EVERY_S = 0.2")
    with listening(jobs.service, jobs.send().headers["location"]) as heard:
        assert [next(heard).get("") for _ in range(4)] == [None, None, "still there", "still there"]


def test_a_client_that_leaves_its_events_frees_its_place(by_hand: ByHand) -> None:
    jobs, _ = by_hand(max_event_streams=2)
    path = jobs.send().headers["location"]
    with listening(jobs.service, path) as one, listening(jobs.service, path) as other:
        next(one), next(other)
        answer = jobs.client.get(f"{path}/events")
        problem(answer, 503, None, "2 clients listen to events already", "ask GET /jobs/{id} now and then")
        assert int(answer.headers["retry-after"]) > 0

    def has_place() -> bool:
        with httpx.stream("GET", f"{jobs.service.url}{path}/events") as again:
            return again.status_code == 200

    wait_for(has_place, 5)


def test_sigterm_ends_events_and_the_api_at_once(by_hand: ByHand) -> None:
    jobs, _ = by_hand()
    api, path = jobs.service.api, jobs.send().headers["location"]
    assert api is not None
    with listening(jobs.service, path) as heard:
        next(heard)
        api.send_signal(signal.SIGTERM)
        list(heard)
    api.wait(10)


# ---- what ends, and what does not ---------------------------------------------------------------------------------


def test_jobs_survive_a_restart_of_the_api(by_hand: ByHand) -> None:
    jobs, worker = by_hand()
    done, running, waiting = (jobs.send().headers["location"] for _ in range(3))
    one, other = worker.claim(2)
    worker.paint(one)
    assert jobs.service.api is not None
    jobs.service.api.kill()
    jobs.service.api.wait()
    worker.paint(other)  # while there is no API
    jobs.service.start(workers=0)
    assert [jobs.view(path)["state"] for path in (done, running, waiting)] == ["succeeded", "succeeded", "queued"]
    picture(jobs.client.get(f"{running}/result"), size=(8, 8))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_jobs_survive_the_death_of_their_worker(start_service: Callable[..., Service]) -> None:
    service = start_service(lease_ms=1500)
    jobs = Jobs(service)
    service.workers[0].send_signal(signal.SIGSTOP)
    paths = [jobs.send(size="128").headers["location"] for _ in range(6)]
    service.workers[0].kill()
    service.start_worker()
    wait_for(service.is_ready, READY_WITHIN_S)
    for path in paths:
        assert jobs.wait(path, "succeeded")["problem"] is None


def test_pictures_and_records_expire(by_hand: ByHand) -> None:
    jobs, worker = by_hand(job_picture_ttl_s=1, job_record_ttl_s=3)
    path = jobs.send().headers["location"]
    (claim,) = worker.claim()
    worker.paint(claim)
    assert jobs.view(path)["state"] == "succeeded"
    jobs.wait(path, "expired")
    problem(jobs.client.get(f"{path}/result"), 410, None, "has expired")
    wait_for(lambda: jobs.client.get(path).status_code == 404, 10)


def test_a_job_past_its_deadline_has_expired(by_hand: ByHand) -> None:
    jobs, _ = by_hand(job_timeout_s=1)
    path = jobs.send().headers["location"]
    view = jobs.wait(path, "expired")
    assert (view["problem"]["status"], view["problem"]["title"]) == (504, "Deadline passed")
    problem(jobs.client.get(f"{path}/result"), 410, None, "not done before its deadline: send it again later")


def test_a_full_lane_answers_503_and_leaves_the_other_open(by_hand: ByHand) -> None:
    jobs, _ = by_hand()
    jobs.service.say_that_jobs_take(1000, "background")
    jobs.service.say_that_jobs_take(500)
    jobs.optimise(5)
    answer = jobs.send(styles=(LONG_STYLE,), method="gatys", steps=5)
    problem(answer, 503, None, "it would wait for about 1000 s, at most half of its time, 900 s, is allowed")
    assert answer.headers["retry-after"] == "1000"
    paths = [jobs.send().headers["location"] for _ in range(2)]
    answer = jobs.send()
    problem(answer, 503, None, "it would wait for about 1000 s")
    assert answer.headers["retry-after"] == "1000"
    jobs.client.delete(paths[0])
    assert jobs.send().status_code == 202


def test_no_worker_is_said_at_once(start_service: Callable[..., Service]) -> None:
    problem(Jobs(start_service(workers=0)).send(), 503, None, "no worker is running")


def test_many_jobs_at_once_share_batches_and_all_end(jobs: Jobs) -> None:
    started = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        paths = [answer.headers["location"] for answer in pool.map(lambda _: jobs.send(), range(24))]
    for path in paths:
        jobs.wait(path, "succeeded")
    assert time.monotonic() - started < 60
    sizes = [int(jobs.client.get(f"{path}/result").headers["x-stylize-batch-size"]) for path in paths]
    assert max(sizes) > 1
