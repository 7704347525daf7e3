"""Handler of a request for an output image: synchronous, or as a job whose image is fetched later."""

import contextlib
from time import time
from uuid import uuid4

from fastapi import Request, Response

from service.errors import InvalidField, ServiceError
from service.http.context import Context, while_connected
from service.http.responses.files import output_response
from service.http.responses.jobs import JobView, accepted_response, prefers_async
from service.http.schemas import Facts, StylizeParameters
from service.queue.jobs import Job, JobProgress
from service.queue.records import Accepted, JobStatus
from service.request import MAX_STYLES, StylizeRequest
from service.resolve import job_parameters
from service.settings import HttpSettings


async def answer_request(asked: StylizeRequest, prefer: str | None, request: Request, context: Context) -> Response:
    """Respond 200 with the image, or 202 with a job if ``prefer`` asks for it.

    Raises:
        ServiceError: The request is refused, or its job fails.
    """
    parameters = await _parameters(asked, context)
    job = Job(uuid4().hex, parameters.model_dump(), asked.blobs)
    if prefers_async(prefer):
        return await _accept(job, parameters, context)
    if parameters.method == "gatys":
        raise InvalidField(
            "got gatys, which takes minutes: send the header `Prefer: respond-async`, the answer is a job", "method"
        )
    result = await while_connected(request, context.dispatcher.submit(job))
    context.metrics.painted(Facts.model_validate(result.facts))
    return output_response(result, parameters.format, parameters.seed)


async def _parameters(asked: StylizeRequest, context: Context) -> StylizeParameters:
    """What the worker shall do, with the styles as they are now."""
    catalog = context.watch.now(asked.style_ids, _models_to_see(asked, context.settings))
    listed = {style.id for style in catalog.styles}
    others = [style_id for style_id in asked.style_ids[:MAX_STYLES] if style_id not in listed]
    return job_parameters(asked, context.settings, catalog, await context.styles.find(others))


def _models_to_see(asked: StylizeRequest, settings: HttpSettings) -> list[str]:
    """Networks that the catalog must not have missed."""
    if asked.model is not None:
        return [asked.model]
    return [settings.default_model] if asked.styles else []


async def _accept(job: Job, parameters: StylizeParameters, context: Context) -> Response:
    accepted = Accepted(time(), parameters.request_id, parameters.format, parameters.seed)
    await context.dispatcher.accept(job, accepted)
    status = None
    with contextlib.suppress(ServiceError):  # it is accepted, whatever happens now
        status = await context.records.status(job.id)
    return accepted_response(JobView.of(status or JobStatus(job.id, accepted, "queued", JobProgress())))
