"""``POST /stylize``: a photo and styles in, the painted photo out."""

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, File, Form, Header, Request, Response, UploadFile

from service.connection import while_connected
from service.context import ContextOfProcess
from service.formats import FORMATS
from service.problems import problem_statuses
from service.queue import Job
from service.request import MAX_STYLES, UPLOAD_MODEL, StylizeRequest, check_fields, job_parameters
from service.schemas import MAX_SEED, Facts

router = APIRouter(tags=["stylize"])

PICTURE = {
    "content": {spec.mime: {"schema": {"type": "string", "format": "binary"}} for spec in FORMATS.values()},
    "headers": {
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

# For the documentation alone: the fields are checked where the messages are clearer.
UP_TO_FOUR: dict[str, Any] = {"maxItems": MAX_STYLES}
SIZE: dict[str, Any] = {"pattern": "^(original|[0-9]{2,9})$"}
FORMAT: dict[str, Any] = {"enum": [*FORMATS, "jpg"]}


@router.post(
    "/stylize",
    response_class=Response,
    responses={
        200: {"description": "The painted photo", **PICTURE},
        **problem_statuses(400, 404, 406, 413, 415, 422, 500, 503, 504),
    },
)
async def stylize(
    request: Request,
    context: ContextOfProcess,
    content: Annotated[UploadFile, File(description="The photo: JPEG, PNG, WebP or AVIF.")],
    style: Annotated[list[UploadFile], File(description="Up to four style images.", json_schema_extra=UP_TO_FOUR)] = [],  # noqa: B006
    style_id: Annotated[
        list[str],
        Form(
            description="Up to four ids from `GET /styles`; those of one `model` mix.",
            json_schema_extra=UP_TO_FOUR,
            examples=[["hokusai-great-wave"]],
        ),
    ] = [],  # noqa: B006
    weights: Annotated[
        str | None,
        Form(description="Comma-separated, uploads first, then ids; equal when not given.", examples=["3,1"]),
    ] = None,
    alpha: Annotated[
        float, Form(ge=0, le=1, description="0 keeps the photo's own statistics, 1 is the full style.")
    ] = 1.0,
    size: Annotated[
        str,
        Form(description="Longer side in pixels, or `original`.", examples=["512"], json_schema_extra=SIZE),
    ] = "512",
    seed: Annotated[
        int | None,
        Form(
            ge=0,
            le=MAX_SEED,
            description="For styles whose `controls` name it: the same seed paints the same again. Drawn at random when"
            " not given; `X-Stylize-Seed` says which it was.",
        ),
    ] = None,
    format: Annotated[str | None, Form(description="Overrides `Accept`.", json_schema_extra=FORMAT)] = None,
    quality: Annotated[int | None, Form(ge=1, le=100, description="Of lossy formats.")] = None,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """Paint a photo in the style of other pictures, or of styles known by id, or of a mix of them."""
    check_fields(name for name, _ in (await request.form()).multi_items())
    asked = StylizeRequest(
        request_id=request.state.request_id,
        content=await content.read(),
        styles=[await upload.read() for upload in style],
        style_ids=style_id,
        weights=weights,
        alpha=alpha,
        size=size,
        format=format,
        quality=quality,
        accept=accept,
        seed=seed,
    )
    catalog = context.watch.now(style_id, [UPLOAD_MODEL] if style else [])
    parameters = job_parameters(asked, context.settings, catalog)
    job = Job(uuid4().hex, parameters.model_dump(), asked.blobs)
    result = await while_connected(request, context.dispatcher.submit(job))
    facts = Facts.model_validate(result.facts)
    context.metrics.painted(facts)
    return Response(result.image, media_type=FORMATS[parameters.format].mime, headers=_headers(facts, parameters.seed))


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
