"""Work for a client only as long as it is there."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from fastapi import Request

from service.errors import ClientLeft
from service.tasks import end_tasks

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[None, None, T]) -> T:
    """Await ``work``; if the client leaves first, cancel it.

    The request's body must have been read: what its connection delivers next is the disconnect.

    Raises:
        ClientLeft: It did.
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
