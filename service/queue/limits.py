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
from service.queue.redis_client import RedisClient, translated
from service.settings import QueueSettings
from service.tasks import end_tasks

log = logging.getLogger(__name__)


class Slots:
    """The slots of all clients, as one API process takes and holds them; ``stop`` after use."""

    def __init__(self, url: str, settings: QueueSettings) -> None:
        """Connections are made when first used."""
        self._redis = RedisClient(url)
        self._most = settings.max_requests_per_key
        self._lease_ms = settings.lease_ms
        self._keys = Keys(settings.key_prefix)
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
        await self._redis.close()

    async def take(self, client: str) -> str | None:
        """A slot for a request of this client, to be given back; ``None`` if as many run as one client may have.

        Raises:
            QueueUnreachable: Redis does not answer.
        """
        slot = uuid4().hex
        self._held[client].add(slot)
        taken = False
        try:
            answer = await self._redis.run(
                "start_request", [self._keys.slots(client)], [slot, self._lease_ms, self._most]
            )
            taken = bool(answer)
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
                await self._redis.commands.zrem(self._keys.slots(client), slot)
        except ServiceError as err:
            log.warning("a slot could not be given back, and ends with its lease: %s", err.detail)

    def _forget(self, client: str, slot: str) -> None:
        self._held[client].discard(slot)
        if not self._held[client]:
            del self._held[client]

    async def _renew_held(self, client: str, slots: set[str]) -> None:
        """Extend leases; one that had run out, because this process stood still, begins anew."""
        await self._redis.run("renew_requests", [self._keys.slots(client)], [self._lease_ms, *slots])
        if given := slots - self._held.get(client, set()):  # back while we renewed: it must not come to life again
            async with translated():
                await self._redis.commands.zrem(self._keys.slots(client), *given)

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
