"""Context of the endpoints of one API process, and work that ends when its client leaves."""

import asyncio
import os
import platform
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from model_store.catalog import default_folder
from model_store.catalog_watch import CatalogWatch
from service.errors import ClientLeft, Unavailable
from service.http.metrics import Metrics
from service.queue.limits import RunningRequests
from service.queue.queue import JobQueue
from service.queue.records import JobRecords
from service.queue.replies import Dispatcher
from service.queue.styles import StyleStore
from service.settings import Settings
from service.tasks import end_tasks

T = TypeVar("T")

HEADER_THREADS = 2
HEADERS_WITHIN_S = 5.0
"""A request's files have headers that take less than a tenth of a second; the rest is waiting for a thread."""


@dataclass(frozen=True)
class Context:
    """Objects that all endpoints share.

    Attributes:
        listeners: Held by each client that listens to events.
        stopping: Set when the process is told to stop, so that endless responses end.
        header_threads: Threads in which headers of files are read.
    """

    settings: Settings
    watch: CatalogWatch
    queue: JobQueue
    dispatcher: Dispatcher
    records: JobRecords
    styles: StyleStore
    running: RunningRequests
    listeners: asyncio.Semaphore
    metrics: Metrics
    stopping: Event = field(default_factory=Event)
    header_threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(HEADER_THREADS, thread_name_prefix="header")
    )

    async def read_headers(self, work: Callable[[], T]) -> T:
        """Run ``work``, which reads headers of files, beside the event loop: the sender chooses what they cost.

        Raises:
            Unavailable: It took too long.
        """
        try:
            async with asyncio.timeout(HEADERS_WITHIN_S):
                return await asyncio.get_running_loop().run_in_executor(self.header_threads, work)
        except TimeoutError as err:
            raise Unavailable(f"the files' headers were not read within {HEADERS_WITHIN_S:g} s: try again") from err

    async def close(self) -> None:
        """Stop reading replies, and close all connections."""
        self.header_threads.shutdown(wait=False, cancel_futures=True)
        await self.dispatcher.stop()
        await self.running.stop()
        await self.queue.close()


def make_context(settings: Settings) -> Context:
    """Make the context of a process; nothing is connected before its first use.

    Raises:
        CatalogError: The folder of checkpoints does not exist.
        ValueError: ``settings.redis_url`` is missing or malformed.
    """
    if settings.redis_url is None:
        raise ValueError("STYLIZE_REDIS_URL is not set: the API needs a queue; `serve` starts its own")
    queue = JobQueue(settings.redis_url, settings, f"{platform.node()}-{os.getpid()}-{os.urandom(3).hex()}")
    metrics = Metrics()
    return Context(
        settings=settings,
        watch=CatalogWatch(settings.checkpoints or default_folder()),
        queue=queue,
        dispatcher=Dispatcher(queue, settings, metrics.count_result),
        records=JobRecords(queue.redis, settings),
        styles=StyleStore(queue.redis, settings),
        running=RunningRequests(queue.redis, settings),
        listeners=asyncio.Semaphore(settings.max_event_streams),
        metrics=metrics,
    )


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
