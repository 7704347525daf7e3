"""``GET /``: the page, and its files. Plain HTML, CSS and ES modules, served as they are written.

The files stand below ``/web/{version}/``, where the version is the hash of all of them: modules that import each other
by relative names are always of one version, a browser keeps them for good and still gets new ones with a new page.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from model_store.catalog import default_folder
from service.errors import NotFound
from service.http.responses.files import cacheable

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parents[2] / "web"
PAGE = "index.html"
SAMPLE = "sample.jpg"

MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
}
"""Other files are not served."""

FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Web:
    """The page and its files, by their paths below ``/web/{version}/``."""

    version: str
    page: bytes
    files: dict[str, bytes]


@router.get("/")
def page(request: Request) -> Response:
    """The page."""
    return cacheable(request, web().page, "text/html")


@router.get("/web/{version}/{path:path}")
def page_file(request: Request, version: str, path: str) -> Response:
    """One of its files."""
    content = web().files.get(path)
    if content is None or version != web().version:
        raise NotFound("there is no such file: reload the page, which names those that there are")
    answer = cacheable(request, content, MEDIA_TYPES[Path(path).suffix])
    answer.headers["Cache-Control"] = FOR_GOOD
    return answer


@cache
def web() -> Web:
    """All of it, read once."""
    files = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in MEDIA_TYPES
    }
    files[SAMPLE] = (default_folder() / SAMPLE).read_bytes()
    digest = hashlib.sha256()
    for path, content in files.items():
        digest.update(f"{path}\0{len(content)}\0".encode())
        digest.update(content)
    version = digest.hexdigest()[:12]
    text = (FOLDER / PAGE).read_text(encoding="utf-8")
    return Web(version, text.replace("{version}", version).encode(), files)
