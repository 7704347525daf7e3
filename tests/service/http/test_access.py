"""Who may use the API and how much at once, from which pages, and what browsers may do with its answers."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from answers import PHOTO, problem
from by_hand import WorkerByHand
from processes import Service, wait_for
from raw_http import MULTIPART, PART, Connection
from redis import Redis
from services import Services

from service.api_keys import new_key

ALICE, ALICE_KEY = new_key("alice")
ALICE_NEXT, ALICE_NEXT_KEY = new_key("alice")
BOB, BOB_KEY = new_key("bob")
PAGE = "https://app.example"
SETTINGS = {
    "api_keys": f"{ALICE_KEY},{ALICE_NEXT_KEY},{BOB_KEY}",
    "max_requests_per_key": 2,
    "cors_origins": f"{PAGE}, http://localhost:3000",
    "lease_ms": 3000,
}

OPEN = ("/healthz", "/docs", "/openapi.json")
CLOSED = (
    "/styles",
    "/styles/first",
    "/styles/first/preview",
    "/models",
    "/metrics",
    "/nowhere",
    "/docs.html",
)


@pytest.fixture(scope="module")
def prefix() -> str:
    return "test-access"


@pytest.fixture(scope="module")
def service(services: Services, tiny_checkpoints: Path, prefix: str) -> Service:
    """An API process alone: whoever gets through to the work is told that there is no worker."""
    return services.shared(tiny_checkpoints, workers=0, key_prefix=prefix, **SETTINGS)


@pytest.fixture(scope="module")
def sibling(services: Services, tiny_checkpoints: Path, prefix: str) -> Iterator[Service]:
    """Another API process of the same service."""
    with services.starter(tiny_checkpoints) as start:
        yield start(workers=0, key_prefix=prefix, **SETTINGS)


@pytest.fixture
def held(queue_url: str, prefix: str) -> Iterator[Callable[[], int]]:
    """Number of requests that run under Alice's name."""
    with Redis.from_url(queue_url) as redis:
        yield lambda: redis.zcard(f"{prefix}:running:alice")


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def paint(client: httpx.Client, secret: str, **more: str) -> httpx.Response:
    return client.post(
        "/stylize", files={"content": PHOTO}, data={"style_id": "first"}, headers={**bearer(secret), **more}
    )


# ---- keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", OPEN)
def test_probes_and_pages_are_open(client: httpx.Client, path: str) -> None:
    for headers in ({}, bearer("wrong"), bearer(ALICE)):
        assert client.get(path, headers=headers).status_code == 200


def test_readiness_is_open(client: httpx.Client) -> None:
    problem(client.get("/readyz?worker=1"), 503, None, "no worker is ready")


@pytest.mark.parametrize("path", CLOSED)
def test_everything_else_asks_for_a_key(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    body = problem(answer, 401, None, "no API key was sent: send the header `Authorization: Bearer KEY`")
    assert body["title"] == "API key needed"
    assert answer.headers["www-authenticate"] == 'Bearer realm="Stylize"'
    for secret in (ALICE, ALICE_NEXT, BOB):
        assert client.get(path, headers=bearer(secret)).status_code in (200, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
def test_with_every_method(client: httpx.Client, method: str) -> None:
    assert client.request(method, "/stylize").status_code == 401
    assert client.request(method, "/styles").status_code == 401


@pytest.mark.parametrize(
    ("header", "phrase"),
    [
        (f"Bearer {ALICE}x", "this API key is not known here"),
        (f"Bearer {ALICE[:-1]}", "is not known here"),
        (f"Bearer {ALICE_KEY.sha256}", "is not known here"),
        (f"Bearer {ALICE_KEY}", "is not known here"),
        ("Bearer \xff\xfe", "is not known here"),
        (f"Basic {ALICE}", "is not understood: send it once, as `Bearer KEY`"),
        (ALICE, "is not understood"),
        ("Bearer", "is not understood"),
        ("", "is not understood"),
    ],
    ids=["longer", "shorter", "hash", "entry", "no text", "basic", "no scheme", "no key", "empty"],
)
def test_a_header_that_is_no_key(client: httpx.Client, header: str, phrase: str) -> None:
    answer = client.get("/styles", headers={"Authorization": header.encode("latin-1")})
    body = problem(answer, 401, None, phrase)
    is_unknown = "not known" in phrase
    assert ('error="invalid_token"' in answer.headers["www-authenticate"]) == is_unknown
    assert ALICE[:20] not in str(body)


def test_two_headers_are_no_key(client: httpx.Client) -> None:
    headers = [("Authorization", f"Bearer {ALICE}"), ("Authorization", f"Bearer {BOB}")]
    problem(client.get("/styles", headers=headers), 401, None, "send it once")


def test_the_scheme_is_case_insensitive(client: httpx.Client) -> None:
    assert client.get("/styles", headers={"Authorization": f"bEARER   {ALICE}"}).status_code == 200


def test_refusals_are_counted(client: httpx.Client) -> None:
    def count() -> float:
        text = client.get("/metrics", headers=bearer(ALICE)).text
        found = re.search(r'^stylize_rejected_total\{reason="Unauthorized"\} (\S+)', text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    before = count()
    client.get("/styles")
    client.get("/styles", headers=bearer("wrong"))
    assert count() == before + 2


def test_a_body_without_a_key_is_not_read(service: Service) -> None:
    with Connection(service.url) as connection:
        connection.request("POST /stylize", MULTIPART, "Content-Length: 20000000", "Expect: 100-continue")
        answer = connection.answer()
        assert answer.status == 401  # not 100
        assert answer.headers["connection"] == "close"


def test_the_log_names_the_client_and_never_a_key(
    services: Services, tiny_checkpoints: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with services.starter(tiny_checkpoints) as start:
        alone = start(workers=0, log_level="debug", log_format="json", **SETTINGS)
        paint(alone.client, ALICE)
        alone.client.get("/styles", headers=bearer(BOB))
        alone.client.get("/styles", headers=bearer(f"{BOB}x"))
        alone.client.get("/styles", headers={"X-API-Key": BOB})
    logged = capfd.readouterr().err
    assert '"client": "alice"' in logged
    assert '"client": "bob"' in logged
    for secret in (ALICE, BOB, ALICE_KEY.sha256, BOB_KEY.sha256):
        assert secret not in logged


@pytest.mark.processes
def test_a_bad_setting_ends_the_process_at_start() -> None:
    settings = {"STYLIZE_API_KEYS": "alice:secret", "STYLIZE_REDIS_URL": "unix:///nowhere"}
    done = subprocess.run(
        [sys.executable, "-m", "service", "api"], capture_output=True, text=True, env={**os.environ, **settings}
    )
    assert done.returncode == 2
    assert done.stderr.startswith("STYLIZE_API_KEYS: entry 1 is not name:sha256")
    assert "secret" not in done.stderr


# ---- how much at once ---------------------------------------------------------------------------------------------


def stalled(service: Service, secret: str) -> Connection:
    """A request that runs until its connection is closed: most of its body never comes."""
    connection = Connection(service.url)
    key = f"Authorization: Bearer {secret}"
    connection.request("POST /stylize", MULTIPART, key, "Content-Length: 9999", "Expect: 100-continue")
    assert connection.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n", "its body is asked for, so it has begun"
    connection.send(PART)
    return connection


def is_refused(answer: httpx.Response) -> bool:
    if answer.status_code != 429:
        assert answer.status_code == 503, answer.text
        return False
    body = problem(answer, 429, None, "2 requests and jobs of this key run already", "wait for the end of one")
    assert body["title"] == "Too many requests"
    assert int(answer.headers["retry-after"]) >= 1
    return True


def test_more_requests_of_one_key_than_allowed(service: Service, sibling: Service) -> None:
    with stalled(service, ALICE):
        with stalled(sibling, ALICE_NEXT):
            assert is_refused(paint(service.client, ALICE))
            assert is_refused(paint(sibling.client, ALICE)), "counted in all processes together"
            assert is_refused(paint(sibling.client, ALICE_NEXT)), "a name is one client, whichever of its keys it sends"
            assert not is_refused(paint(service.client, BOB)), "other clients are not hurt"
            assert service.client.get("/styles", headers=bearer(ALICE)).status_code == 200, "reading is not limited"
            metrics = service.client.get("/metrics", headers=bearer(BOB)).text
            assert 'stylize_rejected_total{reason="TooManyRequests"}' in metrics
        wait_for(lambda: not is_refused(paint(service.client, ALICE)))


def test_a_limit_of_one_after_the_other_is_never_met(services: Services, tiny_checkpoints: Path) -> None:
    with services.starter(tiny_checkpoints) as start:
        strict = start(workers=0, **{**SETTINGS, "max_requests_per_key": 1})
        for _ in range(40):
            assert paint(strict.client, ALICE).status_code == 503


def test_clients_that_leave_hold_nothing(service: Service, held: Callable[[], int]) -> None:
    for _ in range(5):
        with stalled(service, ALICE), stalled(service, ALICE):
            assert held() == 2
        wait_for(lambda: held() == 0)


def test_a_process_that_is_killed_holds_nothing_for_longer_than_a_lease(
    service: Service, services: Services, tiny_checkpoints: Path, prefix: str
) -> None:
    with services.starter(tiny_checkpoints) as start:
        dying = start(workers=0, key_prefix=prefix, **SETTINGS)
        with stalled(dying, ALICE), stalled(dying, ALICE):
            assert is_refused(paint(service.client, ALICE))
            assert dying.api is not None
            dying.api.send_signal(signal.SIGKILL)
            wait_for(lambda: not is_refused(paint(service.client, ALICE)))


def test_jobs_count_until_they_end_and_clients_take_turns(services: Services, tiny_checkpoints: Path) -> None:
    with services.starter(tiny_checkpoints) as start:
        alone = start(workers=0, **{**SETTINGS, "max_requests_per_key": 3})
        worker = WorkerByHand(alone)

        def accepted(secret: str) -> tuple[int, str | None]:
            answer = paint(alone.client, secret, Prefer="respond-async")
            return answer.status_code, answer.headers.get("location")

        jobs = [accepted(ALICE) for _ in range(3)]
        assert [status for status, _ in jobs] == [202] * 3
        assert accepted(ALICE_NEXT) == (429, None) and paint(alone.client, ALICE).status_code == 429
        bobs = accepted(BOB)
        assert bobs[0] == 202, "other clients are not hurt"
        first, second = worker.claim(2)
        assert [f"/jobs/{claim.job.id}" for claim in (first, second)] == [jobs[0][1], bobs[1]]
        assert accepted(ALICE)[0] == 429, "it runs"
        worker.paint(first)
        assert accepted(ALICE)[0] == 202
        assert accepted(ALICE)[0] == 429
        assert alone.client.delete(str(jobs[1][1]), headers=bearer(ALICE)).status_code == 204
        assert accepted(ALICE)[0] == 202


def test_many_at_once(service: Service, held: Callable[[], int]) -> None:
    """Each is let through or refused, and afterwards all is free."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: paint(service.client, ALICE), range(64)))
    assert {answer.status_code for answer in answers} <= {429, 503}
    wait_for(lambda: held() == 0)


# ---- other origins ------------------------------------------------------------------------------------------------


def preflight(
    client: httpx.Client, origin: str, method: str = "POST", headers: str = "authorization"
) -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return client.options("/stylize", headers=asked)


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000"])
def test_a_page_of_an_allowed_origin_may_ask(client: httpx.Client, origin: str) -> None:
    answer = preflight(client, origin, headers="authorization, prefer, idempotency-key, x-request-id")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert "Origin" in answer.headers["vary"]
    assert {"GET", "POST", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("authorization", "prefer", "idempotency-key", "x-request-id"))
    assert "access-control-allow-credentials" not in answer.headers


def test_its_answers_may_be_read_with_our_headers(client: httpx.Client) -> None:
    for answer in (
        client.get("/styles", headers={**bearer(ALICE), "Origin": PAGE}),
        client.get("/styles", headers={"Origin": PAGE}),  # 401
        paint(client, ALICE, Origin=PAGE),  # 503
        client.get("/nowhere", headers={**bearer(ALICE), "Origin": PAGE}),
    ):
        assert answer.headers["access-control-allow-origin"] == PAGE
        exposed = answer.headers["access-control-expose-headers"]
        for name in (
            "X-Request-ID",
            "X-Stylize-Model",
            "Server-Timing",
            "Location",
            "ETag",
            "Retry-After",
            "Idempotent-Replayed",
        ):
            assert name in exposed


@pytest.mark.parametrize("origin", ["https://evil.example", "http://app.example", f"{PAGE}:8443", "null"])
def test_a_page_of_another_origin_may_not(client: httpx.Client, origin: str) -> None:
    answer = preflight(client, origin)
    problem(answer, 400, None, "the origin of this request", "STYLIZE_CORS_ORIGINS names the origins")
    assert "access-control-allow-origin" not in answer.headers
    answer = client.get("/styles", headers={**bearer(ALICE), "Origin": origin})
    assert "access-control-allow-origin" not in answer.headers
    assert "Origin" in answer.headers["vary"]


def test_what_is_not_done_here_is_refused(client: httpx.Client) -> None:
    problem(preflight(client, PAGE, method="PUT"), 400, None, "the method of this request")
    problem(preflight(client, PAGE, headers="x-other"), 400, None, "the headers of this request")


# ---- headers for browsers -----------------------------------------------------------------------------------------


def test_every_answer_has_the_security_headers(client: httpx.Client) -> None:
    for answer in (
        client.get("/healthz"),
        client.get("/readyz"),
        client.get("/styles"),
        client.get("/styles/first/preview", headers=bearer(ALICE)),
        client.get("/nowhere", headers=bearer(ALICE)),
        client.head("/styles", headers=bearer(ALICE)),
        client.options("/styles", headers=bearer(ALICE)),
        preflight(client, PAGE),
        paint(client, ALICE),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "server" not in answer.headers
