"""A painted picture as an HTTP answer: to the request itself, or later as the result of its job."""

from fastapi import Response

from service.formats import FORMATS
from service.http.responses.caching import NO_STORE
from service.queue.job import Result
from service.request import Facts

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
