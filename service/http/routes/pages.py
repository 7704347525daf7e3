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
from collections.abc import Mapping
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
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webp": "image/webp",
}
"""Media types of the files that are served, by ending."""

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


class Site:
    """A page, in which ``{version}`` stands for the hash of its files, and these files by their paths."""

    def __init__(self, page: str, files: Mapping[str, bytes]) -> None:
        """Hash the files, and name their version in the page."""
        digest = hashlib.sha256()
        for path, content in files.items():
            digest.update(f"{path}\0{len(content)}\0".encode())
            digest.update(content)
        self._files = files
        self._version = digest.hexdigest()[:12]
        self._page = page.replace("{version}", self._version).encode()
        self._compressed = {path: gzip.compress(content, mtime=0) for path, content in files.items() if _is_text(path)}
        self._compressed_page = gzip.compress(self._page, mtime=0)

    def page_response(self, if_none_match: str | None, accept_encoding: str = "") -> Response:
        """Respond with the page."""
        return _response(self._page, self._compressed_page, "text/html", if_none_match, accept_encoding)

    def file_response(self, version: str, path: str, if_none_match: str | None, accept_encoding: str = "") -> Response:
        """Respond with a file of the page, to be kept for good.

        Raises:
            NotFound: There is no such file in this version.
        """
        content = self._files.get(path)
        if content is None or version != self._version:
            raise NotFound("there is no such file: reload the page, which names those that there are")
        media_type = MEDIA_TYPES[Path(path).suffix]
        response = _response(content, self._compressed.get(path), media_type, if_none_match, accept_encoding)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def _without_documentation(content: bytes, suffix: str) -> bytes:
    """Empty the lines of comments that are for readers of the source."""
    return DOCUMENTATION.sub(lambda found: b"\n" * found[0].count(b"\n"), content) if suffix == ".js" else content


def _is_text(path: str) -> bool:
    return MEDIA_TYPES[Path(path).suffix].startswith("text/") or path.endswith(".svg")


def _response(
    content: bytes, compressed: bytes | None, media_type: str, if_none_match: str | None, accept_encoding: str
) -> Response:
    """Respond with a file, compressed for a client that reads gzip."""
    if compressed is None:
        return cacheable_response(content, media_type, if_none_match)
    is_read = "gzip" in accept_encoding
    response = cacheable_response(compressed if is_read else content, media_type, if_none_match)
    response.headers["Vary"] = "Accept-Encoding"
    if is_read and response.status_code == 200:
        response.headers["Content-Encoding"] = "gzip"
    return response


@cache
def web_site() -> Site:
    """Read the page and its files."""
    files = {
        path.relative_to(FOLDER).as_posix(): _without_documentation(path.read_bytes(), path.suffix)
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in MEDIA_TYPES
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


@router.get("/")
def page(if_none_match: IfNoneMatch = None, accept_encoding: AcceptEncoding = "") -> Response:
    """Show the page."""
    return web_site().page_response(if_none_match, accept_encoding)


@router.get("/web/{version}/{path:path}")
def page_file(
    version: str, path: str, if_none_match: IfNoneMatch = None, accept_encoding: AcceptEncoding = ""
) -> Response:
    """Get a file of the page."""
    return web_site().file_response(version, path, if_none_match, accept_encoding)


@router.get("/docs")
def docs(if_none_match: IfNoneMatch = None, accept_encoding: AcceptEncoding = "") -> Response:
    """Show the API as a page to read and try."""
    return docs_site().page_response(if_none_match, accept_encoding)


@router.get("/docs/{version}/{path:path}")
def docs_file(
    version: str, path: str, if_none_match: IfNoneMatch = None, accept_encoding: AcceptEncoding = ""
) -> Response:
    """Get a file of this page."""
    return docs_site().file_response(version, path, if_none_match, accept_encoding)
