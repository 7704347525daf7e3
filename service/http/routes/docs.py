"""``/docs``: the API as a page to read and try. Swagger UI comes from a package, so the page asks no other server.

The wheel ``fastapi-offline`` carries Swagger UI's files (Apache-2.0); only these are used. Their address has their hash
in it, so that a browser keeps them for good and still gets new ones. No script stands within the page's HTML, where a
strict content security policy would refuse it.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Response

from service.errors import NotFound

router = APIRouter(include_in_schema=False)

START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""
"""Addresses are relative, so that the page also works below the path that a proxy gives it."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stylize API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/{swagger-ui.css}">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> does not.</noscript>
<script src="docs/{swagger-ui-bundle.js}"></script>
<script src="docs/{start.js}"></script>
</body>
</html>
"""

FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file of the page; ``address`` is below ``/docs/``."""

    address: str
    media_type: str
    content: bytes


@router.get("/docs")
def docs() -> Response:
    """The page."""
    page = PAGE
    for name, asset in assets().items():
        page = page.replace(f"{{{name}}}", asset.address)
    return Response(page, media_type="text/html", headers={"Cache-Control": "no-cache"})


@router.get("/docs/{version}/{name}")
def docs_asset(version: str, name: str) -> Response:
    """One of its files."""
    asset = assets().get(name)
    if asset is None or asset.address != f"{version}/{name}":
        raise NotFound("there is no such file: reload /docs, which names those that there are")
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": FOR_GOOD})


@cache
def assets() -> dict[str, Asset]:
    """By name, read once."""
    package = find_spec("fastapi_offline")
    if package is None or package.origin is None:
        raise RuntimeError("the package fastapi-offline, which carries Swagger UI, is not installed: pip install it")
    folder = Path(package.origin).parent / "static"
    contents = {
        "swagger-ui.css": ("text/css", (folder / "swagger-ui.css").read_bytes()),
        "swagger-ui-bundle.js": ("text/javascript", (folder / "swagger-ui-bundle.js").read_bytes()),
        "start.js": ("text/javascript", START.encode()),
    }
    return {
        name: Asset(f"{hashlib.sha256(content).hexdigest()[:12]}/{name}", media_type, content)
        for name, (media_type, content) in contents.items()
    }
