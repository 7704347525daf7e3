"""``POST /stylize``: a photo and styles in, the painted photo out; or a job, whose image is fetched later."""

import contextlib
from time import time
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Form, Header, Request, Response

from service.errors import InvalidField, ServiceError
from service.http.context import Context, ContextOfProcess, while_connected
from service.http.forms import StylizeForm, only_fields_of
from service.http.idempotency import (
    IdempotencyKey,
    KeyedRequest,
    earlier_job,
    read_key,
    replayable,
    replayed,
    require_end,
)
from service.http.responses.files import OUTPUT, output_response
from service.http.responses.jobs import ACCEPTED, JobView, accept_of_output, accepted_response, prefers_async
from service.http.responses.problems import problem_statuses
from service.queue.jobs import Job, JobProgress
from service.queue.records import Accepted, JobRecords, JobStatus
from service.request import MAX_STYLES, StylizeParameters, StylizeRequest
from service.resolve import resolve

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
    keyed = await read_key(request, idempotency_key)
    if keyed is not None and (response := await _replayed(keyed, prefer, context.records)) is not None:
        return response
    asked = await form.read()
    parameters = await _parameters(asked, accept_of_output(accept, prefer), request.state.request_id, context)
    job_id = uuid4().hex if keyed is None else keyed.job_id
    job = Job(job_id, parameters.travelling(), asked.blobs(), request.state.client or "")
    fingerprint = "" if keyed is None else keyed.fingerprint
    accepted = Accepted(time(), parameters.request_id, parameters.format, parameters.seed, fingerprint)
    if prefers_async(prefer):
        await context.dispatcher.accept(job, accepted)
        return await _accepted_response(job.id, accepted, context.records)
    if parameters.method == "gatys":
        raise InvalidField(
            "got gatys, which takes minutes: send the header `Prefer: respond-async`, the answer is a job", "method"
        )
    result = await while_connected(request, context.dispatcher.submit(job, None if keyed is None else accepted))
    return output_response(result, parameters.format, parameters.seed)


async def _replayed(keyed: KeyedRequest, prefer: str | None, records: JobRecords) -> Response | None:
    """Respond with the result of an earlier request; ``None`` if the work must be done (again)."""
    status = await earlier_job(keyed, records)
    if status is None:
        return None
    if prefers_async(prefer):
        is_left = status.error is not None or status.state == "cancelled"
        return None if is_left else replayed(accepted_response(JobView.of(status)))
    require_end(status)
    result = await records.result(status.id) if status.state == "succeeded" else None
    return None if result is None else replayed(output_response(result, status.accepted.format, status.accepted.seed))


async def _parameters(
    asked: StylizeRequest[bytes], accept: str | None, request_id: str, context: Context
) -> StylizeParameters:
    """Resolve the request, with the styles as they are now."""
    model = asked.model or (context.settings.default_model if asked.style else None)
    catalog = context.watch.now(asked.style_id, [] if model is None else [model])  # which it must not have missed
    listed = {style.id for style in catalog.styles}
    others = [style_id for style_id in asked.style_id[:MAX_STYLES] if style_id not in listed]
    digests = {style.id: style.digest for style in (await context.styles.find(others)).values()}
    return await context.read_headers(
        lambda: resolve(asked, catalog, context.settings, digests, request_id=request_id, accept=accept)
    )


async def _accepted_response(job_id: str, accepted: Accepted, records: JobRecords) -> Response:
    status = None
    with contextlib.suppress(ServiceError):  # it is accepted, whatever happens now
        status = await records.status(job_id)
    return accepted_response(JobView.of(status or JobStatus(job_id, accepted, "queued", JobProgress())))
