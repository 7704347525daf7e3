"""Responses whose body is a file: an output image, or something that a client may keep (``ETag``, 304)."""

import hashlib
from typing import Annotated, Any

from fastapi import Header, Response

from service.formats import FORMATS
from service.queue.jobs import Result
from service.request import ResultInfo

Responses = dict[int | str, dict[str, Any]]
"""Documentation of an endpoint's responses, by status."""

TEXT = {"type": "string"}
BINARY = {"type": "string", "format": "binary"}

NO_STORE: dict[str, Any] = {
    "Cache-Control": {"schema": TEXT, "description": "`no-store`: the response is for this client and moment"}
}
ETAG: dict[str, Any] = {
    "ETag": {"schema": TEXT, "description": "Names this very content, for `If-None-Match`"},
    "Cache-Control": {
        "schema": TEXT,
        "description": "`no-cache`: a copy may be kept, and `If-None-Match` asks whether it is current",
    },
}

OUTPUT: dict[str, Any] = {
    "description": "The painted photo",
    "content": {spec.mime: {"schema": BINARY} for spec in FORMATS.values()},
    "headers": {
        **NO_STORE,
        "Vary": {"schema": TEXT, "description": "`Accept`, which decides the format"},
        "Server-Timing": {
            "schema": TEXT,
            "description": "Milliseconds that each stage took: `queue`, `decode`, `model`, `encode`",
            "example": "queue;dur=1.7, decode;dur=18.3, model;dur=610.0, encode;dur=1.4",
        },
        "X-Stylize-Model": {"schema": TEXT, "description": "The network that painted"},
        "X-Stylize-Batch-Size": {"schema": {"type": "integer"}, "description": "Images in the same forward pass"},
        "X-Stylize-Seed": {
            "schema": {"type": "integer"},
            "description": "The seed of the noise, given or drawn, if the network takes one: it gives the same image"
            " again",
        },
    },
}
"""Documentation of a response with an output image."""

IfNoneMatch = Annotated[
    str | None,
    Header(description="The `ETag` of a copy that the client has; if it is current, the response is a 304."),
]
"""An endpoint's parameter of this type gets the header."""


def output_response(result: Result, format: str, seed: int | None) -> Response:
    """Respond with an output image; its headers say how it was made."""
    info = ResultInfo.model_validate(result.info)
    stages = ("queue", "decode", "model", "encode")
    headers = {
        "Server-Timing": ", ".join(f"{stage};dur={getattr(info, f'{stage}_ms'):.1f}" for stage in stages),
        "X-Stylize-Model": info.model,
        "X-Stylize-Batch-Size": str(info.batch_size),
        **({} if seed is None else {"X-Stylize-Seed": str(seed)}),
        "Vary": "Accept",
        "Cache-Control": "no-store",
    }
    return Response(result.image, media_type=FORMATS[format].mime, headers=headers)


def cacheable_response(body: bytes, media_type: str, if_none_match: str | None) -> Response:
    """Respond with an ``ETag``, or with 304 where the client has this content already."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}  # may be kept, must be asked about
    known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def cacheable(description: str, *media_types: str) -> Responses:
    """Document a cacheable response; without media types FastAPI documents its body."""
    content = {media_type: {"schema": BINARY} for media_type in media_types}
    return {
        200: {"description": description, "headers": ETAG, **({"content": content} if content else {})},
        304: {"description": "The client's copy, named by `If-None-Match`, is current", "headers": ETAG},
    }
