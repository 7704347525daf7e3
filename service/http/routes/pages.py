"""The pages: ``GET /``, which is plain HTML, CSS and ES modules, and ``GET /docs``, which is Swagger UI.

A page's files stand below a folder that is named after the hash of all of them: modules that import each other by
relative names are always of one version, and a browser keeps them for good and still gets new ones with a new page.
Scripts are served without the comments that document them, and text is compressed once, when it is read.

The wheel ``fastapi-offline`` carries Swagger UI's files (Apache-2.0), so that the page asks no other server; only these
are used. No script stands within a page's HTML, where a strict content security policy would refuse it.
"""

import gzip
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Response

from service.errors import NotFound
from service.http.responses.files import IfNoneMatch, cacheable_response

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parents[2] / "web"
PAINTINGS = "paintings"
"""The folder of small copies of the shipped paintings, named by style id."""

SWAGGER = ("swagger-ui.css", "swagger-ui-bundle.js")

MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webp": "image/webp",
}
"""Media types of what is served, by ending."""

DOCUMENTATION = re.compile(rb"^[ \t]*/\*\*(?:(?!\*/).)*\*/[ \t]*$", re.MULTILINE | re.DOTALL)
"""A comment of a script on lines of its own; these stay, empty, so that line numbers are those of the file."""

AcceptEncoding = Annotated[str, Header(description="Text is compressed for clients that read gzip.")]
"""An endpoint's parameter of this type gets the header."""

DOCS_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stylize API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/{version}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> does not.</noscript>
<script src="docs/{version}/swagger-ui-bundle.js"></script>
<script src="docs/{version}/start.js"></script>
</body>
</html>
"""

DOCS_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""
"""Addresses are relative, so that the page also works below the path that a proxy gives it."""


@dataclass(frozen=True)
class File:
    """A file as it is sent, and compressed for clients that read gzip if it is text."""

    content: bytes
    media_type: str
    compressed: bytes | None

    @classmethod
    def make(cls, content: bytes, suffix: str) -> "File":
        """Make a file from its content; the ending of its name tells what it is."""
        media_type = MEDIA_TYPES[suffix]
        is_text = media_type.startswith("text/") or suffix == ".svg"
        return cls(content, media_type, gzip.compress(content, mtime=0) if is_text else None)

    def response(self, if_none_match: str | None, accept_encoding: str) -> Response:
        """Respond with the file."""
        if self.compressed is None:
            return cacheable_response(self.content, self.media_type, if_none_match)
        is_read = "gzip" in accept_encoding
        response = cacheable_response(self.compressed if is_read else self.content, self.media_type, if_none_match)
        response.headers["Vary"] = "Accept-Encoding"
        if is_read and response.status_code == 200:
            response.headers["Content-Encoding"] = "gzip"
        return response


class Site:
    """A page, in which ``{version}`` stands for the hash of its files, and these files by their paths."""

    def __init__(self, page: str, files: Mapping[str, bytes]) -> None:
        digest = hashlib.sha256()
        for path, content in files.items():
            digest.update(f"{path}\0{len(content)}\0".encode())
            digest.update(content)
        self.version = digest.hexdigest()[:12]
        self.page = File.make(page.replace("{version}", self.version).encode(), ".html")
        self.files = {path: File.make(content, Path(path).suffix) for path, content in files.items()}


def _without_documentation(content: bytes, suffix: str) -> bytes:
    """Empty the lines of comments that are for readers of the source."""
    return DOCUMENTATION.sub(lambda found: b"\n" * found[0].count(b"\n"), content) if suffix == ".js" else content


@cache
def web_site() -> Site:
    """Read the page and its files."""
    files = {
        path.relative_to(FOLDER).as_posix(): _without_documentation(path.read_bytes(), path.suffix)
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in MEDIA_TYPES and path.suffix != ".html"
    }
    paintings = " ".join(Path(path).stem for path in files if path.startswith(f"{PAINTINGS}/"))
    return Site((FOLDER / "index.html").read_text(encoding="utf-8").replace("{paintings}", paintings), files)


@cache
def docs_site() -> Site:
    """Read Swagger UI.

    Raises:
        RuntimeError: The package that carries it is not installed.
    """
    package = find_spec("fastapi_offline")
    if package is None or package.origin is None:
        raise RuntimeError("the package fastapi-offline, which carries Swagger UI, is not installed: pip install it")
    files = {name: (Path(package.origin).parent / "static" / name).read_bytes() for name in SWAGGER}
    return Site(DOCS_PAGE, {**files, "start.js": DOCS_START.encode()})


def _add_site(path: str, folder: str, site: Callable[[], Site]) -> None:
    """Serve a page, and its files, which browsers may keep for good, below a folder."""

    @router.get(path)
    def page(if_none_match: IfNoneMatch = None, accept_encoding: AcceptEncoding = "") -> Response:
        return site().page.response(if_none_match, accept_encoding)

    @router.get(f"{folder}/{{version}}/{{path:path}}")
    def file(
        version: str, path: str, if_none_match: IfNoneMatch = None, accept_encoding: AcceptEncoding = ""
    ) -> Response:
        found = site().files.get(path)
        if found is None or version != site().version:
            raise NotFound("there is no such file: reload the page, which names those that there are")
        response = found.response(if_none_match, accept_encoding)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


_add_site("/", "/web", web_site)
_add_site("/docs", "/docs", docs_site)
