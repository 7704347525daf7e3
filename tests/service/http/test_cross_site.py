"""Pages of other sites, in a browser and by the headers that it sends; names that lead to the service or may not."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
from answers import PHOTO, problem
from processes import Service
from starlette.types import Message, Receive, Scope, Send

from service.api_keys import new_key
from service.errors import Forbidden
from service.http.middleware.cross_site import CrossSiteGuard
from service.settings import HttpSettings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGE = "https://app.example"
REFUSED = 'stylize_rejected_total{reason="Forbidden"}'


async def is_let_through(settings: HttpSettings, path: str = "/styles", method: str = "GET", **headers: str) -> bool:
    reached = []

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    async def nothing() -> Message:
        raise AssertionError("the body is not read")

    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw}
    try:
        await CrossSiteGuard(endpoint, settings)(scope, nothing, nothing)  # type: ignore[arg-type]
    except Forbidden:
        return False
    return reached == [path]


# ---- names --------------------------------------------------------------------------------------------------------

ADDRESSES = ("127.0.0.1", "127.0.0.1:8000", "[::1]:8000", "10.1.2.3:80", "[fe80::1]", "localhost:8000", "LocalHost.")
OTHERS = (
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "[::1].evil.example",
    "[::1",
    "evil.example:127.0.0.1",
    "stylize.example.evil.example",
    "a b",
)


@pytest.mark.parametrize("host", [*ADDRESSES, "box:8000", "stylize.example", "STYLIZE.example:443", ""])
async def test_names_of_ours(host: str) -> None:
    assert await is_let_through(HttpSettings(host="Box", allowed_hosts="stylize.example"), host=host)


@pytest.mark.parametrize("host", OTHERS)
async def test_names_of_others(host: str) -> None:
    settings = HttpSettings(host="box", allowed_hosts="stylize.example")
    for method in ("GET", "DELETE", "POST"):
        assert not await is_let_through(settings, method=method, host=host)
    assert await is_let_through(settings, "/healthz", host=host), "a balancer may ask under its own name"
    assert await is_let_through(HttpSettings(allowed_hosts="*"), host=host)
    assert await is_let_through(HttpSettings(api_keys=str(new_key("alice")[1])), host=host), "a page has no key"


def test_a_foreign_name_is_told_which_setting_to_change(api_alone: Service) -> None:
    for method, path in (("GET", "/styles"), ("GET", "/"), ("DELETE", "/styles/mine"), ("GET", "/metrics")):
        answer = api_alone.client.request(method, path, headers={"Host": "evil.example:8000"})
        problem(
            answer,
            403,
            None,
            "Host is 'evil.example:8000'",
            "STYLIZE_ALLOWED_HOSTS lists its names",
            "STYLIZE_API_KEYS",
        )
    port = api_alone.url.rpartition(":")[2]
    assert api_alone.client.get("/styles", headers={"Host": f"localhost:{port}"}).status_code == 200


# ---- pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "is_allowed"),
    [
        ({}, True),
        ({"sec_fetch_site": "same-origin", "origin": "http://127.0.0.1:8000"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"sec_fetch_site": "same-origin", "origin": "https://behind.a.proxy.example"}, True),
        ({"sec_fetch_site": "cross-site", "origin": "https://evil.example"}, False),
        ({"sec_fetch_site": "same-site", "origin": "http://127.0.0.1:3000"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "cross-site", "origin": "null"}, False),
        ({"sec_fetch_site": "cross-site", "origin": PAGE}, True),
        ({"origin": "HTTP://127.0.0.1:8000"}, True),
        ({"origin": "http://127.0.0.1:8001"}, False),
        ({"origin": "http://127.0.0.1"}, False),
        ({"origin": "null"}, False),
        ({"origin": PAGE}, True),
    ],
)
async def test_what_a_page_may_change(headers: dict[str, str], is_allowed: bool) -> None:
    settings, host = HttpSettings(cors_origins=PAGE), "127.0.0.1:8000"
    for method in ("POST", "DELETE", "PUT"):
        assert await is_let_through(settings, method=method, host=host, **headers) == is_allowed
    assert await is_let_through(settings, host=host, **headers), "to read it, a page needs CORS"
    assert await is_let_through(HttpSettings(cors_origins="*"), method="POST", host=host, **headers)


def test_a_foreign_page_is_told_which_setting_to_change(api_alone: Service) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site", "Origin": PAGE}, {"Origin": PAGE}):
        answer = api_alone.client.post("/stylize", files={"content": PHOTO}, headers=headers)
        problem(answer, 403, None, f"a page of '{PAGE}' sent this", "STYLIZE_CORS_ORIGINS names the origins")
    assert api_alone.metric(REFUSED) >= 2


@pytest.fixture
def other_page() -> Iterator[str]:
    """The address of a page of another origin."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.browser
def test_a_browser_cannot_be_made_to_post_here(chromium: "Browser", other_page: str, api_alone: Service) -> None:
    """As a page of another site does it: with a form and a file, which needs no preflight."""
    page = chromium.new_page()
    page.goto(other_page)
    before = api_alone.metric(REFUSED)
    page.evaluate(
        """async url => {
            const form = new FormData();
            form.set("title", "Mine");
            form.set("image", new Blob(["x"]), "x.png");
            await fetch(url, {method: "POST", body: form, mode: "no-cors"}).catch(() => null);
        }""",
        f"{api_alone.url}/styles",
    )
    assert api_alone.metric(REFUSED) == before + 1
    page.goto(f"{api_alone.url}/docs")
    assert page.evaluate("fetch('styles/mine', {method: 'DELETE'}).then(answer => answer.status)") == 404, "ours may"
