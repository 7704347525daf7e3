"""``/docs``: a page that asks no other server for anything."""

import re

import httpx
import pytest
from answers import problem
from processes import Service


@pytest.fixture(scope="module")
def service(api_alone: Service) -> Service:
    return api_alone


@pytest.fixture(scope="module")
def page(client: httpx.Client) -> str:
    answer = client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    return answer.text


@pytest.fixture(scope="module")
def files(client: httpx.Client, page: str) -> dict[str, httpx.Response]:
    paths = re.findall(r'(?:src|href)="(docs/[^"]+)"', page)
    return {path.rpartition("/")[2]: client.get(f"/{path}") for path in paths}


def test_all_that_it_loads_is_ours(page: str, files: dict[str, httpx.Response]) -> None:
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert set(files) == {"swagger-ui.css", "swagger-ui-bundle.js", "start.js"}
    assert not [address for address in addresses if ":" in address and not address.startswith("data:")]
    assert "SwaggerUIBundle({" in files["start.js"].text
    assert 'url: "openapi.json"' in files["start.js"].text
    assert "validatorUrl: null" in files["start.js"].text, "else a badge asks a server of Swagger's"
    assert len(files["swagger-ui-bundle.js"].content) > 500_000


def test_its_policy_allows_what_it_loads_and_no_more(client: httpx.Client, page: str) -> None:
    policy = client.get("/docs").headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == "'none'"
    assert not re.search(r"<script(?! src=)|<style| on\w+=|https?:", page), "nothing that the policy would refuse"


def test_its_files_are_kept_by_browsers(files: dict[str, httpx.Response], client: httpx.Client) -> None:
    kinds = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
    for name, answer in files.items():
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kinds[name.rpartition(".")[2]]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "path", ["/docs/", "/docs/old/start.js", "/docs/start.js", "/docs/x/..%2f..%2fapp", "/docs/oauth2-redirect"]
)
def test_other_files_are_not_there(client: httpx.Client, path: str) -> None:
    problem(client.get(path), 404, None)
