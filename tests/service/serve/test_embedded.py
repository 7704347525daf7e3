"""The embedded queue's keeper and server: one writer of a folder, and what the folder holds."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import wait_for
from redis import Redis
from redis.exceptions import RedisError

pytestmark = pytest.mark.processes

PHOTO, KEPT = os.urandom(20_000), os.urandom(500)


@pytest.fixture
def socket() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="q-") as folder:
        yield Path(folder) / "s"


@contextmanager
def keeper(socket: Path, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-m", "service.serve.embedded", str(socket), str(folder)])
    try:
        wait_for(lambda: answers(socket), 20)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def answers(socket: Path) -> bool:
    try:
        return bool(client(socket).ping())
    except RedisError:
        return False


def client(socket: Path) -> Redis:
    return Redis(unix_socket_path=str(socket))


def is_on_disk(data: bytes, folder: Path) -> bool:
    return any(data in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_what_was_deleted_leaves_the_disk_soon_after_a_start(socket: Path, tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").write_bytes(PHOTO[::-1])  # as versions left it that also kept snapshots
    with keeper(socket, tmp_path):
        redis = client(socket)
        redis.set("kept", KEPT)
        redis.set("deleted", PHOTO)
        redis.set("late", PHOTO[::-1], px=500)
        redis.delete("deleted")
    assert is_on_disk(PHOTO, tmp_path)
    with keeper(socket, tmp_path):
        wait_for(lambda: not is_on_disk(PHOTO, tmp_path), 20)
        assert not is_on_disk(PHOTO[::-1], tmp_path), "it expired while nothing ran"
        assert is_on_disk(KEPT, tmp_path) and client(socket).get("kept") == KEPT


def test_a_server_whose_keeper_was_killed_leaves_the_folder_to_the_next(socket: Path, tmp_path: Path) -> None:
    with keeper(socket, tmp_path) as first:
        redis = client(socket)
        redis.set("style", KEPT)
        server = redis.info("server")["process_id"]
        redis.close()
        first.kill()
        other = socket.with_name("other")  # so nothing but the lock tells it of the first
        with keeper(other, tmp_path):
            assert client(other).get("style") == KEPT
            assert not Path(f"/proc/{server}").exists() or "Z" in Path(f"/proc/{server}/stat").read_text().split()
    assert not answers(socket)


def test_it_ends_with_its_terminal_as_by_sigterm(socket: Path, tmp_path: Path) -> None:
    with keeper(socket, tmp_path) as process:
        client(socket).set("kept", KEPT)
        process.send_signal(signal.SIGHUP)
        assert process.wait(20) == 0
    assert is_on_disk(KEPT, tmp_path)
