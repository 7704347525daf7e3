"""Bodies that are too long, too slow or not what they say: what a client sees, and what becomes of its connection."""

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from answers import PHOTO, Post, problem
from processes import Service, wait_for
from raw_http import MULTIPART, PART, Answer, Connection
from services import Services

LIMIT = 100_000
IDLE_S = 1.0
CHUNK = b"10000\r\n" + bytes(0x10000) + b"\r\n"


@pytest.fixture(scope="module")
def service(services: Services, tiny_checkpoints: Path) -> Service:
    """An API process alone: a body that was read is answered with 422 or, all being well, 503."""
    return services.shared(tiny_checkpoints, workers=0, max_body_bytes=LIMIT, body_idle_s=IDLE_S)


@pytest.fixture
def connection(service: Service) -> Iterator[Connection]:
    with Connection(service.url) as connection:
        yield connection


def refused(answer: Answer, status: int, *phrases: str) -> None:
    """A problem, after which the connection ends."""
    response = httpx.Response(answer.status, headers=list(answer.headers.items()), content=answer.body)
    problem(response, status, None, *phrases)
    assert answer.headers["connection"] == "close"


def test_a_body_too_long_by_its_header_is_not_even_asked_for(connection: Connection) -> None:
    connection.request("POST /stylize", MULTIPART, f"Content-Length: {LIMIT + 1}", "Expect: 100-continue")
    refused(connection.answer(), 413, f"the request has {LIMIT + 1} bytes, at most {LIMIT} bytes are allowed")


def test_a_body_within_the_limit_is_asked_for(connection: Connection) -> None:
    connection.request("POST /stylize", MULTIPART, "Content-Length: 5", "Expect: 100-continue")
    assert connection.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_chunks_are_counted_while_they_arrive(connection: Connection) -> None:
    connection.request(
        "POST /stylize", MULTIPART, "Transfer-Encoding: chunked", body=b"4f\r\n" + PART.ljust(0x4F) + b"\r\n"
    )
    connection.send(2 * CHUNK)
    refused(connection.answer(), 413, f"the request has more than {LIMIT} bytes")


def test_a_client_that_only_sends_still_sees_the_answer(connection: Connection) -> None:
    """Without the wait before the close, a reset would meet these bytes, and the answer might be lost."""
    connection.request("POST /stylize", MULTIPART, "Content-Length: 3000000", body=PART)
    for _ in range(40):
        connection.send(bytes(2**16))
        time.sleep(0.002)
    refused(connection.answer(), 413)
    assert connection.is_closed()


def test_a_client_that_never_ends_is_left(connection: Connection) -> None:
    connection.request("POST /stylize", MULTIPART, "Transfer-Encoding: chunked")

    def is_reset() -> bool:
        try:
            connection.send(CHUNK)
        except OSError:
            return True
        return False

    wait_for(is_reset, 15)


@pytest.mark.parametrize("target", ["GET /styles", "POST /nowhere", "PUT /styles"])
def test_a_body_that_nobody_reads_ends_the_connection(connection: Connection, target: str) -> None:
    connection.request(target, "Content-Length: 1000000", body=b"x")
    answer = connection.answer()
    assert answer.status in (200, 404, 405)
    assert answer.headers["connection"] == "close"
    assert connection.is_closed()


def test_a_request_without_a_body_keeps_the_connection(connection: Connection) -> None:
    for headers in ([], ["Content-Length: 0"]):
        connection.request("GET /styles", *headers)
        answer = connection.answer()
        assert (answer.status, answer.headers["connection"]) == (200, None)


def test_a_body_that_was_read_keeps_the_connection(connection: Connection) -> None:
    body = PART + b"x\r\n--b--\r\n"
    for _ in range(2):
        connection.request("POST /stylize", MULTIPART, f"Content-Length: {len(body)}", body=body)
        answer = connection.answer()
        assert (answer.status, answer.headers["connection"]) == (415, None)


def test_a_body_that_stops_arriving(connection: Connection) -> None:
    connection.request("POST /stylize", MULTIPART, "Content-Length: 9999", body=PART)
    refused(connection.answer(), 408, f"no byte of the body came for {IDLE_S:g} s, after {len(PART)}: send it again")
    assert connection.is_closed()


def test_a_body_that_comes_slowly_is_read(connection: Connection) -> None:
    body = PART + b"x\r\n--b--\r\n"
    connection.request("POST /stylize", MULTIPART, f"Content-Length: {len(body)}")
    for piece in (body[:20], body[20:50], body[50:]):
        time.sleep(0.6 * IDLE_S)
        connection.send(piece)
    assert connection.answer().status == 415


def test_a_client_that_leaves_within_its_body_is_no_error_of_anyone(service: Service) -> None:
    def left() -> float:
        return service.metric('stylize_request_duration_seconds_count{method="POST",route="/stylize",status="499"}')

    before = left()
    with Connection(service.url) as connection:
        connection.request("POST /stylize", MULTIPART, "Content-Length: 9999", body=PART)
    wait_for(lambda: left() == before + 1, 10)


FIELD = b'\r\n--b\r\nContent-Disposition: form-data; name="size"\r\n\r\n64'


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n--b", b"\r\n--b\r\n", b"\r\n--b-", b"\r\n--c--\r\n", b"--b--"])
def test_a_form_that_ends_early(connection: Connection, end: bytes) -> None:
    body = PART + PHOTO + FIELD + end
    for chunks in ([body], [body[:-3], body[-3:]]):
        connection.request("POST /stylize", MULTIPART, f"Content-Length: {len(body)}")
        for chunk in chunks:
            connection.send(chunk)
        answer = connection.answer()
        assert answer.status == 400 and answer.headers["connection"] is None
        assert b"the body ends early" in answer.body


@pytest.mark.parametrize("end", [b"\r\n--b--", b"\r\n--b--\r\n", b"\r\n--b--\r\n" + 999 * b"epilogue"])
def test_a_form_that_ends_as_it_should(connection: Connection, end: bytes) -> None:
    body = PART + b"x" + FIELD + end
    connection.request(
        "POST /stylize", 'Content-Type: Multipart/Form-Data; boundary="b"', f"Content-Length: {len(body)}"
    )
    for piece in (body[:-30], body[-30:-4], body[-4:]):
        connection.send(piece)
    assert connection.answer().status in (415, 422)


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: many"],
        ["Content-Length: -1"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip"],
    ],
)
def test_headers_that_contradict_are_refused_below_us(connection: Connection, headers: list[str]) -> None:
    connection.request("POST /stylize", MULTIPART, *headers, body=b"5\r\nhello\r\n0\r\n\r\n")
    answer = connection.answer()
    assert answer.status == 400
    assert connection.is_closed()


@pytest.mark.parametrize(
    "body",
    [b"", b"--b", b"--b--\r\n", b"--b\r\n\r\n", PART, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"],
)
def test_multipart_that_is_none(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/stylize", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    problem(
        answer,
        answer.status_code if answer.status_code == 422 else 400,
        *(["content"] if answer.status_code == 422 else [None]),
    )


def test_more_fields_than_anyone_needs(client: httpx.Client) -> None:
    answer = client.post("/stylize", files=[("style_id", (None, "first"))] * 1001)
    problem(answer, 400, None, "Too many fields")


@pytest.mark.parametrize(
    "charset", ["utf-7", "utf-16", "idna", "undefined", "unicode_escape", "punycode", "hex", "x" * 300, '"\\""']
)
def test_a_form_in_a_charset_of_its_own(client: httpx.Client, charset: str) -> None:
    """Some make halves of characters, some fail to decode anything: the answer says so all the same."""
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    for name, value in ((b"size", b"+2AA-\\ud800"), (b"+2AA-\\ud800", b"x")):
        body = PART + PHOTO + b"\r\n" + part % (b"style_id", b"first") + part % (name, value) + b"--b--\r\n"
        kind = f"multipart/form-data; boundary=b; charset={charset}"
        answer = client.post("/stylize", content=body, headers={"Content-Type": kind})
        assert answer.status_code in (400, 404, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]


@pytest.mark.parametrize(
    "value",
    ["\x00", "9" * 5000, "-" + "9" * 400, "1e400", "١٢٣", "½", "0x10", "1_0", " 1", "\ufeff1", "🎨" * 50],
)
@pytest.mark.parametrize("field", ["size", "alpha", "seed", "quality", "weights", "format", "style_id", "nonsense"])
def test_values_that_nobody_means(post: Post, field: str, value: str) -> None:
    fields = {"style_id": "first", field: value}
    answer = post(**fields)
    assert answer.status_code in (404, 422, 503), answer.text
    assert len(answer.content) < 1500


@pytest.mark.parametrize(
    "accept",
    [
        "*",
        "/",
        ";",
        ",,,",
        "image/*;q=",
        "image/png;q=nan",
        "image/png;q=1e999",
        "ï/ü",
        "image/png" + ",a/b" * 5000,
    ],
)
def test_accept_headers_that_nobody_sends(post: Post, accept: str) -> None:
    answer = post(headers={"Accept": accept.encode("latin-1")})
    assert answer.status_code in (406, 503), answer.text
    assert len(answer.content) < 1500


# ---- all bodies together ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def narrow(services: Services, tiny_checkpoints: Path) -> Service:
    """An API process that holds one MiB at once."""
    return services.shared(tiny_checkpoints, workers=0, max_body_bytes=800_000, bodies_mb=1)


def begin(connection: Connection, *headers: str) -> bytes | Answer:
    """Offer a body: the permission to send it, or a refusal."""
    connection.request("POST /stylize", MULTIPART, *headers, "Expect: 100-continue")
    if connection.socket.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 100":
        return connection.socket.recv(100)
    return connection.answer()


def test_what_does_not_fit_in_is_refused_before_it_is_read_and_small_bodies_are_not(narrow: Service) -> None:
    large, chunks = "Content-Length: 400000", "Transfer-Encoding: chunked"
    with Connection(narrow.url) as first:
        assert begin(first, large) == b"HTTP/1.1 100 Continue\r\n\r\n"
        for headers in (large, chunks):
            with Connection(narrow.url) as second:
                answer = begin(second, headers)
                assert isinstance(answer, Answer) and answer.headers["retry-after"] == "2"
                refused(answer, 503, "other requests hold 400000 bytes")
        small = httpx.post(f"{narrow.url}/stylize", files={"content": b"no picture"})
        assert small.status_code == 415
        script = re.search(r"docs/[^\"]*swagger-ui-bundle.js", httpx.get(f"{narrow.url}/docs").text)
        assert script is not None
        problem(httpx.get(f"{narrow.url}/{script[0]}"), 503, None, "more are too many: try again later")
    wait_for(lambda: httpx.get(f"{narrow.url}/{script[0]}").status_code == 200, 5)
    for headers in (chunks, large, chunks):  # nothing is held any more
        with Connection(narrow.url) as second:
            assert isinstance(begin(second, headers), bytes)
            if headers == chunks:
                second.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(PART) + 9, PART + b"\r\n--b--\r\n"))
                assert second.answer().status == 422
        wait_for(lambda: httpx.get(f"{narrow.url}/{script[0]}").status_code == 200, 5)
