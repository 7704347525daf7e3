"""``stylize --server``, ``styles`` and ``status``, against running services."""

import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import image_files as files
import pytest
from answers import PHOTO, STYLE
from by_hand import WorkerByHand, any_picture
from commands import clean_environment, largest_difference, on_one_line, picture, run, start
from processes import Service, wait_for

from stylize_client import Client

Start = Callable[..., Service]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    clean_environment(monkeypatch)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "style.png").write_bytes(STYLE)
    (tmp_path / "photos").mkdir()
    for index in range(5):
        (tmp_path / "photos" / f"{index}.jpg").write_bytes(files.saved(files.photo(120, 80, seed=index), "jpeg"))
    return tmp_path


# ---- stylize ------------------------------------------------------------------------------------------------------


def test_a_service_paints_a_folder(service: Service, folder: Path) -> None:
    (folder / "photos" / "text.jpg").write_text("I am not a photo.")
    arguments = ["paint", "photos", "--style", "first", "--style", "style.png", "--weights", "1,3", "--size", "64"]
    result = run(*arguments, "--format", "png", "-o", "painted", "--server", service.url)
    assert result.exit_code == 1
    assert on_one_line(result) == "photos/text.jpg: got a text, allowed are jpeg, png, webp, avif: convert the file"
    with Client(service.url) as client:
        for photo in sorted((folder / "photos").glob("?.jpg")):
            alone = client.stylize(photo, styles=STYLE, style_ids="first", weights=[3, 1], size=64, format="png")
            assert largest_difference(alone.data, folder / "painted" / f"{photo.stem}.png") <= 1
    (folder / "photos" / "text.jpg").unlink()
    result = run(*arguments, "--format", "png", "-o", "painted", "--server", service.url)
    assert (result.exit_code, on_one_line(result)[:24]) == (0, "5 were there already and")


def test_a_service_stands_in_a_pipe(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_URL", service.url)
    result = run("paint", "-", "--style", "first", "--size", "64", "--quality", "5", stdin=PHOTO)
    assert (result.exit_code, result.stderr) == (0, "")
    with Client(service.url) as client:
        assert result.stdout_bytes == client.stylize(PHOTO, style_ids="first", size=64, quality=5).data


def test_a_service_optimises(service: Service, folder: Path) -> None:
    arguments = ["paint", "photos/0.jpg", "--method", "gatys", "--steps", "3", "--size", "64", "-o", "x.png"]
    result = run(*arguments, "--style", "style.png", "--server", service.url)
    assert (result.exit_code, result.output) == (0, "")
    assert picture(folder / "x.png").size == (64, 43)
    refused = run(*arguments, "--style", "first", "--server", service.url)
    assert refused.exit_code == 1
    assert "photos/0.jpg: got 'first': the painting of this style is not here" in on_one_line(refused)


def test_more_photos_than_the_queue_takes(start_service: Start, folder: Path) -> None:
    service = start_service(request_timeout_s=3)
    service.say_that_jobs_take(1.55)
    result = run(
        *("paint", "photos", "--style", "first", "--size", "64", "-o", "painted", "--server", service.url),
        *("--in-flight", "5"),
    )
    assert (result.exit_code, result.output) == (0, "")
    assert len(list((folder / "painted").glob("*.jpg"))) == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_waiting_cancels_the_job(start_service: Start, folder: Path, number: signal.Signals) -> None:
    service = start_service(workers=0)
    worker = WorkerByHand(service)
    arguments = ["photos/0.jpg", "--style", "style.png", "--method", "gatys", "--size", "64", "-o", "x.png"]
    process = start("paint", *arguments, "--server", service.url, folder=folder, stderr=subprocess.PIPE)
    claims: list = []
    wait_for(lambda: claims.extend(worker.claim(lane="background")) or claims, 60)
    assert worker.tell(claims[0], 1, 3)
    wait_for(lambda: 'route="/jobs/{job_id}",status="200"' in service.client.get("/metrics").text)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert b"Traceback" not in said
    assert not worker.tell(claims[0], 2, 3), "nobody wants it any more"
    assert not (folder / "x.png").exists()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--style", "sytle.png"], 2, "there is no file 'sytle.png', and as a style's id: there is no style"),
        (["--style", "first", "--size", "big"], 2, "got 'big': the longer side in pixels, or `original`"),
        (["--style", "first", "--size", "7"], 1, "photos/0.jpg: got '7': the longer side must be from 64 to 4096"),
        (["--style", "first", "--steps", "5"], 2, "got 5, but the method feedforward takes no steps"),
        (["--style", "x" * 300], 2, "and as a style's id: "),
        (["--style", "first", "--server", "nonsense"], 2, "got 'nonsense' as the service's address"),
        (["--style", "first", "--server", "http://127.0.0.1:9"], 1, "no response from http://127.0.0.1:9"),
    ],
)
def test_what_a_service_refuses(api_alone: Service, arguments: list[str], exit_code: int, message: str) -> None:
    result = run("paint", "photos/0.jpg", "-o", "x.png", "--server", api_alone.url, *arguments)
    assert (result.exit_code, "Traceback" in result.output) == (exit_code, False)
    assert message in on_one_line(result)


# ---- styles -------------------------------------------------------------------------------------------------------


def test_the_styles_here(every_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_CHECKPOINTS", str(every_network))
    lines = run("styles").stdout.splitlines()
    assert lines[0].split() == ["id", "title", "artist", "year", "networks", "kind", "painting", "controls"]
    first = next(line for line in lines if line.startswith("first"))
    assert first.split()[:6] == ["first", "First", "Nobody", "1900", "adain", "shipped"]
    moss = next(line for line in lines if line.startswith("moss"))
    assert "noisy" in moss and "learned" in moss and "seed" in moss
    found = json.loads(run("styles", "--json", "--kind", "learned", "--model", "coast").stdout)["styles"]
    assert [style["id"] for style in found] == ["sea", "sky", "sand"]


def test_a_network_that_is_not_there(every_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_CHECKPOINTS", str(every_network))
    result = run("styles", "--model", "bogus")
    assert result.exit_code == 2
    assert "there is no network 'bogus': known are adain, coast" in on_one_line(result)


def test_a_kind_of_styles_that_is_none() -> None:
    result = run("styles", "--kind", "bogus")
    assert result.exit_code == 2
    assert "'bogus' is not one of 'shipped', 'learned', 'registered'" in on_one_line(result)


def test_the_styles_of_a_service(service: Service) -> None:
    with Client(service.url) as client:
        style = client.register_style(STYLE, "Blots [1]")
        result = run("styles", "--server", service.url)
        assert [line.split()[0] for line in result.stdout.splitlines()] == ["id", "first", "second", style.id]
        assert "Blots [1]" in result.stdout
        found = json.loads(run("styles", "--server", service.url, "--json").stdout)
        assert found["styles"] == service.client.get("/styles").json()["styles"]
        client.delete_style(style.id)


# ---- status -------------------------------------------------------------------------------------------------------


def test_the_status_of_a_service(service: Service) -> None:
    with Client(service.url) as client:
        client.stylize(PHOTO, style_ids="first", size=64)
    wait_for(lambda: service.metric("stylize_batch_size_count") > 0)
    result = run("status", "--once", "--server", service.url)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"{service.url} is ready"
    assert lines[1].startswith("queue: 0 interactive, 0 background; ")
    assert lines[1].endswith(" pictures per batch")
    found = json.loads(run("status", "--json", "--server", service.url).stdout)
    assert (found["ready"], found["queue"]) == (True, {"interactive": 0, "background": 0})
    (worker,) = found["workers"]
    assert (worker["state"], worker["models"]) == ("ready", ["adain"])
    assert worker["device"] and worker["dtype"]
    wait_for(lambda: held(service) == 0)  # a sign of life tells it, now and then


def held(service: Service) -> int:
    return int(json.loads(run("status", "--json", "--server", service.url).stdout)["workers"][0]["held"])


def test_a_queue_fills_and_a_worker_falls_silent(start_service: Start) -> None:
    service = start_service(workers=0, lease_ms=600)
    url = ["--server", service.url]
    result = run("status", "--once", *url)
    assert result.exit_code == 1
    assert "is not ready: no worker is ready" in on_one_line(result)
    WorkerByHand(service)
    with Client(service.url) as client:
        for _ in range(2):
            client.submit(PHOTO, style_ids="first", size=64)
        client.submit(PHOTO, styles=STYLE, size=64, method="gatys")
    found = json.loads(run("status", "--json", *url).stdout)
    assert found["queue"] == {"interactive": 2, "background": 1}
    assert [worker["name"] for worker in found["workers"]] == ["by hand"]
    wait_for(lambda: json.loads(run("status", "--json", *url).stdout)["workers"][0]["state"] == "silent")
    assert run("status", "--once", *url).exit_code == 1


def test_a_status_without_a_key_or_a_service(start_service: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = f"alice:{hashlib.sha256(b'a-key').hexdigest()}"
    service = start_service(workers=0, api_keys=entry)
    monkeypatch.setenv("STYLIZE_PORT", service.settings["STYLIZE_PORT"])
    WorkerByHand(service)
    result = run("status", "--once")
    assert result.exit_code == 0
    assert on_one_line(result).startswith(f"{service.url} is ready: no API key was sent")
    monkeypatch.setenv("STYLIZE_API_KEY", "a-key")
    assert "queue: 0 interactive" in run("status", "--once").stdout
    nobody = run("status", "--once", "--server", "http://127.0.0.1:9")
    assert nobody.exit_code == 1
    assert "is not ready: no response from http://127.0.0.1:9" in on_one_line(nobody)


def test_a_terminal_is_refreshed_in_place(api_alone: Service, folder: Path) -> None:
    shown, terminal = pty.openpty()
    command = [sys.executable, "-m", "service", "status", "--server", api_alone.url, "--every", "0.1"]
    environment = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(command, stdout=terminal, stderr=terminal, env=environment, cwd=folder)
    text = b""
    while text.count(b"not ready") < 3:
        text += os.read(shown, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    os.close(terminal)
    os.close(shown)
    assert b"\x1b[" in text and b"Traceback" not in text


def test_a_picture_of_a_job_comes_whole(start_service: Start, folder: Path) -> None:
    """Larger than a request may be: it is a job."""
    service = start_service(workers=0)
    worker = WorkerByHand(service)
    process = start(
        *("paint", "photos/0.jpg", "--style", "first", "--size", "original", "-o", "x.jpg", "--server", service.url),
        folder=folder,
    )
    claims: list = []
    wait_for(lambda: claims.extend(worker.claim()) or claims, 60)
    worker.paint(claims[0])
    assert process.wait(30) == 0
    assert (folder / "x.jpg").read_bytes() == any_picture()
