"""Handler of a request for an output image: synchronous, or as a job whose image is fetched later."""

import contextlib
from time import time
from uuid import uuid4

from fastapi import Request, Response

from service.errors import InvalidField, ServiceError
from service.http.context import Context, while_connected
from service.http.idempotency import KeyedRequest, earlier_job, replayed, require_end
from service.http.responses.files import output_response
from service.http.responses.jobs import JobView, accepted_response, prefers_async
from service.http.schemas import Facts, StylizeParameters
from service.queue.job import Job
from service.queue.job_progress import JobProgress
from service.queue.job_records import JobRecords
from service.queue.job_status import Accepted, JobStatus
from service.request import MAX_STYLES, StylizeRequest
from service.resolve import job_parameters
from service.settings import HttpSettings


async def handle_stylize(
    asked: StylizeRequest, prefer: str | None, keyed: KeyedRequest | None, request: Request, context: Context
) -> Response:
    """Respond 200 with the image, or 202 with a job if ``prefer`` asks for it.

    Raises:
        ServiceError: The request is refused, or its job fails.
    """
    if keyed is not None and (response := await _replayed(keyed, prefer, context.records)) is not None:
        return response
    parameters = await _parameters(asked, context)
    job = Job(uuid4().hex if keyed is None else keyed.job_id, parameters.model_dump(), asked.blobs)
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
    context.metrics.painted(Facts.model_validate(result.facts))
    return output_response(result, parameters.format, parameters.seed)


async def _parameters(asked: StylizeRequest, context: Context) -> StylizeParameters:
    """Resolve the request, with the styles as they are now."""
    catalog = context.watch.now(asked.style_ids, _models_to_see(asked, context.settings))
    listed = {style.id for style in catalog.styles}
    others = [style_id for style_id in asked.style_ids[:MAX_STYLES] if style_id not in listed]
    return job_parameters(asked, context.settings, catalog, await context.styles.find(others))


def _models_to_see(asked: StylizeRequest, settings: HttpSettings) -> list[str]:
    """List the networks that the catalog must not have missed."""
    if asked.model is not None:
        return [asked.model]
    return [settings.default_model] if asked.styles else []


async def _replayed(keyed: KeyedRequest, prefer: str | None, records: JobRecords) -> Response | None:
    """Respond with the result of an earlier request; ``None`` if the work must be done (again)."""
    status = await earlier_job(keyed, records)
    if status is None:
        return None
    if prefers_async(prefer):
        return replayed(accepted_response(JobView.of(status)))
    require_end(status)
    result = await records.result(status.id) if status.state == "succeeded" else None
    return None if result is None else replayed(output_response(result, status.accepted.format, status.accepted.seed))


async def _accepted_response(job_id: str, accepted: Accepted, records: JobRecords) -> Response:
    status = None
    with contextlib.suppress(ServiceError):  # it is accepted, whatever happens now
        status = await records.status(job_id)
    return accepted_response(JobView.of(status or JobStatus(job_id, accepted, "queued", JobProgress())))
