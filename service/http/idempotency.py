"""``Idempotency-Key``: a request that is sent again, because its response was lost, gets its job's result again.

The key names the job: its id is a hash of client and key, so enqueueing it twice does the work once. The job's record
(``queue.records``) holds a fingerprint of the request, and its result is kept as that of an asynchronous job is. A
key belongs to one client, whose name its API key has, and to one request: method, path, fields, files, ``Accept`` and
``Prefer``; not the multipart boundary, which clients choose anew. A request that was refused, failed or was left by its
client is done again, and its key may come with a corrected request.
"""

import asyncio
import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header, Request, Response
from starlette.datastructures import UploadFile

from service.errors import InvalidField
from service.http.responses.files import TEXT
from service.queue.records import JobRecords, JobStatus
from service.queue.replies import already_awaited

FIELD = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
VALID = re.compile(r"[\x20-\x7e]{1,255}")
HEADERS_THAT_COUNT = ("accept", "prefer")
JOB_ID_CHARS = 32

REPLAYED_HEADER: dict[str, Any] = {
    REPLAYED: {"schema": TEXT, "description": "`true`: the result of an earlier request with this `Idempotency-Key`"}
}

IdempotencyKey = Annotated[
    str | None,
    Header(
        description="Chosen by the client, 1 to 255 characters of ASCII, best a UUID. Sent again with the same request,"
        " it brings the same result, with `Idempotent-Replayed: true`, and no new work.",
    ),
]
"""An endpoint's parameter of this type gets the header."""


@dataclass(frozen=True)
class KeyedRequest:
    """A request with an ``Idempotency-Key``: the id of its job, and a hash of all that its result depends on."""

    job_id: str
    fingerprint: str


async def read_key(request: Request, key: str | None) -> KeyedRequest | None:
    """Check the key of a request whose client is known; ``None`` if it has none.

    Raises:
        InvalidField: The key cannot be used.
    """
    if key is None:
        return None
    if len(request.headers.getlist(FIELD)) > 1:
        raise InvalidField("got this header more than once: send it once", FIELD)
    if not VALID.fullmatch(key):
        raise InvalidField(f"got {key!r:.80}: 1 to 255 characters of ASCII are allowed, such as a UUID", FIELD)
    name = hashlib.sha256(f"{request.state.client or ''}\0{key}".encode()).hexdigest()
    return KeyedRequest(name[:JOB_ID_CHARS], await _fingerprint(request))


async def earlier_job(keyed: KeyedRequest, records: JobRecords) -> JobStatus | None:
    """Find the job of an earlier request with the same key, if it is remembered.

    Raises:
        InvalidField: That was another request, and has not failed.
        QueueUnreachable: Redis does not answer.
    """
    status = await records.status(keyed.job_id)
    if status is None or status.accepted.fingerprint == keyed.fingerprint:
        return status
    if status.error is not None or status.state == "cancelled":
        return None
    raise InvalidField("it came with another request before: send the same one again, or a new key", FIELD)


def require_end(job: JobStatus) -> None:
    """Refuse to wait twice for the same job.

    Raises:
        Conflict: The job waits or runs.
    """
    if not job.has_ended:
        raise already_awaited()


def replayed(response: Response) -> Response:
    """Mark a response as that to an earlier request."""
    response.headers[REPLAYED] = "true"
    return response


def replayable(response: dict[str, Any]) -> dict[str, Any]:
    """Document that a response may be that to an earlier request."""
    return {**response, "headers": {**response["headers"], **REPLAYED_HEADER}}


async def _fingerprint(request: Request) -> str:
    """Hash what the result depends on, each part with its length, so that no two requests have the same hash."""
    digest = hashlib.sha256()

    def add(part: bytes) -> None:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)

    for text in (request.method, request.url.path, *(request.headers.get(name, "") for name in HEADERS_THAT_COUNT)):
        add(text.encode())
    for name, value in (await request.form()).multi_items():
        add(name.encode())
        if isinstance(value, UploadFile):
            await value.seek(0)
            await asyncio.to_thread(add, await value.read())
            await value.seek(0)
        else:
            add(value.encode())
    return digest.hexdigest()
