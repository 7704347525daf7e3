"""Clients that leave while they are answered or refused: no error of ours, and nothing in the log but their request."""

import random
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from answers import PHOTO, problem
from by_hand import WorkerByHand
from processes import Service, wait_for
from raw_http import MULTIPART, PART, Connection
from services import Services

FORM = PART + PHOTO + b'\r\n--b\r\nContent-Disposition: form-data; name="style_id"\r\n\r\nfirst\r\n--b--\r\n'


def leave(connection: Connection) -> None:
    """Close with a reset, as a process that ends does."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.socket.close()


def test_none_of_them_leaves_an_error(start_service: Callable[..., Service], capfd: pytest.CaptureFixture[str]) -> None:
    service = start_service(workers=0, max_body_bytes=100_000, body_idle_s=0.5)
    WorkerByHand(service)
    files, fields = {"content": PHOTO}, {"style_id": "first"}
    accepted = service.client.post("/stylize", files=files, data=fields, headers={"Prefer": "respond-async"})
    events, unread = f"GET {accepted.headers['location']}/events", "Content-Length: 5000"
    dice = random.Random(1)
    requests: list[tuple[str, tuple[str, ...], bytes]] = [
        (events, (unread,), b"abc"),
        ("GET /models", (unread,), b"abc"),
        ("POST /stylize", (MULTIPART, "Content-Length: 200000"), PART),
        ("POST /stylize", (MULTIPART, "Transfer-Encoding: chunked"), b"20000\r\n" + PART + bytes(0x20000 - len(PART))),
        ("POST /stylize", (MULTIPART, unread, "Origin: https://evil.example"), PART),
        ("POST /stylize", (MULTIPART, unread), PART),
        ("POST /stylize", (MULTIPART, f"Content-Length: {len(FORM)}"), FORM),
        ("POST /stylize", (MULTIPART, f"Content-Length: {len(FORM) - 5}"), FORM[:-5]),
        ("PUT /stylize", (unread,), b"abc"),
        ("GET /healthz", ("X: " + "x" * 70_000,), b""),
    ]

    def leave_each(request: tuple[str, tuple[str, ...], bytes]) -> None:
        line, headers, body = request
        for wait_s in (0.0, dice.uniform(0, 0.01), 0.7):  # before, about when, and after it is answered
            connection = Connection(service.url)
            connection.request(line, *headers, body=body)
            time.sleep(wait_s)
            leave(connection)

    with ThreadPoolExecutor(len(requests)) as pool:
        list(pool.map(leave_each, requests))
    with Connection(service.url) as connection:
        connection.request(events)
        heard = b""
        while b"event: state" not in heard:
            data = connection.socket.recv(4096)
            assert data, heard
            heard += data
    time.sleep(1)
    logged = capfd.readouterr().err
    assert "status=499" in logged
    assert "Traceback" not in logged and "ERROR" not in logged
    wait_for(lambda: service.client.get("/healthz").status_code == 200)


def test_a_full_temporary_folder_is_said(
    services: Services, tiny_checkpoints: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, 2**21))"
    service = services.started(tiny_checkpoints, workers=0, before=full)
    try:
        answer = service.client.post("/stylize", files={"content": PHOTO + bytes(2**22)}, data={"style_id": "first"})
        problem(answer, 503, None, "no room for the files of this request at the moment: try again later")
        assert int(answer.headers["retry-after"]) > 0
        assert service.metric('stylize_rejected_total{reason="Unavailable"}') == 1
    finally:
        service.stop()
    logged = capfd.readouterr().err
    assert "an upload could not be kept in the temporary folder: " in logged and "File too large" in logged
    assert "Traceback" not in logged
