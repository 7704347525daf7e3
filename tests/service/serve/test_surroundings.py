"""``serve`` and the settings in surroundings that people have: odd folder names, proxies, Kubernetes' variables."""

import os
import signal
import stat
from pathlib import Path

import httpx
import pytest
from processes import wait_for

from service.settings import Settings, load_settings
from tests.service.serve.test_supervisor import Served, children, is_running

ODD = 'it\'s a #1 "box" \\ of $HOME'


@pytest.mark.processes
@pytest.mark.timeout(200)
def test_odd_names_and_a_proxy_are_in_nobodys_way(
    tmp_path: Path, tiny_checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, temporary = tmp_path / ODD, tmp_path / ("a rather long name " * 8)
    home.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(temporary))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    served = Served(tmp_path, tiny_checkpoints, data_dir="~/kept 'here'")
    try:
        wait_for(lambda: "Stylize is ready" in served.log or served.process.poll() is not None, 90)
        assert served.process.poll() is None, served.log
        assert (home / "kept 'here'" / "lock").exists()
        assert not (home / "kept 'here'" / "valkey.conf").exists()
        with httpx.Client(base_url=served.url, trust_env=False) as client:
            assert client.get("/readyz?worker=1").status_code == 200
    finally:
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(40) == 0
    assert "Traceback" not in served.log


@pytest.mark.processes
@pytest.mark.timeout(200)
def test_no_server_outlives_supervisor_and_keeper(tmp_path: Path, tiny_checkpoints: Path) -> None:
    served = Served(tmp_path, tiny_checkpoints)
    wait_for(lambda: "Stylize is ready" in served.log, 90)
    keeper = served.child("serve.embedded")
    assert keeper is not None
    (server,) = children(keeper)
    socket = next(word for word in children(served.process.pid)[keeper].split() if word.endswith("queue.sock"))
    assert stat.S_IMODE(Path(socket).stat().st_mode) == 0o700
    os.kill(served.process.pid, signal.SIGKILL)
    os.kill(keeper, signal.SIGKILL)
    served.process.wait()
    wait_for(lambda: not is_running(server), 20)


def test_kubernetes_link_is_no_port(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("STYLIZE_PORT", "tcp://10.0.171.239:80")
    assert load_settings().port == 8000
    assert "STYLIZE_PORT=tcp://10.0.171.239:80 is Kubernetes' link" in caplog.text
    monkeypatch.setenv("STYLIZE_PORT", "8123")
    assert load_settings().port == 8123


def test_a_tilde_is_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/some body")
    monkeypatch.setenv("STYLIZE_DATA_DIR", "~/data")
    monkeypatch.setenv("STYLIZE_CHECKPOINTS", "~")
    assert load_settings().data_dir == Path("/home/some body/data")
    assert load_settings().checkpoints == Path("/home/some body")
    assert Settings(data_dir=Path("~/x")).data_dir == Path("/home/some body/x")
