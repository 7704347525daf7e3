"""``/jobs/{id}``: jobs, which requests with ``Prefer: respond-async`` bring."""

import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import StreamingResponse

from service.errors import Conflict, Gone, NotFound, TooManyListeners
from service.http.context import Context, ContextOfProcess
from service.http.responses.files import BINARY, NO_STORE, OUTPUT, output_response
from service.http.responses.job_events import event_id, job_events
from service.http.responses.jobs import JobView, job_path
from service.http.responses.problems import problem_statuses
from service.queue.records import JobStatus

router = APIRouter(prefix="/jobs/{job_id}", tags=["jobs"])

JOB_ID = re.compile(r"[0-9a-f]{32}")
EVENT = {
    "type": "object",
    "description": "One event of the stream",
    "properties": {
        "event": {"enum": ["state", "progress", "preview"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"type": "string"},
    },
    "required": ["event", "data"],
}

JobId = Annotated[str, Path(description="The id that the `Location` of a `202` names.")]


@router.get("", responses={200: {"description": "The job", "headers": NO_STORE}, **problem_statuses(404, 503)})
async def get_job(job_id: JobId, context: ContextOfProcess, response: Response) -> JobView:
    """Get a job. It is known from its acceptance until a day after its end."""
    response.headers["Cache-Control"] = "no-store"
    return JobView.of(await _status(job_id, context))


@router.delete("", status_code=204, response_description="The job has ended", responses=problem_statuses(404, 503))
async def cancel_job(job_id: JobId, context: ContextOfProcess) -> None:
    """End a job: it is not begun, or stops after its present step, or its finished image is removed."""
    if not (JOB_ID.fullmatch(job_id) and await context.records.cancel(job_id)):
        raise _unknown(job_id)


@router.get(
    "/result",
    response_class=Response,
    responses={200: OUTPUT, **problem_statuses(404, 409, 410, 503)},
)
async def get_job_result(job_id: JobId, context: ContextOfProcess) -> Response:
    """Get the painted photo, as often as you like, until it expires."""
    status = await _status(job_id, context)
    result = await context.records.result(job_id) if status.state == "succeeded" else None
    if result is not None:
        return output_response(result, status.accepted.format, status.accepted.seed)
    if status.state in ("succeeded", "expired"):
        why = status.error.detail if status.error is not None else "its picture is not kept: send the request again"
        raise Gone(f"the job has expired: {why}")
    if status.has_ended:
        why = "was cancelled" if status.state == "cancelled" else "failed"
        raise Conflict(f"the job has no picture, because it {why}: GET {job_path(job_id)} says more")
    raise Conflict(f"the job is {status.state}, its picture is not there yet: GET {job_path(job_id)} says when it is")


@router.get(
    "/preview",
    response_class=Response,
    responses={
        200: {
            "description": "The image so far",
            "content": {"image/jpeg": {"schema": BINARY}},
            "headers": NO_STORE,
        },
        **problem_statuses(404, 503),
    },
)
async def get_job_preview(job_id: JobId, context: ContextOfProcess) -> Response:
    """Get the image so far, small, while a long job runs."""
    status = await _status(job_id, context)
    preview = await context.records.preview(job_id)
    if preview is None:
        why = "only a long job has one, while it runs"
        if not status.has_ended:
            why = "a long job has none yet before its first step, and another job never"
        raise NotFound(f"the job is {status.state} and has no preview: {why}")
    return Response(preview, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@router.get(
    "/events",
    response_class=Response,
    responses={
        200: {
            "description": "Events `state` (the job as `GET /jobs/{job_id}` has it), `progress` (`progress`, `step`,"
            " `steps`, `losses`) and `preview` (`step`, `type`, `data`: the image so far in base64), until it ends",
            "content": {"text/event-stream": {"schema": EVENT}},
            "headers": NO_STORE,
        },
        204: {"description": "The job has ended, and the client knows it by its `Last-Event-ID`: do not connect again"},
        **problem_statuses(404, 503),
    },
)
async def get_job_events(
    request: Request,
    job_id: JobId,
    context: ContextOfProcess,
    last_event_id: Annotated[str | None, Header(description="The `id` of the last event that arrived.")] = None,
) -> Response:
    """Get a job's state now, then every change until it ends, as server-sent events."""
    status = await _status(job_id, context)
    if status.has_ended and last_event_id == event_id(status):
        return Response(status_code=204)
    if context.listeners.locked():
        raise TooManyListeners(
            f"{context.settings.max_event_streams} clients listen to events already: try again later, or ask"
            " GET /jobs/{id} now and then"
        )

    async def is_over() -> bool:
        return context.stopping.is_set() or await request.is_disconnected()

    async def events() -> AsyncIterator[bytes]:
        async with context.listeners:
            async for event in job_events(context.records, status, last_event_id, is_over):
                yield event

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy must not hold events back
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


async def _status(job_id: str, context: Context) -> JobStatus:
    status = await context.records.status(job_id) if JOB_ID.fullmatch(job_id) else None
    if status is None:
        raise _unknown(job_id)
    return status


def _unknown(job_id: str) -> NotFound:
    return NotFound(f"there is no job {job_id!r:.80}: it was forgotten some time after its end, or never accepted")
