"""A job's server-sent events: its state, its progress and the picture so far, each when it has changed, until it ends.

    event: state      data: the job, as GET /jobs/{id} has it
    event: progress   data: {"progress", "step", "steps", "losses"}
    event: preview    data: {"step", "type": "image/jpeg", "data": base64}

Events tell what is, not what was: who connects again misses nothing that still matters. An event's id names the state
that it told, so that what the client has seen is not told again.

Redis is asked every ``LOOK_EVERY_S``, once for each client that listens.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from fastapi.sse import format_sse_event

from service.errors import ServiceError, TooManyListeners
from service.http.responses.jobs import JobView
from service.queue.records import JobRecords, JobStatus

LOOK_EVERY_S = 0.5
HEARTBEAT_EVERY_S = 10.0
RECONNECT_MS = 2000
HEARTBEAT = b": still there\n\n"


class Listeners:
    """The clients that listen to events in this process: not more than a limit."""

    def __init__(self, limit: int) -> None:
        """Nobody listens yet."""
        self._limit = limit
        self.count = 0

    def require_room(self) -> None:
        """Before an answer is begun.

        Raises:
            TooManyListeners: As many listen as are allowed to.
        """
        if self.count >= self._limit:
            raise TooManyListeners(
                f"{self.count} clients listen to events already: try again later, or ask GET /jobs/{{id}} now and then"
            )

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """While an answer is sent."""
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


def event_id(status: JobStatus) -> str:
    """Changes with everything that is told of a job: the ``Last-Event-ID`` of who has heard it."""
    return f"{status.state}.{status.position or 0}.{status.progress.step}"


async def job_events(
    records: JobRecords,
    status: JobStatus,
    seen: str | None,
    is_over: Callable[[], Awaitable[bool]],
    listeners: Listeners,
) -> AsyncIterator[bytes]:
    """The events of a job, as bytes of a ``text/event-stream``.

    Args:
        records: Where it is looked up.
        status: As it is now.
        seen: The id of the last event that the client got, if it comes back.
        is_over: Whether to end before the job does: the client left, or the process stops.
        listeners: Counts the client as long as it listens.
    """
    with listeners.one_more():
        async for event in _until_it_ends(records, status, seen, is_over):
            yield event


async def _until_it_ends(
    records: JobRecords, status: JobStatus, seen: str | None, is_over: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
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
            continue  # it is asked again; meanwhile there are heartbeats
        if fresh is None:
            return  # Redis was emptied: the client comes back, and gets its 404
        status = fresh


async def _changes(records: JobRecords, status: JobStatus, told: str | None) -> list[bytes]:
    """The events that lead from what was told to what is."""
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
