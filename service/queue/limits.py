"""``RunningRequests``: the requests of each client that run now, counted in Redis for all API processes together.

A client's are a sorted set, ``PREFIX:running:CLIENT``: one random id per request, by the time (on Redis' clock) until
which it counts. Its API process renews that lease, and removes the id when its response begins. So a count is exact
with any number of processes, and none leaks: the requests of a process that died count for one lease more. Jobs of
asynchronous requests are counted there too, from their acceptance to their end (``JobQueue``).
"""

import asyncio
import logging
from collections import defaultdict
from uuid import uuid4

from service.errors import ServiceError
from service.queue.keys import Keys
from service.queue.redis_client import RedisClient
from service.settings import QueueSettings
from service.tasks import end_tasks

log = logging.getLogger(__name__)


class RunningRequests:
    """The running requests of all clients, as one API process starts and ends them; ``stop`` after use."""

    def __init__(self, redis: RedisClient, settings: QueueSettings) -> None:
        self._redis = redis
        self._limit = settings.max_requests_per_key
        self._lease_ms = settings.lease_ms
        self._keys = Keys(settings.key_prefix)
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        self._ending: set[asyncio.Task[None]] = set()
        self._renewer: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """End all requests of this process."""
        if self._renewer is not None:
            await end_tasks([self._renewer])
        for client, request_ids in list(self._held.items()):
            for request_id in list(request_ids):
                self.end(client, request_id)
        await asyncio.gather(*self._ending)

    async def start(self, client: str) -> str | None:
        """Count one more request of this client; returns its id, or ``None`` if as many run as are allowed.

        Raises:
            QueueUnreachable: Redis does not answer.
        """
        request_id = uuid4().hex
        self._held[client].add(request_id)
        is_started = False
        try:
            args = (request_id, self._lease_ms, self._limit)
            is_started = bool(await self._redis.run("start_request", [self._keys.running(client)], args))
        finally:
            if not is_started:
                self._forget(client, request_id)  # if Redis has it all the same, it ends with its lease
        if is_started and self._renewer is None:
            self._renewer = asyncio.create_task(self._keep(), name="renewer of running requests")
        return request_id if is_started else None

    def end(self, client: str, request_id: str) -> asyncio.Task[None]:
        """Stop counting a request, whether or not anyone waits for the task."""
        self._forget(client, request_id)
        task = asyncio.create_task(self._end(client, request_id), name="end of a running request")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    async def _end(self, client: str, request_id: str) -> None:
        try:
            async with self._redis.translated():
                await self._redis.commands.zrem(self._keys.running(client), request_id)
        except ServiceError as err:
            log.warning("a request counts until its lease ends: %s", err.detail)

    def _forget(self, client: str, request_id: str) -> None:
        self._held[client].discard(request_id)
        if not self._held[client]:
            del self._held[client]

    async def _renew(self, client: str, request_ids: set[str]) -> None:
        """Extend leases; one that had run out, because this process stood still, begins anew."""
        await self._redis.run("renew_requests", [self._keys.running(client)], [self._lease_ms, *request_ids])
        if ended := request_ids - self._held.get(client, set()):  # ended while we renewed: it must not count again
            async with self._redis.translated():
                await self._redis.commands.zrem(self._keys.running(client), *ended)

    async def _keep(self) -> None:
        """Renew for ever what is held; a lease outlives the loss of two renewals."""
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            try:
                for client, request_ids in [(client, set(ids)) for client, ids in self._held.items()]:
                    await self._renew(client, request_ids)
            except ServiceError:  # the client of Redis has logged it
                continue
            except Exception:
                log.exception("the renewer of running requests goes on after an error")
