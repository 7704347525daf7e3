"""``stylize serve``: all processes under one supervisor."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from processes import free_port, photo, wait_for

from service.serve.embedded import default_folder

pytestmark = pytest.mark.processes


def children(pid: int) -> dict[int, str]:
    """Command lines of a process's children, by process id."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found[int(stat.parent.name)] = (stat.parent / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is more than what nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Served:
    """A supervisor, its output and its address."""

    def __init__(self, folder: Path, checkpoints: Path, port: int | None = None, **settings: object) -> None:
        port = port or free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self._log = folder / "log"
        environment = {**os.environ, "STYLIZE_PORT": str(port), "STYLIZE_CHECKPOINTS": str(checkpoints)}
        environment |= {"STYLIZE_DATA_DIR": str(folder / "data"), "STYLIZE_WARM_UP_PX": "64"}
        environment |= {f"STYLIZE_{name.upper()}": str(value) for name, value in settings.items()}
        environment.pop("STYLIZE_REDIS_URL", None)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "service", "serve"], env=environment, stderr=log)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def child(self, name: str) -> int | None:
        return next(
            (
                pid
                for pid, command in children(self.process.pid).items()
                if f"service {name}" in command or f"service.{name}" in command
            ),
            None,
        )


@pytest.fixture
def served(tmp_path: Path, tiny_checkpoints: Path) -> Iterator[Served]:
    served = Served(tmp_path, tiny_checkpoints, lease_ms=1000)
    yield served
    if served.process.poll() is None:
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(30)


def test_it_starts_everything_heals_and_ends_everything(served: Served) -> None:
    wait_for(lambda: "Stylize is ready" in served.log, 60)
    started = children(served.process.pid)
    assert len(started) == 3
    assert re.search(rf"curl .*style_id=first .*{served.url}/stylize", served.log)

    worker = served.child("worker")
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: served.child("worker") not in (None, worker), 30)
    wait_for(lambda: "restarting it" in served.log)
    wait_for(lambda: httpx.get(f"{served.url}/readyz?worker=1").status_code == 503, 10)
    wait_for(lambda: httpx.get(f"{served.url}/readyz?worker=1").status_code == 200, 60)

    everyone = children(served.process.pid)
    embedded = next(pid for pid, command in everyone.items() if "service.serve.embedded" in command)
    everyone |= children(embedded)
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(40) == 0
    assert [pid for pid in everyone if Path(f"/proc/{pid}").exists()] == []


def test_several_api_processes_share_a_port_and_count_together(tmp_path: Path, tiny_checkpoints: Path) -> None:
    served = Served(tmp_path, tiny_checkpoints, api_processes=2)
    try:
        wait_for(lambda: "Stylize is ready" in served.log, 60)
        apis = [pid for pid, command in children(served.process.pid).items() if "service api" in command]
        assert len(apis) == 2

        def paint() -> None:
            """Paint once, over a new connection."""
            data = {"style_id": "first", "size": "64"}
            response = httpx.post(f"{served.url}/stylize", files={"content": photo(64, 64)}, data=data, timeout=60)
            assert response.status_code == 200

        def counted() -> int:
            text = httpx.get(f"{served.url}/metrics").text
            return int(float(re.findall(r"^stylize_batch_size_count (\S+)", text, re.MULTILINE)[0]))

        for _ in range(12):
            paint()
        wait_for(lambda: counted() == 12, 10)
        assert {counted() for _ in range(12)} == {12}, "each of the two knows of all"
        assert "stylize_build_info{" in httpx.get(f"{served.url}/metrics").text
        os.kill(apis[0], signal.SIGKILL)
        wait_for(lambda: "restarting it" in served.log)
        for _ in range(4):
            paint()  # by the other one
        wait_for(lambda: counted() == 16, 10)
    finally:
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(40) == 0


def test_several_workers_run_under_one_supervisor(queue_url: str, tiny_checkpoints: Path) -> None:
    settings = {"STYLIZE_REDIS_URL": queue_url, "STYLIZE_KEY_PREFIX": "several"}
    settings["STYLIZE_CHECKPOINTS"] = str(tiny_checkpoints)
    command = [sys.executable, "-m", "service", "worker", "--count", "2"]
    process = subprocess.Popen(command, env={**os.environ, **settings}, stderr=subprocess.DEVNULL)
    health = [sys.executable, "-m", "service", "worker-health"]
    try:
        wait_for(lambda: len(children(process.pid)) == 2, 30)
        wait_for(lambda: subprocess.run(health, env={**os.environ, **settings}).returncode == 0, 60)
        workers = children(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    assert not [pid for pid in workers if is_running(pid)]


def is_ready(served: Served) -> bool:
    try:
        return httpx.get(f"{served.url}/readyz?worker=1").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.timeout(200)
def test_a_dead_queue_is_started_again_with_what_it_held(served: Served) -> None:
    wait_for(lambda: "Stylize is ready" in served.log, 60)
    image = {"image": ("wave.png", photo(64, 64))}
    style = httpx.post(f"{served.url}/styles", files=image, data={"title": "Wave"}, timeout=60).json()
    time.sleep(1.5)  # what came in the last second may be lost
    for deaths, killed in enumerate(("server", "its keeper"), 1):
        keeper = served.child("serve.embedded")
        assert keeper is not None
        (server,) = children(keeper)
        os.kill(server if killed == "server" else keeper, signal.SIGKILL)
        wait_for(lambda deaths=deaths: served.log.count("The queue ended") == deaths, 10)
        wait_for(lambda keeper=keeper: served.child("serve.embedded") not in (None, keeper), 10)
        again = served.child("serve.embedded")
        assert again is not None
        wait_for(lambda again=again, server=server: list(children(again)) not in ([], [server]), 30)
        wait_for(lambda server=server: not is_running(server), 10)
        wait_for(lambda: is_ready(served), 60)
        assert httpx.get(f"{served.url}/styles?kind=registered").json()["styles"] == [style], killed
    served.process.send_signal(signal.SIGHUP)
    assert served.process.wait(40) == 0, "the end of its terminal is as SIGTERM"


def family(served: Served) -> list[int]:
    """All its processes but itself."""
    pids = list(children(served.process.pid))
    pids += [pid for child in pids for pid in children(child)]
    assert len(pids) == 4
    return pids


@pytest.mark.timeout(200)
def test_if_it_is_killed_with_the_queues_keeper_all_end_and_another_can_start(
    served: Served, tiny_checkpoints: Path
) -> None:
    wait_for(lambda: "Stylize is ready" in served.log, 60)
    image = {"image": ("wave.png", photo(64, 64))}
    style = httpx.post(f"{served.url}/styles", files=image, data={"title": "Wave"}, timeout=60).json()
    everyone = family(served)
    keeper = served.child("serve.embedded")
    assert keeper is not None
    for pid in (served.process.pid, keeper):
        os.kill(pid, signal.SIGKILL)
    served.process.wait()
    wait_for(lambda: not [pid for pid in everyone if is_running(pid)], 20)
    second = Served(served.folder, tiny_checkpoints, port=int(served.url.rpartition(":")[2]))
    wait_for(lambda: "Stylize is ready" in second.log, 60)
    assert httpx.get(f"{second.url}/styles?kind=registered").json()["styles"] == [style]
    everyone = family(second)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(
            httpx.post,
            f"{second.url}/stylize",
            files={"content": photo(900, 900)},
            data={"style_id": "first", "size": "1400"},
            timeout=60,
        )
        wait_for(lambda: "stylize_queue_depth 1.0" in httpx.get(f"{second.url}/metrics").text or under_way.done())
        second.process.kill()  # alone: the queue leaves when nobody needs it any more
        second.process.wait()
        assert under_way.result().status_code == 200
    wait_for(lambda: not [pid for pid in everyone if is_running(pid)], 20)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_restart_of_everything_forgets_neither_styles_nor_jobs(tmp_path: Path, tiny_checkpoints: Path) -> None:
    for run in ("first", "second"):
        served = Served(tmp_path, tiny_checkpoints, request_timeout_s=120)
        wait_for(lambda served=served: "Stylize is ready" in served.log, 120)
        with httpx.Client(base_url=served.url, timeout=120) as client:
            if run == "first":
                image = {"image": ("wave.png", photo(64, 64))}
                style = client.post("/styles", files=image, data={"title": "Wave"}).json()
                preview = client.get(style["preview"]).content
                order = {"files": {"content": photo()}, "headers": {"Prefer": "respond-async"}}
                done, waiting = (
                    client.post("/stylize", data={"style_id": style["id"], "size": "64"}, **order).headers["location"]
                    for _ in range(2)
                )
                wait_for(lambda client=client, done=done: client.get(done).json()["state"] == "succeeded", 60)
                picture = client.get(f"{done}/result").content
            else:
                assert client.get("/styles?kind=registered").json()["styles"] == [style]
                assert client.get(style["preview"]).content == preview
                assert client.get(f"{done}/result").content == picture
                wait_for(lambda client=client, waiting=waiting: client.get(waiting).json()["state"] == "succeeded", 60)
                assert client.delete(f"/styles/{style['id']}").status_code == 204
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(60) == 0
    assert (tmp_path / "data").stat().st_mode & 0o77 == 0, "others may not read the pictures"


def test_a_data_folder_in_use_is_said_and_ends_it(tmp_path: Path, tiny_checkpoints: Path) -> None:
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = Served(tmp_path, tiny_checkpoints)
        assert second.process.wait(60) == 2
    assert "another service keeps its data there; STYLIZE_DATA_DIR names another folder" in second.log
    assert "Traceback" not in second.log


def test_the_data_has_a_place_of_its_own_in_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_folder() == Path("/data/stylize")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_folder() == Path("/home/somebody/.local/share/stylize")


def test_a_data_folder_that_cannot_be_written_is_said_and_ends_it(tmp_path: Path, tiny_checkpoints: Path) -> None:
    (tmp_path / "data").write_text("a file")
    broken = Served(tmp_path, tiny_checkpoints)
    assert broken.process.wait(60) == 2
    assert "STYLIZE_DATA_DIR names another folder" in broken.log and "Traceback" not in broken.log


def test_a_taken_port_is_said_and_ends_it(tmp_path: Path, tiny_checkpoints: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        second = Served(tmp_path, tiny_checkpoints, port=other.getsockname()[1])
        assert second.process.wait(30) == 2
    assert "Address already in use" in second.log and "STYLIZE_PORT" in second.log


def test_a_folder_without_checkpoints_is_said_and_ends_it(tmp_path: Path) -> None:
    empty = Served(tmp_path, tmp_path)
    assert empty.process.wait(60) == 2
    assert "no usable checkpoint" in empty.log and "Traceback" not in empty.log


def test_a_bad_setting_names_itself(tmp_path: Path) -> None:
    bad = Served(tmp_path, tmp_path, max_styles="lots")
    assert bad.process.wait(30) == 2
    assert "STYLIZE_MAX_STYLES='lots'" in bad.log and "Traceback" not in bad.log
