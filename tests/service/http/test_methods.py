"""HEAD, OPTIONS, and what is not there: every refusal is a problem."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from answers import problem
from fastapi.responses import StreamingResponse
from processes import Service

from service.http.app import create_app
from service.settings import Settings


@pytest.fixture(scope="module")
def service(api_alone: Service) -> Service:
    return api_alone


@pytest.mark.parametrize("path", ["/styles", "/styles/first", "/styles/first/preview", "/models", "/healthz", "/docs"])
def test_head_is_get_without_the_body(client: httpx.Client, path: str) -> None:
    get, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    skipped = {"date", "x-request-id"}
    assert {name: value for name, value in head.headers.items() if name not in skipped} == {
        name: value for name, value in get.headers.items() if name not in skipped
    }


def test_head_leaves_the_connection_usable(client: httpx.Client) -> None:
    for _ in range(3):
        assert client.head("/styles").status_code == 200
        assert client.get("/styles").status_code == 200


def test_head_of_what_is_not_there(client: httpx.Client) -> None:
    for path, status in (("/nowhere", 404), ("/styles/third", 404), ("/stylize", 405)):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer.headers["content-type"] == "application/problem+json"


def test_head_is_counted_under_its_route(client: httpx.Client) -> None:
    client.head("/styles/first")
    assert 'method="HEAD",route="/styles/{style_id}",status="200"' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/models", "GET, HEAD, OPTIONS"),
        ("/styles", "GET, HEAD, POST, OPTIONS"),
        ("/stylize", "POST, OPTIONS"),
        ("/styles/nobody", "GET, HEAD, DELETE, OPTIONS"),
    ],
)
def test_options_names_the_methods(client: httpx.Client, path: str, allowed: str) -> None:
    answer = client.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == allowed
    assert "content-length" not in answer.headers


def test_options_of_what_is_not_there(client: httpx.Client) -> None:
    problem(client.options("/nowhere"), 404, None, "there is nothing at '/nowhere'")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_other_methods(client: httpx.Client, method: str) -> None:
    answer = client.request(method, "/models")
    problem(answer, 405, None, f"{method} is not possible at '/models', allowed is GET, HEAD, OPTIONS")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "path",
    [
        "/styles/",
        "/stylize/",
        "/STYLES",
        "/styles/first/",
        "/%00",
        "/styles/%00",
        "/styles/%ff%fe",
        "/%0d%0aX",
    ],
)
def test_paths_that_are_almost_right(client: httpx.Client, path: str) -> None:
    """No redirect: it would be made of a Host header that anybody may send."""
    problem(client.get(path), 404, None)


def test_without_other_origins_there_is_no_cors(client: httpx.Client) -> None:
    answer = client.get("/styles", headers={"Origin": "https://app.example"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/stylize", headers=asked)
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_head_of_an_answer_without_an_end(settings: Settings) -> None:
    """Only its header is made; the stream is not begun for nobody."""
    app = create_app(settings)
    sent: list[int] = []

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def numbers() -> AsyncIterator[str]:
            while True:
                sent.append(1)
                yield "more\n"
                await asyncio.sleep(0)

        return StreamingResponse(numbers(), media_type="text/plain")

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.head("/endless")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert len(sent) <= 1
