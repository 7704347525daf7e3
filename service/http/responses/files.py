"""Responses whose body is a file: an output image, or something that a client may keep (``ETag``, 304)."""

import hashlib
from typing import Any

from fastapi import Request, Response

from service.formats import FORMATS
from service.http.schemas import Facts
from service.queue.jobs import Result

NO_STORE: dict[str, Any] = {
    "Cache-Control": {"schema": {"type": "string"}, "description": "`no-store`: it is for this client and moment"}
}
"""For the documentation of an answer that nobody shall keep: its headers."""

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The client's copy, named by `If-None-Match`, is current"}
}
"""For the documentation of an endpoint that answers so."""

BINARY = {"type": "string", "format": "binary"}
PICTURE = {
    "content": {spec.mime: {"schema": BINARY} for spec in FORMATS.values()},
    "headers": {
        **NO_STORE,
        "Vary": {"schema": {"type": "string"}, "description": "`Accept`, which decides the format"},
        "Server-Timing": {
            "schema": {"type": "string"},
            "description": "Milliseconds that it took: `queue`, `decode`, `model`, `encode`",
            "example": "queue;dur=1.7, decode;dur=18.3, model;dur=610.0, encode;dur=1.4",
        },
        "X-Stylize-Model": {"schema": {"type": "string"}, "description": "The network that painted"},
        "X-Stylize-Batch-Size": {"schema": {"type": "integer"}, "description": "Pictures that it painted at once"},
        "X-Stylize-Seed": {
            "schema": {"type": "integer"},
            "description": "The seed of the noise, given or drawn, if the network takes one: it paints the same again",
        },
    },
}
"""For the documentation of an endpoint that answers so."""


def picture_response(result: Result, format: str, seed: int | None) -> Response:
    """The answer with a picture, and how it was made in its headers."""
    headers = _headers(Facts.model_validate(result.facts), seed)
    return Response(result.image, media_type=FORMATS[format].mime, headers=headers)


def _headers(facts: Facts, seed: int | None) -> dict[str, str]:
    stages = ("queue", "decode", "model", "encode")
    return {
        "Server-Timing": ", ".join(f"{stage};dur={getattr(facts, f'{stage}_ms'):.1f}" for stage in stages),
        "X-Stylize-Model": facts.model,
        "X-Stylize-Batch-Size": str(facts.batch_size),
        **({} if seed is None else {"X-Stylize-Seed": str(seed)}),
        "Vary": "Accept",
        "Cache-Control": "no-store",
    }


def cacheable(request: Request, body: bytes, media_type: str) -> Response:
    """An answer with an ETag, or 304 where the client has it already."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}  # may be kept, must be asked about
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
