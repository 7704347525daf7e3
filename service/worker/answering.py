"""How a worker parts with a job: it answers it, or drops it where nobody waits for the answer."""

import asyncio
import contextlib
import logging
from time import monotonic

from service.errors import ServiceError
from service.queue.jobs import Claim, Result
from service.queue.queue import JobQueue

RETRY_S = 0.5

log = logging.getLogger(__name__)


async def begin(queue: JobQueue, claim: Claim) -> bool:
    """Note that a job's decoding begins; if Redis is away, try for as long as someone may wait for it.

    Returns:
        Whether the job is still wanted.
    """
    while not claim.is_late:
        try:
            return await queue.begin(claim)
        except ServiceError:
            await asyncio.sleep(RETRY_S)
    return False


async def answer(queue: JobQueue, claim: Claim, result: Result) -> None:
    """Store a job's result; if Redis is away, try for as long as someone may wait for it."""
    while True:
        try:
            if not await queue.complete(claim, result):
                log.info("a result came too late, or second", extra=who(claim))
            return
        except ServiceError:
            if monotonic() + RETRY_S > claim.deadline:
                return
            await asyncio.sleep(RETRY_S)


async def let_go(queue: JobQueue, claim: Claim) -> None:
    """Acknowledge a job that nobody waits for."""
    log.info("dropped: nobody waits for it", extra=who(claim))
    with contextlib.suppress(ServiceError):  # its entry is pending then, and dropped by who reclaims it
        await queue.drop(claim)


def who(claim: Claim) -> dict[str, object]:
    """For log lines: which job, and which client's request it came from."""
    return {"job": claim.job.id, "request_id": claim.job.parameters.get("request_id")}
