"""``GET /`` and its files over HTTP: cached, versioned, small, and nothing in them that a strict policy refuses."""

import re
from pathlib import Path

import httpx
import pytest
from answers import problem
from processes import Service

from model_store.catalog import default_folder
from service.http.middleware.clients import is_open
from service.http.middleware.request_scope import POLICIES
from service.http.routes import pages

WEIGHT = 450_000
"""Bytes that a first visit may weigh: compressed code, the first photo, and the paintings that are in view."""

CODE_WEIGHT = 80_000
"""Bytes of compressed code."""

IN_VIEW = 14
"""Paintings in view on a wide screen, at most."""

LATER = ("js/batch.js", "js/contact.js", "js/snippets.js", "js/landing.js", "vendor/client-zip.js")
"""Scripts that are loaded when they are needed."""

FILES = sorted(path.relative_to(pages.FOLDER).as_posix() for path in pages.FOLDER.rglob("*") if path.is_file())
SCRIPTS = [name for name in FILES if name.startswith("js/")]
MOST_LINES = 200


@pytest.fixture(scope="module")
def service(api_alone: Service) -> Service:
    return api_alone


@pytest.fixture(scope="module")
def page(client: httpx.Client) -> str:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


@pytest.fixture(scope="module")
def folder(page: str) -> str:
    (version,) = set(re.findall(r'"(web/[0-9a-f]{12})/', page))
    return f"/{version}"


def read(name: str) -> str:
    return (pages.FOLDER / name).read_text()


def test_the_page_is_asked_about_and_kept(client: httpx.Client, page: str) -> None:
    answer = client.get("/")
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get("/", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head("/").status_code == 200


def test_what_it_loads_is_there_and_kept_for_good(client: httpx.Client, page: str, folder: str) -> None:
    kinds = {
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }
    for path in re.findall(r'"(web/[^"]+\.\w+)"', page):
        answer = client.get(f"/{path}")
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == kinds[path.rpartition(".")[2]]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        again = client.get(f"/{path}", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
        assert again.headers["cache-control"] == answer.headers["cache-control"]


def test_every_file_is_served(client: httpx.Client, folder: str) -> None:
    for name in FILES:
        if name != "index.html":
            served, written = client.get(f"{folder}/{name}").content, (pages.FOLDER / name).read_bytes()
            assert served == (
                re.sub(rb"(?ms)^ */\*\*(?:(?!\*/).)*\*/$", emptied, written) if name.endswith(".js") else written
            )


def emptied(comment: re.Match[bytes]) -> bytes:
    return b"\n" * comment[0].count(b"\n")


def test_text_is_compressed_for_those_who_read_it(client: httpx.Client, folder: str) -> None:
    for path in ("/", f"{folder}/js/main.js"):
        plain = client.get(path, headers={"Accept-Encoding": "identity"})
        packed = client.get(path, headers={"Accept-Encoding": "gzip, br"})
        assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == "gzip"
        assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
        assert plain.content == packed.content
        assert int(packed.headers["content-length"]) < len(plain.content) / 2
        assert plain.headers["etag"] != packed.headers["etag"], "they are different bytes"
        again = client.get(path, headers={"If-None-Match": packed.headers["etag"], "Accept-Encoding": "gzip"})
        assert again.status_code == 304
    picture = client.get(f"{folder}/photos/face.webp", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in picture.headers


def test_the_page_has_a_small_copy_of_every_shipped_painting(page: str) -> None:
    paintings = {path.stem for path in (default_folder() / "paintings").glob("*.webp")}
    (named,) = re.findall(r'data-paintings="([^"]*)"', page)
    assert set(named.split()) == paintings


@pytest.mark.parametrize(
    "path",
    ["/web/", "/web/old/js/main.js", "{}/index.html", "{}/", "{}/js", "{}/js/..%2f..%2f..%2fapp.py"],
)
def test_other_files_are_not_there(client: httpx.Client, folder: str, path: str) -> None:
    problem(client.get(path.format(folder)), 404, None)


def test_it_needs_no_key(folder: str) -> None:
    assert is_open("/") and is_open(f"{folder}/js/main.js") and not is_open("/website")


def test_its_policy_allows_its_own_files_and_no_more(client: httpx.Client) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert policy == POLICIES["/"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in policy and "data:" not in policy and "http" not in policy


def test_it_is_light(client: httpx.Client, page: str, folder: str) -> None:
    def weight(path: str) -> int:
        return int(client.get(path, headers={"Accept-Encoding": "gzip"}).headers["content-length"])

    code = {name: weight(f"{folder}/{name}") for name in FILES if name.endswith((".js", ".css", ".svg"))}
    code = {name: size for name, size in code.items() if name not in LATER}
    assert weight("/") + sum(code.values()) <= CODE_WEIGHT, code
    paintings = sorted(weight(f"{folder}/{name}") for name in FILES if name.startswith("paintings/"))
    photo = weight(f"{folder}/photos/animal.webp")
    assert weight("/") + sum(code.values()) + photo + sum(paintings[-IN_VIEW:]) <= WEIGHT
    assert all(weight(f"{folder}/{name}") <= 250_000 for name in FILES if name.startswith("photos/"))


def test_markup_has_nothing_inline_and_asks_nobody_else(page: str) -> None:
    assert not re.search(
        r"<script(?! type=\"module\" src=)|<style| style=| on\w+=|javascript:|https?:|\bsrc=\"//", page
    )
    assert len(set(re.findall(r' id="([^"]+)"', page))) == len(re.findall(r' id="[^"]+"', page))


def test_every_symbol_and_label_is_there(page: str) -> None:
    ids = set(re.findall(r' id="([^"]+)"', page))
    assert {name for name in re.findall(r'href="#([^"]+)"', page)} <= ids
    assert {name for value in re.findall(r' (?:for|aria-labelledby)="([^"]+)"', page) for name in value.split()} <= ids


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_short_typed_and_makes_no_markup(name: str) -> None:
    text = read(name)
    assert text.startswith("/**"), "says what it is for"
    assert len(text.splitlines()) <= MOST_LINES
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    assert set(re.findall(r"https?://[^\"]+", text)) <= {"http://www.w3.org/2000/svg"}, "asks nobody else"
    for imported in re.findall(r'^(?:import|export) .*from "(.+?)"', text, re.M):
        assert (pages.FOLDER / Path(name).parent / imported).is_file(), imported


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_imports_what_there_is(name: str) -> None:
    for names, path in re.findall(r'^import \{ (.*?) \} from "(.+?)"', read(name), re.M):
        other = (pages.FOLDER / Path(name).parent / path).read_text()
        declared = re.findall(r"^export (?:async )?(?:const|let|class|function\*?) ([\w$]+)", other, re.M)
        listed = re.findall(r"[\w$]+", " ".join(re.findall(r"^export \{(.+?)\};", other, re.M | re.S)))
        assert set(names.split(", ")) <= {*declared, *listed}, path


def test_every_script_is_used() -> None:
    found, waiting = set(), ["main.js"]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += re.findall(r'(?:^import .*from |import\()"\./(.+?)"', read(f"js/{name}"), re.M)
    assert found == {name.removeprefix("js/") for name in SCRIPTS}


def test_what_others_wrote_has_its_licence() -> None:
    scripts = [Path(name).stem for name in FILES if name.startswith("vendor/") and name.endswith(".js")]
    assert scripts
    for name in scripts:
        assert any(re.match(rf"vendor/{name}\.LICEN[CS]E\.txt", other) for other in FILES), name


def test_the_package_has_every_file() -> None:
    import tomllib

    root = pages.FOLDER.parents[1]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["service"]
    packed = {path for pattern in patterns for path in (root / "service").glob(pattern)}
    assert {path for path in packed if pages.FOLDER in path.parents} == {pages.FOLDER / name for name in FILES}
