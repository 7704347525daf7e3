"""Proxies and certificates of the environment: loopback is direct, and what cannot be used is named in one line."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from commands import on_one_line, run
from processes import Service

from stylize_client import AsyncClient, Client, ProblemError, Retries
from stylize_client.environment import bypasses_proxy, proxy_for

ONCE = Retries(attempts=1)
DEAD = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)


@pytest.fixture
def proxy() -> Iterator[HTTPServer]:
    """A proxy that refuses everything with a status of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.asked = self.path  # type: ignore[attr-defined]
            self.send_error(407, "by the proxy")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


# ---- loopback -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_loopback_goes_direct(service: Service, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, DEAD)
    with Client(service.url, retries=ONCE) as client:
        assert client.ready().ready


def test_loopback_needs_no_working_environment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "fd00::/8,10.0.0.0/8")
    monkeypatch.setenv("SSL_CERT_FILE", "/missing.pem")
    with Client(service.url, retries=ONCE) as client:
        assert client.models()


# ---- proxies ------------------------------------------------------------------------------------------------------


def test_another_address_goes_through_the_proxy(proxy: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.server_port}")  # without a scheme, as is allowed
    monkeypatch.setenv("NO_PROXY", "other.example,fd00::/8")
    with Client("http://stylize.example:8000", retries=ONCE) as client, pytest.raises(ProblemError, match="407"):
        client.style("first")
    assert proxy.asked == "http://stylize.example:8000/styles/first"  # type: ignore[attr-defined]


async def test_the_asynchronous_client_does_so_too(proxy: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.server_port}")
    async with AsyncClient("http://stylize.example", retries=ONCE) as client:
        with pytest.raises(ProblemError, match="407"):
            await client.style("first")


@pytest.mark.parametrize(
    ("url", "entries", "bypasses"),
    [
        ("http://stylize.example", "stylize.example", True),
        ("http://a.stylize.example", "stylize.example", True),
        ("http://a.stylize.example", ".stylize.example", True),
        ("http://a.stylize.example", "*.stylize.example", True),
        ("http://notstylize.example", "stylize.example", False),
        ("http://stylize.example:8000", "stylize.example:8000", True),
        ("http://stylize.example:8000", "stylize.example:9000", False),
        ("https://stylize.example", "stylize.example:443", True),
        ("http://stylize.example", "*", True),
        ("http://10.1.2.3", "192.168.0.0/16, 10.0.0.0/8", True),
        ("http://11.1.2.3", "10.0.0.0/8", False),
        ("http://10.1.2.3", "10.1.2.3", True),
        ("http://[fd00::1]:8000", "fd00::/8", True),
        ("http://[fd00::1]:8000", "[fd00::1]", True),
        ("http://[fe80::1]:8000", "fd00::/8", False),
        ("http://stylize.example", "", False),
    ],
)
def test_exceptions_from_the_proxy(url: str, entries: str, bypasses: bool) -> None:
    assert bypasses_proxy(httpx.URL(url), entries.split(",")) == bypasses


@pytest.mark.parametrize("url", [f"http://{host}" for host in ("localhost", "a.localhost", "127.0.0.2", "[::1]")])
def test_every_loopback_address_is_direct(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", DEAD)
    assert proxy_for(httpx.URL(url)) is None
    assert proxy_for(httpx.URL("http://10.0.0.1")) is not None


# ---- what cannot be used ------------------------------------------------------------------------------------------

socks = pytest.mark.skipif(find_spec("socksio") is not None, reason="SOCKS proxies can be used here")


@socks
def test_a_socks_proxy_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    reason = (
        "got ALL_PROXY='socks5://127.0.0.1:1080', a SOCKS proxy, for which a package is missing: "
        "pip install 'httpx[socks]', or change ALL_PROXY, unset it, or add stylize.example to NO_PROXY"
    )
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match=re.escape(reason)):
            kind("http://stylize.example")
    monkeypatch.setenv("NO_PROXY", "stylize.example")
    Client("http://stylize.example").close()


@pytest.mark.parametrize("address", ["gopher://proxy", "http://a:b"])
def test_an_address_that_is_no_proxy(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", address)
    with pytest.raises(ValueError, match=f"got HTTP_PROXY='{address}', which is not the address of a proxy"):
        Client("http://stylize.example")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_are_none(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(ValueError, match=r"got SSL_CERT_FILE='.*bundle\.pem', from which no certificates can be read"):
        Client("https://stylize.example")
    Client("http://stylize.example").close()


@socks
def test_commands_name_it_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    for command in (["status", "--server", "http://stylize.example"], ["styles", "--server", "http://stylize.example"]):
        result = run(*command)
        assert result.exit_code == 2 and "a SOCKS proxy, for which a package is missing" in on_one_line(result)
