"""Ending asyncio tasks reliably."""

import asyncio
from collections.abc import Iterable
from typing import Any

REPEAT_S = 0.5


async def end_tasks(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks until they have ended, and ignore their results and errors.

    Once is not enough: a client library may swallow a cancellation that arrives together with the answer it waits for
    (``asyncio.wait_for`` of Python 3.11 does), and a loop around it then goes on for ever.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=REPEAT_S)
