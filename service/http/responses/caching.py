"""Answers that clients may keep and ask about: ``ETag``, ``If-None-Match``, 304."""

import hashlib
from typing import Any

from fastapi import Request, Response

NO_STORE: dict[str, Any] = {
    "Cache-Control": {"schema": {"type": "string"}, "description": "`no-store`: it is for this client and moment"}
}
"""For the documentation of an answer that nobody shall keep: its headers."""

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The client's copy, named by `If-None-Match`, is current"}
}
"""For the documentation of an endpoint that answers so."""


def cacheable(request: Request, body: bytes, media_type: str) -> Response:
    """An answer with an ETag, or 304 where the client has it already."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}  # may be kept, must be asked about
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
