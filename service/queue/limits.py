"""``Slots``: how many requests of a client run at once, counted in Redis for all API processes together.

A client's slots are a sorted set, ``PREFIX:slots:CLIENT``: one random id per running request, by the time (on Redis'
clock) until which it holds. Its API process renews what it holds, and gives it back when the answer begins. So a count
is exact with any number of processes, and none leaks: what a process that died held is free after a lease.
"""

import asyncio
import logging
from collections import defaultdict
from uuid import uuid4

from service.errors import ServiceError
from service.queue.keys import Keys
from service.queue.redis_client import command_client, translated
from service.settings import QueueSettings
from service.tasks import end_tasks

log = logging.getLogger(__name__)

NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

TAKE = (
    NOW
    + """
-- KEYS: slots    ARGV: id, lease in ms, most
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)

RENEW = (
    NOW
    + """
-- KEYS: slots    ARGV: lease in ms, then ids
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""
)


class Slots:
    """The slots of all clients, as one API process takes and holds them; ``stop`` after use."""

    def __init__(self, url: str, settings: QueueSettings) -> None:
        """Connections are made when first used."""
        self._redis = command_client(url)
        self._most = settings.max_requests_per_key
        self._lease_ms = settings.lease_ms
        self._keys = Keys(settings.key_prefix)
        self._take = self._redis.register_script(TAKE)
        self._renew = self._redis.register_script(RENEW)
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        self._giving: set[asyncio.Task[None]] = set()
        self._renewer: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Give back what is held, and close the connections."""
        if self._renewer is not None:
            await end_tasks([self._renewer])
        for client, slots in list(self._held.items()):
            for slot in list(slots):
                self.give(client, slot)
        await asyncio.gather(*self._giving)
        await self._redis.aclose()

    async def take(self, client: str) -> str | None:
        """A slot for a request of this client, to be given back; ``None`` if as many run as one client may have.

        Raises:
            QueueUnreachable: Redis does not answer.
        """
        slot = uuid4().hex
        self._held[client].add(slot)
        taken = False
        try:
            async with translated():
                taken = bool(await self._take(keys=[self._keys.slots(client)], args=[slot, self._lease_ms, self._most]))
        finally:
            if not taken:
                self._forget(client, slot)  # if Redis has it all the same, it ends with its lease
        if taken and self._renewer is None:
            self._renewer = asyncio.create_task(self._keep(), name="slot renewer")
        return slot if taken else None

    def give(self, client: str, slot: str) -> asyncio.Task[None]:
        """Give a slot back, whether or not anyone waits for the task."""
        self._forget(client, slot)
        task = asyncio.create_task(self._give(client, slot), name="slot given back")
        self._giving.add(task)
        task.add_done_callback(self._giving.discard)
        return task

    async def _give(self, client: str, slot: str) -> None:
        try:
            async with translated():
                await self._redis.zrem(self._keys.slots(client), slot)
        except ServiceError as err:
            log.warning("a slot could not be given back, and ends with its lease: %s", err.detail)

    def _forget(self, client: str, slot: str) -> None:
        self._held[client].discard(slot)
        if not self._held[client]:
            del self._held[client]

    async def _renew_held(self, client: str, slots: set[str]) -> None:
        """Extend leases; one that had run out, because this process stood still, begins anew."""
        async with translated():
            await self._renew(keys=[self._keys.slots(client)], args=[self._lease_ms, *slots])
            if given := slots - self._held.get(client, set()):  # back while we renewed: it must not come to life again
                await self._redis.zrem(self._keys.slots(client), *given)

    async def _keep(self) -> None:
        """Renew for ever what is held; a lease outlives the loss of two renewals."""
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            try:
                for client, slots in [(client, set(slots)) for client, slots in self._held.items()]:
                    await self._renew_held(client, slots)
            except ServiceError as err:
                log.warning("slots could not be renewed: %s", err.detail)
            except Exception:
                log.exception("the slot renewer goes on after an error")
