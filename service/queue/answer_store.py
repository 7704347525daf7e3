"""``AnswerStore``: what requests with an ``Idempotency-Key`` were answered, in Redis, for those who send them again.

    begin ─▶ nothing is known: the caller answers, and then keeps the answer, or releases the key
          ─▶ an answer of before, if it was the same request
          ─▶ an error, if that request is still being answered, or was another one

While a request is answered its key is held by a token, with a lease that its API process renews: what a process that
died held is free after a lease, and one that comes late overwrites nothing. Answers are on a shelf: they take a bounded
amount of memory, and the oldest leave first.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil

from service.errors import Conflict, InvalidField, ServiceError
from service.queue.capped_store import SHELVE
from service.queue.keys import Keys
from service.queue.redis_client import RedisClient
from service.settings import QueueSettings
from service.tasks import end_tasks

FIELD = "Idempotency-Key"
LARGEST_SHARE = 8
"""One answer may take this part of the shelf: a larger one would push out too many others."""

BEGIN = """
-- KEYS: answer    ARGV: fingerprint, token, lease in ms
local fingerprint, status, headers, body =
  unpack(redis.call('HMGET', KEYS[1], 'fingerprint', 'status', 'headers', 'body'))
if not fingerprint then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'token', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'begun'}
end
if fingerprint ~= ARGV[1] then return {'other'} end
if not status then return {'running', redis.call('PTTL', KEYS[1])} end
return {'answered', status, headers, body}
"""

KEEP = (
    SHELVE
    + """
-- KEYS: answer, shelf, its size    ARGV: token, time to live in ms, most bytes on the shelf, these, fields and values
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
shelve(KEYS[2], KEYS[3], tonumber(ARGV[3]), KEYS[1], ARGV[4], ARGV[2])
return 1
"""
)

RENEW = """
-- KEYS: answer    ARGV: token, lease in ms
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

RELEASE = """
-- KEYS: answer    ARGV: token
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as it was sent."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Hold:
    """A key that this request holds."""

    name: str
    token: str


class AnswerStore:
    """One process's view of the answers."""

    def __init__(self, redis: RedisClient, settings: QueueSettings) -> None:
        """``redis`` is for commands: the queue's will do."""
        self._redis = redis
        self._settings = settings
        self._most_bytes = settings.idempotency_mb * 2**20
        self._keys = Keys(settings.key_prefix)
        self._begin = redis.commands.register_script(BEGIN)
        self._keep = redis.commands.register_script(KEEP)
        self._renew = redis.commands.register_script(RENEW)
        self._release = redis.commands.register_script(RELEASE)

    async def begin(self, caller: str, key: str, fingerprint: str, token: str) -> Answer | Hold:
        """The answer of before, or, for the first time, the right to give it.

        Args:
            caller: Whose key it is: those of two callers have nothing to do with each other.
            key: As the client chose it.
            fingerprint: Of the request; another one may not come with the same key.
            token: New for every request.

        Raises:
            Conflict: The same request is being answered at the moment.
            InvalidField: Another request came with this key.
        """
        name = hashlib.sha256(f"{caller}\0{key}".encode()).hexdigest()
        args = [fingerprint, token, self._settings.lease_ms]
        async with self._redis.translated():
            what, *fields = await self._begin(keys=[self._keys.answer(name)], args=args)
        if what == b"running":
            detail = f"a request with this {FIELD} is being answered: wait for that answer, or try again later"
            raise Conflict(detail, retry_after_s=max(1, ceil(fields[0] / 1000)))
        if what == b"other":
            raise InvalidField("it came with another request before: send the same one again, or a new key", FIELD)
        if what == b"begun":
            return Hold(name, token)
        status, headers, body = fields
        return Answer(int(status), [(header, value) for header, value in json.loads(headers)], body)

    @asynccontextmanager
    async def held(self, hold: Hold) -> AsyncIterator[None]:
        """Meanwhile its lease is renewed."""
        renewer = asyncio.create_task(self._keep_held(hold), name="idempotency key renewer")
        try:
            yield
        finally:
            await end_tasks([renewer])

    async def _keep_held(self, hold: Hold) -> None:
        """Renew for ever; a lease outlives the loss of two renewals."""
        while True:
            await asyncio.sleep(self._settings.lease_ms / 3000)
            try:
                async with self._redis.translated():
                    await self._renew(keys=[self._keys.answer(hold.name)], args=[hold.token, self._settings.lease_ms])
            except ServiceError as err:
                log.warning("the lease of an idempotency key could not be renewed: %s", err.detail)

    async def keep(self, hold: Hold, answer: Answer) -> None:
        """Give this answer to who sends the request again; one that is too large is not kept, and computed again."""
        headers = json.dumps(list(answer.headers))
        size_bytes = len(answer.body) + len(headers)
        if size_bytes > self._most_bytes // LARGEST_SHARE:
            await self.release(hold)
            return
        fields: list[str | bytes] = ["status", str(answer.status), "headers", headers, "body", answer.body]
        ttl_ms = int(self._settings.idempotency_ttl_s * 1000)
        async with self._redis.translated():
            await self._keep(
                keys=[self._keys.answer(hold.name), *self._keys.answers],
                args=[hold.token, ttl_ms, self._most_bytes, size_bytes, *fields],
            )

    async def release(self, hold: Hold) -> None:
        """There is no answer to keep: who sends the request again is answered anew."""
        async with self._redis.translated():
            await self._release(keys=[self._keys.answer(hold.name)], args=[hold.token])
