"""HTTP/1.1 at its edges, over real connections: offers to upgrade, old clients, and clients that keep us waiting."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from answers import PHOTO
from processes import Service, free_port, wait_for
from raw_http import MULTIPART, PART, Answer, Connection
from services import Services

FORM = PART + PHOTO + b'\r\n--b\r\nContent-Disposition: form-data; name="style_id"\r\n\r\nnowhere\r\n--b--\r\n'
OFFER = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
)
MOST = 12
UNREAD_S = 1.5
HEADER_WITHIN_S = 2.5


@pytest.fixture(scope="module")
def service(services: Services, tiny_checkpoints: Path) -> Service:
    """An API process alone, which reads a form and then knows the style or not."""
    settings = {"keep_alive_s": 3, "max_connections": MOST, "unread_s": UNREAD_S, "header_within_s": HEADER_WITHIN_S}
    return services.shared(tiny_checkpoints, workers=0, **settings)


@pytest.fixture
def connection(service: Service) -> Iterator[Connection]:
    with Connection(service.url) as connection:
        yield connection


def address_of(service: Service) -> tuple[str, int]:
    return "127.0.0.1", int(service.url.rpartition(":")[2])


def is_unknown_style(answer: Answer) -> bool:
    return answer.status == 404 and b"nowhere" in answer.body


# ---- offers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offer", [OFFER, OFFER[:2], ("Connection: upgrade", "Upgrade: websocket")])
@pytest.mark.parametrize("piece_bytes", [10**9, 700, 1])
def test_a_form_with_an_offer_to_upgrade_is_read(
    connection: Connection, offer: tuple[str, ...], piece_bytes: int
) -> None:
    for _ in range(2):  # the connection goes on as HTTP/1.1
        head = ["POST /stylize HTTP/1.1", f"Host: {connection.host}", *offer, MULTIPART, f"Content-Length: {len(FORM)}"]
        data = "\r\n".join([*head, "", ""]).encode() + FORM
        for at in range(0, min(len(data), 400 * piece_bytes), piece_bytes):
            connection.send(data[at : at + piece_bytes])
        connection.send(data[400 * piece_bytes :])
        answer = connection.answer()
        assert is_unknown_style(answer) and answer.headers["connection"] is None


def test_an_offer_in_chunks_and_one_that_ends_the_connection(connection: Connection) -> None:
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(FORM), FORM)
    connection.request("POST /stylize", *OFFER, MULTIPART, "Transfer-Encoding: chunked", body=chunks)
    assert is_unknown_style(connection.answer())
    connection.request("GET /healthz", "Connection: close, Upgrade", "Upgrade: h2c")
    answer = connection.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert connection.is_closed()


def test_requests_one_behind_the_other_each_with_an_offer(connection: Connection) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    connection.send(request * 2000)
    data = b""
    while data.count(b'{"status"') < 2000:
        received = connection.socket.recv(2**16)
        assert received, "it was closed"
        data += received
    assert data.count(b"HTTP/1.1 200 OK") == 2000


# ---- HTTP/1.0 -----------------------------------------------------------------------------------------------------


def test_an_old_client_gets_no_chunks(service: Service) -> None:
    for target in ("/healthz", "/openapi.json", "/styles"):
        with socket.create_connection(address_of(service), timeout=20) as raw:
            raw.sendall(f"GET {target} HTTP/1.0\r\n\r\n".encode())
            answer = b""
            while data := raw.recv(2**16):
                answer += data
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200") and b"transfer-encoding" not in head.lower()
        assert json.loads(body)


# ---- headers ------------------------------------------------------------------------------------------------------


def problem(answer: Answer, status: int, phrase: str) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    document = json.loads(answer.body)
    assert document["status"] == status and phrase in document["detail"]


@pytest.mark.parametrize("hosts", [[], ["Host: a", "Host: a"], ["Host: a", "host: b"]])
def test_there_is_exactly_one_host(connection: Connection, hosts: list[str]) -> None:
    connection.send("\r\n".join(["GET /healthz HTTP/1.1", *hosts, "", ""]).encode())
    problem(connection.answer(), 400, f"got {len(hosts)} Host header fields: send exactly one")
    assert connection.is_closed()


def test_what_is_no_http(connection: Connection) -> None:
    connection.send(b"\x16\x03\x01 hello\r\n\r\n")
    problem(connection.answer(), 400, "no valid HTTP/1.1 request")


@pytest.mark.parametrize(
    "header", [b"X: " + bytes(70_000).replace(b"\0", b"x"), b"X: y\r\n" * 12_000, b"X: y\r\n" * 2_000_000]
)
def test_a_header_has_a_size(connection: Connection, header: bytes) -> None:
    with contextlib.suppress(OSError):  # the connection ends meanwhile
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):
        problem(connection.answer(), 431, "more than 65536 bytes of header or trailer")
    assert connection.is_closed()


def test_a_header_without_an_end_has_a_size(connection: Connection) -> None:
    connection.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")

    def is_ended() -> bool:
        try:
            connection.send(b"x" * 30_000)
        except OSError:
            return True
        return False

    wait_for(is_ended, 5)


@pytest.mark.parametrize(
    "endless", [b"5;" + b"x" * 200_000, b"0\r\nX: " + b"x" * 200_000, b"0\r\n" + b"X: y\r\n" * 20_000]
)
def test_what_stands_between_the_pieces_of_a_body_has_a_size(connection: Connection, endless: bytes) -> None:
    connection.request("POST /stylize", MULTIPART, "Transfer-Encoding: chunked", body=b"5\r\n--b\r\n\r\n")
    time.sleep(0.1)
    with contextlib.suppress(OSError):
        connection.send(endless)
    with contextlib.suppress(ConnectionResetError):
        problem(connection.answer(), 431, "more than 65536 bytes of header or trailer")
    assert connection.is_closed()


def test_a_trailer_changes_no_header(connection: Connection) -> None:
    chunks = b"%x\r\n%b\r\n0\r\nHost: b\r\nAccept: text/plain\r\n\r\n" % (len(FORM), FORM)
    connection.request("POST /stylize", MULTIPART, "Transfer-Encoding: chunked", body=chunks)
    assert is_unknown_style(connection.answer())


# ---- time and number ----------------------------------------------------------------------------------------------


def test_a_silent_connection_and_a_header_that_stops_are_ended(service: Service) -> None:
    with Connection(service.url) as silent, Connection(service.url) as slow:
        slow.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        problem(slow.answer(), 408, f"the header was not whole after {HEADER_WITHIN_S:g} s")
        assert slow.is_closed() and silent.is_closed()


def test_a_connection_is_kept_for_as_long_as_is_set(connection: Connection) -> None:
    for _ in range(2):
        connection.request("GET /healthz")
        assert connection.answer().status == 200
        time.sleep(1)
    assert connection.is_closed()


def test_one_connection_too_many_ends_the_one_that_is_idle_for_longest(service: Service) -> None:
    with contextlib.ExitStack() as stack:
        oldest = stack.enter_context(Connection(service.url))
        busy = stack.enter_context(Connection(service.url))
        busy.request("POST /stylize", MULTIPART, "Content-Length: 99999", body=PART)
        time.sleep(0.1)
        others = []
        for _ in range(MOST):
            others.append(stack.enter_context(Connection(service.url)))
            others[-1].request("GET /healthz")
            assert others[-1].answer().status == 200
        assert oldest.is_closed()
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        busy.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            busy.socket.recv(1)  # is still read


def test_when_all_are_busy_one_more_is_refused(service: Service) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(MOST):
            busy = stack.enter_context(Connection(service.url))
            busy.request("POST /stylize", MULTIPART, "Content-Length: 99999", body=PART)
        time.sleep(0.3)
        with Connection(service.url) as one_more:
            assert one_more.is_closed()
    wait_for(lambda: httpx.get(f"{service.url}/healthz").status_code == 200, 5)


def test_a_body_that_drips_is_refused(services: Services, tiny_checkpoints: Path) -> None:
    with services.starter(tiny_checkpoints) as start:
        service = start(workers=0, body_idle_s=1, port=free_port())
        with Connection(service.url) as connection:
            connection.request("POST /stylize", MULTIPART, "Content-Length: 9999", body=PART)
            started = time.monotonic()
            with contextlib.suppress(OSError):
                while time.monotonic() - started < 10:
                    connection.send(b"x")
                    time.sleep(0.3)
                    connection.socket.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        if connection.socket.recv(1, socket.MSG_PEEK):
                            break
                    connection.socket.settimeout(20)
            connection.socket.settimeout(20)
            problem(connection.answer(), 408, "the body came at less than 1000 bytes a second")


def test_a_response_that_nobody_reads_is_given_up(service: Service) -> None:
    page = httpx.get(f"{service.url}/docs").text
    script = re.search(r"docs/[^\"]*swagger-ui-bundle.js", page)
    assert script is not None
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with raw:
        raw.connect(address_of(service))
        raw.sendall(f"GET /{script[0]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 8)
        time.sleep(UNREAD_S + 2.5)
        raw.settimeout(10)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while data := raw.recv(2**20):
                received += len(data)
    assert received < 2**22  # of some twelve megabytes, what the system had taken


@pytest.mark.parametrize(("piece_bytes", "pause_s", "gets_all"), [(100_000, 0.03, True), (300, 0.1, False)])
def test_a_slow_reader_gets_all_and_one_that_drips_is_given_up(
    service: Service, piece_bytes: int, pause_s: float, gets_all: bool
) -> None:
    script = re.search(r"docs/[^\"]*swagger-ui-bundle.js", httpx.get(f"{service.url}/docs").text)
    assert script is not None
    length = len(httpx.get(f"{service.url}/{script[0]}").content)
    raw, received, started = socket.socket(), 0, time.monotonic()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, piece_bytes)
    request = f"GET /{script[0]} HTTP/1.1\r\nHost: localhost\r\n"
    with raw, contextlib.suppress(ConnectionResetError):
        raw.connect(address_of(service))
        raw.sendall(f"{request}\r\n".encode() * 7 + f"{request}Connection: close\r\n\r\n".encode())
        while piece := raw.recv(piece_bytes):
            received += len(piece)
            if time.monotonic() - started < 3 * UNREAD_S:  # then, what the system holds
                time.sleep(pause_s)
            else:
                piece_bytes = 2**20
    assert (received > 8 * length) == gets_all
    assert time.monotonic() - started > UNREAD_S, "as long as a response may stand still"


@pytest.mark.processes
def test_a_process_may_have_as_many_connections_as_the_system_allows() -> None:
    script = """
import resource
from service.serve.protocol import connection_class
from service.settings import HttpSettings
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
hard = 700 if hard == resource.RLIM_INFINITY else min(hard, 700)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
print(connection_class(HttpSettings()).max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0], hard)
"""
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    most, soft, hard = map(int, printed.split())
    assert soft == hard and most == hard - 128
