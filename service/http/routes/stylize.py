"""``POST /stylize``: a photo and styles in, the painted photo out."""

from typing import Annotated

from fastapi import APIRouter, Form, Header, Request, Response

from service.http.context import ContextOfProcess
from service.http.forms import StylizeForm, only_fields_of
from service.http.once import IdempotencyKey, once, replayable
from service.http.responses.files import OUTPUT
from service.http.responses.jobs import ACCEPTED, accept_of_output
from service.http.responses.problems import problem_statuses
from service.http.serving import answer_request

router = APIRouter(tags=["stylize"])


@router.post(
    "/stylize",
    response_class=Response,
    dependencies=[only_fields_of(StylizeForm)],
    responses={
        200: replayable(OUTPUT),
        202: replayable(ACCEPTED),
        **problem_statuses(400, 404, 406, 408, 409, 413, 415, 422, 429, 503, 504),
    },
)
async def stylize(
    request: Request,
    context: ContextOfProcess,
    form: Annotated[StylizeForm, Form(media_type="multipart/form-data")],
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    prefer: Annotated[
        str | None, Header(description="`respond-async`: answer `202` with a job at once, see `/jobs/{job_id}`.")
    ] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Paint a photo in the style of other pictures, or of styles known by id, or of a mix of them."""
    asked = await form.read()
    accept = accept_of_output(accept, prefer)
    return await once(
        request, idempotency_key, context.answers, lambda: answer_request(asked, accept, prefer, request, context)
    )
