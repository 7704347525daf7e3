"""``Idempotency-Key``: a request that is sent again, because its answer was lost, gets that answer and does no work.

Kept are answers of success alone: a refusal does nothing that could be done twice, and who mends the request may keep
the key; a failure should be tried again. A key belongs to one client, whose name its API key has, and to one request:
method, path, fields, files, ``Accept`` and ``Prefer``; not the multipart boundary, which clients choose anew.
"""

import asyncio
import contextlib
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Header, Request, Response
from starlette.datastructures import UploadFile

from service.errors import InvalidField, ServiceError
from service.queue.answer_store import FIELD, Answer, AnswerStore, Hold

REPLAYED = "Idempotent-Replayed"
REPLAYED_HEADER = {
    REPLAYED: {
        "description": "`true`: the response of before to this `Idempotency-Key`, and no new work",
        "schema": {"type": "string"},
    }
}
VALID = re.compile(r"[\x20-\x7e]{1,255}")
HEADERS_THAT_COUNT = ("accept", "prefer")

IdempotencyKey = Annotated[
    str | None,
    Header(
        description="Chosen by the client, 1 to 255 characters of ASCII. Sent again with the same request, it brings"
        " the same answer, with `Idempotent-Replayed: true`, and no new work.",
    ),
]
"""An endpoint's parameter of this type gets the header."""


def replayable(response: dict[str, Any]) -> dict[str, Any]:
    """Document that a response may be a repeated one."""
    return {**response, "headers": {**response["headers"], **REPLAYED_HEADER}}


log = logging.getLogger(__name__)


async def once(
    request: Request, key: str | None, store: AnswerStore, work: Callable[[], Awaitable[Response]]
) -> Response:
    """Answer a request, or repeat what it was answered before to the same client.

    Args:
        request: Its form has been read, and its client is known.
        key: Its ``Idempotency-Key``; without one it is simply answered.
        store: Where answers are kept.
        work: Answers it.

    Raises:
        InvalidField: The key cannot be used, or was used for another request.
        Conflict: The same request is being answered at the moment.
        ServiceError: What ``work`` raises.
    """
    if key is None:
        return await work()
    if len(request.headers.getlist(FIELD)) > 1:
        raise InvalidField("got this header more than once: send it once", FIELD)
    if not VALID.fullmatch(key):
        raise InvalidField(f"got {key!r:.80}: 1 to 255 characters of ASCII are allowed, such as a UUID", FIELD)
    caller = request.state.client or ""
    found = await store.begin(caller, key, await _fingerprint(request), uuid4().hex)
    if isinstance(found, Answer):
        return Response(found.body, found.status, {**dict(found.headers), REPLAYED: "true"})
    try:
        async with store.held(found):
            response = await work()
    except BaseException:
        await asyncio.shield(_release(store, found))
        raise
    await _keep(store, found, response)
    return response


async def _keep(store: AnswerStore, hold: Hold, response: Response) -> None:
    if not 200 <= response.status_code < 300:
        await _release(store, hold)
        return
    headers = [(name, value) for name, value in response.headers.items() if name != "content-length"]
    try:
        await store.keep(hold, Answer(response.status_code, headers, bytes(response.body)))
    except ServiceError as err:  # the client has its answer all the same
        log.warning("an answer is not kept for its idempotency key: %s", err.detail)
        await _release(store, hold)


async def _release(store: AnswerStore, hold: Hold) -> None:
    with contextlib.suppress(ServiceError):  # it is released by its expiry
        await store.release(hold)


async def _fingerprint(request: Request) -> str:
    """Of what the answer depends on, each part with its length, so that no two requests have the same."""
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
