"""``POST /stylize``: a photo and styles in, the painted photo out."""

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Header, Request, Response, UploadFile

from service.formats import FORMATS
from service.http.context import ContextOfProcess
from service.http.once import IdempotencyKey, once, replayable
from service.http.responses.files import OUTPUT
from service.http.responses.jobs import ACCEPTED, accept_of_output
from service.http.responses.problems import problem_statuses
from service.http.schemas import MAX_SEED, Color
from service.http.serving import answer_request
from service.optimisation import METHODS
from service.request import MAX_STYLES, MIN_SIZE_PX, StylizeRequest, check_fields, check_query

router = APIRouter(tags=["stylize"])

# For the documentation alone: the fields are checked where the messages are clearer.
UP_TO_FOUR: dict[str, Any] = {"maxItems": MAX_STYLES}
SIZE: dict[str, Any] = {"pattern": "^(original|[0-9]{2,9})$"}
METHOD: dict[str, Any] = {"enum": list(METHODS)}
STEPS: dict[str, Any] = {"minimum": 1}
STYLE_SIZE: dict[str, Any] = {"minimum": MIN_SIZE_PX}
FORMAT: dict[str, Any] = {"enum": [*FORMATS, "jpg"]}


@router.post(
    "/stylize",
    response_class=Response,
    responses={
        200: replayable(OUTPUT),
        202: replayable(ACCEPTED),
        **problem_statuses(400, 404, 406, 408, 409, 413, 415, 422, 429, 503, 504),
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
            description="Up to four ids from `GET /styles`; those mix whose `models` have one in common.",
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
    color: Annotated[
        Color,
        Form(
            description="Whose colours: the `style`'s; or the photo's, by `match` (the painting is recoloured to the"
            " photo before it is encoded: for styles whose painting is there) or by `luminance` (the photo's chroma is"
            " kept: for every style)."
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
            description="Longer side in pixels at which paintings are encoded, uploads and those of styles that"
            " have an `image`; 512 when not given. A larger one makes larger strokes.",
            json_schema_extra=STYLE_SIZE,
        ),
    ] = None,
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
    model: Annotated[
        str | None,
        Form(
            description="The network: for style images and registered styles one with `any_style`, for an id one of its"
            " `models`. When not given, the service's default if that can paint all the styles, else one that can.",
            examples=["adain"],
        ),
    ] = None,
    method: Annotated[
        str,
        Form(
            description="`feedforward`: one pass through a network. `gatys`: the picture itself is optimised, which"
            " takes minutes and needs `Prefer: respond-async`.",
            json_schema_extra=METHOD,
        ),
    ] = "feedforward",
    steps: Annotated[
        int | None, Form(description="Of `gatys`: more take longer and come closer.", json_schema_extra=STEPS)
    ] = None,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    prefer: Annotated[
        str | None, Header(description="`respond-async`: answer `202` with a job at once, see `/jobs/{job_id}`.")
    ] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Paint a photo in the style of other pictures, or of styles known by id, or of a mix of them."""
    check_query(request.query_params)
    check_fields((await request.form()).multi_items())
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
        accept=accept_of_output(accept, prefer),
        seed=seed,
        model=model,
        method=method,
        steps=steps,
        color=color,
        masks=[await upload.read() for upload in mask],
        style_size=style_size,
    )
    return await once(
        request, idempotency_key, context.answers, lambda: answer_request(asked, prefer, request, context)
    )
