"""A job's server-sent events: its state, its progress and the picture so far, each when it has changed, until it ends.

    event: state      data: the job, as GET /jobs/{id} has it
    event: progress   data: {"progress", "step", "steps", "losses"}
    event: preview    data: {"step", "type": "image/jpeg", "data": base64}

Events tell the present state, not its history, so a client that connects again misses nothing that still matters. An
event's id names the state that it told; a client sends the last one back, and is not told the same again.

Redis is asked every ``LOOK_EVERY_S``, once for each listening client.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic

from fastapi.sse import format_sse_event

from service.errors import ServiceError
from service.http.responses.jobs import JobView
from service.queue.records import JobRecords, JobStatus

LOOK_EVERY_S = 0.5
HEARTBEAT_EVERY_S = 10.0
RECONNECT_MS = 2000
HEARTBEAT = b": still there\n\n"


def event_id(status: JobStatus) -> str:
    """Name what is told of a job at this moment: ``Last-Event-ID`` of a client that has heard it."""
    return f"{status.state}.{status.position or 0}.{status.progress.step}"


async def job_events(
    records: JobRecords, status: JobStatus, seen: str | None, is_over: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """Stream the events of a job, as bytes of a ``text/event-stream``.

    ``seen`` is the id of the last event that a client got which connects again; ``is_over`` tells that the client has
    left or the process stops.
    """
    yield format_sse_event(retry=RECONNECT_MS)
    told, told_at = seen, monotonic()
    while True:
        if event_id(status) != told:
            for event in await _changes(records, status, told):
                yield event
            told, told_at = event_id(status), monotonic()
        elif monotonic() - told_at > HEARTBEAT_EVERY_S:
            yield HEARTBEAT
            told_at = monotonic()
        if status.has_ended:
            return
        await asyncio.sleep(LOOK_EVERY_S)
        if await is_over():
            return
        try:
            fresh = await records.status(status.id)
        except ServiceError:
            continue  # ask again; meanwhile there are heartbeats
        if fresh is None:
            return  # Redis was emptied: the client comes back, and gets its 404
        status = fresh


async def _changes(records: JobRecords, status: JobStatus, told: str | None) -> list[bytes]:
    """Make the events that lead from what was told to the present status."""
    state, position, step = told.split(".") if told is not None and told.count(".") == 2 else ("", "", "0")
    name, events = event_id(status), []
    if (state, position) != (status.state, str(status.position or 0)):
        events.append(format_sse_event(event="state", data_str=JobView.of(status).model_dump_json(), id=name))
    if str(status.progress.step) != step and not status.has_ended:
        done = status.progress
        losses = {loss: round(value, 6) for loss, value in done.losses.items()}
        data = {"progress": round(status.share, 4), "step": done.step, "steps": done.steps, "losses": losses}
        events.append(format_sse_event(event="progress", data_str=json.dumps(data), id=name))
        if status.has_preview and (picture := await _preview(records, status.id)) is not None:
            preview = {"step": done.step, "type": "image/jpeg", "data": b64encode(picture).decode()}
            events.append(format_sse_event(event="preview", data_str=json.dumps(preview), id=name))
    return events


async def _preview(records: JobRecords, job_id: str) -> bytes | None:
    try:
        return await records.preview(job_id)
    except ServiceError:
        return None  # the next one will do
