"""``Idempotency-Key`` on ``POST /stylize`` and ``POST /styles``, against an API whose worker is played by hand."""

import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from answers import PHOTO, STYLE, problem
from by_hand import WorkerByHand, any_picture
from processes import Service, photo, wait_for
from services import Services

from service.api_keys import new_key
from service.errors import InvalidField, JobFailed, ServiceError

REPLAYED = "idempotent-replayed"
BLOBS = {"painting": photo(), "statistics": b"numbers", "encoder": b"sha"}


class Api:
    """Sends requests in threads, and answers their jobs."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.worker = WorkerByHand(service, job_pictures_mb=1)
        self._pool = ThreadPoolExecutor(16)

    def stylize(
        self,
        key: str | None = "key",
        prefer: str | None = None,
        accept: str | None = None,
        secret: str | None = None,
        **fields: Any,
    ) -> "Future[httpx.Response]":
        data = {"style_id": "first", "size": "64", **fields}
        authorization = None if secret is None else f"Bearer {secret}"
        headers = {"Idempotency-Key": key, "Prefer": prefer, "Accept": accept, "Authorization": authorization}
        content = data.pop("content", PHOTO)
        return self._pool.submit(
            httpx.post,
            f"{self.service.url}/stylize",
            files={"content": ("photo.jpg", content)},
            data=data,
            headers={name: value for name, value in headers.items() if value is not None},
            timeout=30,
        )

    def register(self, key: str, **fields: Any) -> "Future[httpx.Response]":
        return self._pool.submit(
            httpx.post,
            f"{self.service.url}/styles",
            files={"image": ("wave.png", STYLE)},
            data={"title": "Wave", **fields},
            headers={"Idempotency-Key": key},
            timeout=30,
        )

    def paint(self, image: bytes | None = None) -> None:
        (claim,) = self.worker.claim()
        assert self.worker.paint(claim, image, BLOBS)

    def fail(self, error: ServiceError) -> None:
        (claim,) = self.worker.claim()
        assert self.worker.fail(claim, error)

    def has_no_work(self) -> bool:
        return self.worker.claim(within_ms=50) == []


@pytest.fixture(scope="module")
def module_api(services: Services, tiny_checkpoints: Path) -> Api:
    return Api(services.shared(tiny_checkpoints, workers=0))


@pytest.fixture
def api(module_api: Api) -> Api:
    module_api.worker = WorkerByHand(module_api.service, job_pictures_mb=1)  # a fresh beat
    return module_api


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name} {time.monotonic_ns()}"


def test_the_same_request_is_answered_again_without_work(api: Api, key: str) -> None:
    first = api.stylize(key)
    api.paint()
    again = api.stylize(key).result()
    assert first.result().status_code == again.status_code == 200
    assert again.content == first.result().content
    assert again.headers[REPLAYED] == "true" and REPLAYED not in first.result().headers
    assert again.headers["x-request-id"] != first.result().headers["x-request-id"], "each request has its own"
    theirs = {"content-type", "server-timing", "vary", "cache-control", "content-length"}
    theirs |= {name for name in first.result().headers if name.startswith("x-stylize")}
    assert {name: again.headers[name] for name in theirs} == {name: first.result().headers[name] for name in theirs}
    assert api.has_no_work()


def test_of_two_at_once_one_is_answered_and_one_is_told(api: Api, key: str) -> None:
    time.sleep(1.1)  # the workers are counted anew, which both wait for
    both = [api.stylize(key) for _ in range(2)]
    wait_for(lambda: any(answer.done() for answer in both), 10)
    api.paint()
    one, other = sorted((answer.result() for answer in both), key=lambda answer: answer.status_code)
    assert one.status_code == 200
    problem(other, 409, None, "a request with this Idempotency-Key is being answered")
    assert api.has_no_work(), "there was one job"
    assert api.stylize(key).result().content == one.content


@pytest.mark.parametrize(
    "changes",
    [{"size": "65"}, {"style_id": "second"}, {"content": STYLE}, {"accept": "image/png"}, {"prefer": "respond-async"}],
)
def test_another_request_with_the_same_key_is_refused(api: Api, key: str, changes: dict[str, Any]) -> None:
    first = api.stylize(key)
    api.paint()
    assert first.result().status_code == 200
    answer = api.stylize(key, **changes).result()
    problem(answer, 422, "Idempotency-Key", "it came with another request before", "or a new key")
    problem(api.register(key).result(), 422, "Idempotency-Key")
    assert api.has_no_work()


def test_an_accepted_job_is_accepted_once(api: Api, key: str) -> None:
    both = [api.stylize(key, prefer="respond-async").result() for _ in range(2)]
    assert [answer.status_code for answer in both] == [202, 202]
    assert both[0].headers["location"] == both[1].headers["location"]
    assert both[1].headers["preference-applied"] == "respond-async"
    assert both[0].json() == both[1].json()
    api.paint()
    assert api.has_no_work()


def test_a_style_is_registered_once(api: Api, key: str) -> None:
    first = api.register(key)
    api.paint()
    again = api.register(key).result()
    assert first.result().status_code == again.status_code == 201
    assert again.headers["location"] == first.result().headers["location"]
    assert again.json() == first.result().json()
    styles = api.service.client.get("/styles?kind=registered").json()["styles"]
    assert [style["id"] for style in styles].count(again.json()["id"]) == 1
    problem(api.register(key, artist="Hokusai").result(), 422, "Idempotency-Key")


@pytest.mark.parametrize(
    ("error", "status"), [(JobFailed("it broke"), 500), (InvalidField("truncated", "content"), 422)]
)
def test_a_failure_is_tried_again(api: Api, key: str, error: ServiceError, status: int) -> None:
    first = api.stylize(key)
    api.fail(error)
    assert first.result().status_code == status
    again = api.stylize(key)
    api.paint()
    assert again.result().status_code == 200 and REPLAYED not in again.result().headers


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_job_that_failed_or_was_cancelled_is_done_again(api: Api, key: str, end: str) -> None:
    job = api.stylize(key, prefer="respond-async").result().json()
    address = f"{api.service.url}/jobs/{job['id']}"
    if end == "failed":
        api.fail(JobFailed("the picture could not be painted"))
    else:
        assert httpx.delete(address).status_code in (200, 202, 204)
    again = api.stylize(key, prefer="respond-async").result()
    assert again.status_code == 202 and REPLAYED not in again.headers
    api.paint()
    assert httpx.get(address).json()["state"] == "succeeded"
    assert api.stylize(key, prefer="respond-async").result().headers[REPLAYED] == "true"


def test_a_request_that_failed_may_be_mended_under_its_key(api: Api, key: str) -> None:
    first = api.stylize(key)
    api.fail(InvalidField("truncated", "content"))
    assert first.result().status_code == 422
    mended = api.stylize(key, content=STYLE)
    api.paint()
    assert mended.result().status_code == 200
    problem(api.stylize(key).result(), 422, "Idempotency-Key", "it came with another request before")


def test_a_refused_request_may_be_mended_under_its_key(api: Api, key: str) -> None:
    problem(api.stylize(key, size="7").result(), 422, "size")
    problem(api.stylize(key, alhpa="1").result(), 422, "alhpa")
    mended = api.stylize(key)
    api.paint()
    assert mended.result().status_code == 200


def test_who_leaves_frees_the_key(api: Api, key: str) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{api.service.url}/stylize",
            files={"content": PHOTO},
            data={"style_id": "first", "size": "64"},
            headers={"Idempotency-Key": key},
            timeout=1,
        )
    wait_for(lambda: api.service.metric("stylize_queue_depth") == 0, 5)
    again = api.stylize(key)
    api.paint()
    assert again.result().status_code == 200


def test_an_answer_that_is_too_large_is_computed_again(api: Api, key: str) -> None:
    for _ in range(2):
        answer = api.stylize(key)
        api.paint(any_picture() + bytes(2**20))
        assert answer.result().status_code == 200 and REPLAYED not in answer.result().headers


@pytest.mark.parametrize("bad", ["", "x" * 256, "caf\u00e9".encode()])
def test_a_key_that_cannot_be_used(api: Api, bad: Any) -> None:
    problem(api.stylize(bad).result(), 422, "Idempotency-Key", "1 to 255 characters of ASCII are allowed")


def test_without_a_key_every_request_is_answered_anew(api: Api) -> None:
    for _ in range(2):
        answer = api.stylize(None)
        api.paint()
        assert REPLAYED not in answer.result().headers


def test_two_keys_in_one_request(api: Api, key: str) -> None:
    headers = [("Idempotency-Key", key), ("Idempotency-Key", f"{key}'")]
    for path, file, fields in (("stylize", "content", {"style_id": "first"}), ("styles", "image", {"title": "Wave"})):
        answer = httpx.post(f"{api.service.url}/{path}", files={file: PHOTO}, data=fields, headers=headers)
        problem(answer, 422, "Idempotency-Key", "send it once")


def test_clients_do_not_see_each_others_answers(start_service: Callable[..., Service]) -> None:
    (alice, alices), (alice_next, alices_next), (bob, bobs) = new_key("alice"), new_key("alice"), new_key("bob")
    api = Api(start_service(workers=0, api_keys=f"{alices},{alices_next},{bobs}"))
    answers = []
    for secret in (alice, bob):
        asked = api.stylize("same", secret=secret)
        api.paint()
        answers.append(asked.result())
    assert [answer.status_code for answer in answers] == [200, 200]
    assert not any(REPLAYED in answer.headers for answer in answers)
    assert api.stylize("same", secret=alice_next).result().headers[REPLAYED] == "true"
    assert api.has_no_work()


def test_a_request_is_done_once_though_its_api_stands_still(start_service: Callable[..., Service]) -> None:
    standing = Api(start_service(workers=0, lease_ms=500))
    prefix = standing.service.settings["STYLIZE_KEY_PREFIX"]
    other = Api(start_service(workers=0, lease_ms=500, key_prefix=prefix))
    assert standing.service.api is not None
    first = standing.stylize("once")
    (claim,) = standing.worker.claim()
    standing.service.api.send_signal(signal.SIGSTOP)
    time.sleep(1.2)  # longer than two leases
    problem(other.stylize("once").result(), 409, None, "is being answered")
    standing.worker.paint(claim)
    again = other.stylize("once").result()
    assert again.status_code == 200 and again.headers[REPLAYED] == "true"
    standing.service.api.send_signal(signal.SIGCONT)
    assert first.result().content == again.content and REPLAYED not in first.result().headers
    assert other.has_no_work()


def test_an_answer_survives_a_restart_of_the_api(start_service: Callable[..., Service]) -> None:
    service = start_service(workers=0)
    api = Api(service)
    first = api.stylize("kept")
    api.paint()
    content = first.result().content
    assert service.api is not None
    service.api.kill()
    service.api.wait()
    service.start(workers=0)
    again = api.stylize("kept").result()
    assert again.content == content and again.headers[REPLAYED] == "true"
