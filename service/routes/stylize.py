"""``POST /stylize``: a photo and styles in, the painted photo out."""

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, File, Form, Header, Request, Response, UploadFile

from service.connection import while_connected
from service.context import ContextOfProcess
from service.formats import FORMATS
from service.problems import problem_statuses
from service.queue import Job
from service.request import UPLOAD_MODEL, StylizeRequest, check_fields, job_parameters
from service.schemas import MAX_SEED, Color, Facts

router = APIRouter(tags=["stylize"])

PICTURE = {
    "content": {spec.mime: {"schema": {"type": "string", "format": "binary"}} for spec in FORMATS.values()},
    "headers": {
        "X-Stylize-Model": {"schema": {"type": "string"}, "description": "The network that painted"},
        "X-Stylize-Batch-Size": {"schema": {"type": "integer"}, "description": "Pictures that it painted at once"},
        "X-Stylize-Seed": {
            "schema": {"type": "integer"},
            "description": "The seed of the noise, given or drawn, if the network takes one: it paints the same again",
        },
    },
}


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
    style: Annotated[list[UploadFile], File(description="Up to four style images.")] = [],  # noqa: B006
    style_id: Annotated[
        list[str], Form(description="Up to four ids from `GET /styles`; those of one `model` mix.")
    ] = [],  # noqa: B006
    weights: Annotated[
        str | None,
        Form(description="Comma-separated, uploads first, then ids; equal when not given.", examples=["3,1"]),
    ] = None,
    alpha: Annotated[
        float, Form(ge=0, le=1, description="0 keeps the photo's own statistics, 1 is the full style.")
    ] = 1.0,
    color: Annotated[
        Color,
        Form(
            description="Whose colours: the `style`'s; or the photo's, by `match` (the style image is recoloured to the"
            " photo before it is encoded: for uploads) or by `luminance` (the photo's chroma is kept: for every style)."
        ),
    ] = "style",
    mask: Annotated[
        list[UploadFile],
        File(
            description="One grey image for each style, uploads first, then ids: it applies where its mask is light,"
            " softly. Places where all masks are black keep the photo's look; where masks overlap, `weights` decide."
            " Any size is resized to the result's."
        ),
    ] = [],  # noqa: B006
    style_size: Annotated[
        int | None,
        Form(
            description="Longer side in pixels at which uploaded styles are encoded, 512 when not given. A larger one"
            " makes larger strokes."
        ),
    ] = None,
    size: Annotated[str, Form(description="Longer side in pixels, or `original`.", examples=["512"])] = "512",
    seed: Annotated[
        int | None,
        Form(
            ge=0,
            le=MAX_SEED,
            description="For styles whose `controls` name it: the same seed paints the same again. Drawn at random when"
            " not given; `X-Stylize-Seed` says which it was.",
        ),
    ] = None,
    format: Annotated[str | None, Form(description="jpeg, png, webp or avif; overrides `Accept`.")] = None,
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
        color=color,
        masks=[await upload.read() for upload in mask],
        style_size=style_size,
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
