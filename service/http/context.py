"""Context of the endpoints of one API process, and work that ends when its client leaves."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from threading import Event
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from model_store.catalog_watch import CatalogWatch
from service.errors import ClientLeft
from service.http.metrics import Metrics
from service.http.responses.job_events import Listeners
from service.queue.answer_store import AnswerStore
from service.queue.records import JobRecords
from service.queue.replies import Dispatcher
from service.queue.styles import StyleStore
from service.settings import HttpSettings
from service.tasks import end_tasks

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """Objects that ``create_app`` makes once for all endpoints.

    Attributes:
        settings: Settings of the process.
        watch: The networks and the styles of the checkpoints.
        dispatcher: The queue.
        records: Records of asynchronous jobs.
        styles: The registered styles.
        answers: What requests with an ``Idempotency-Key`` were answered.
        listeners: Number of clients that listen to events.
        metrics: Metrics of the process.
        stopping: Set when the process is told to stop, so that endless responses end.
    """

    settings: HttpSettings
    watch: CatalogWatch
    dispatcher: Dispatcher
    records: JobRecords
    styles: StyleStore
    answers: AnswerStore
    listeners: Listeners
    metrics: Metrics
    stopping: Event


def _context(request: Request) -> Context:
    return request.app.state.context  # type: ignore[no-any-return]


ContextOfProcess = Annotated[Context, Depends(_context)]
"""An endpoint's parameter of this type gets the context."""


async def while_connected(request: Request, work: Coroutine[None, None, T]) -> T:
    """Await ``work``, and cancel it if the client leaves first.

    The request's body must have been read: what its connection delivers next is the disconnect.

    Raises:
        ClientLeft: The client left.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        left = not task.done()
        await end_tasks([task])
    if left:
        raise ClientLeft("the client closed its connection")
    return await task


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
