"""``RedisClient``: one process's connections to Redis, the scripts it runs there, and Redis' errors as ours.

**Failover is weather.** A server that is full, starting, a replica, without its replicas, or not reachable, or one that
refuses our password or a command, may be well again in a moment: that is a ``QueueUnreachable`` (503 in the API, a wait
in the worker), and so is everything that Redis says and we do not know. Only what every server would say to such a
command is an error of ours: it passes as it is, and is a 500. A reason is logged once, not at every try.
"""

import logging
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from service.errors import QueueFull, QueueUnreachable, Unavailable

SOCKET_TIMEOUT_S = 5.0

STAGED_MS = 30_000
"""Time in which a script must take a hash that was staged for it."""

LOG_AGAIN_S = 60.0
"""A reason that was not met for so long is logged again."""

OUR_MISTAKE = re.compile("WRONGTYPE|syntax error|wrong number of arguments|value is not|Error compiling|user_script:")
"""Beginnings of Redis' errors that are ours; redis-py leaves «ERR» out."""

EMPTIED = re.compile("NOGROUP|no such key|.*requires the key to exist")
"""Redis was restarted, or flushed, without its data, or is new: workers ``prepare`` it."""

IN_SCRIPT = re.compile(" script: [0-9a-f]{40}.*")
"""End of Redis' errors in scripts, which says where in it."""

log = logging.getLogger(__name__)


class RedisClient:
    """Connections for commands and for blocking reads; made when first used.

    Attributes:
        commands: redis-py's client for commands, which answer at once.
        blocking: The one for reads that wait up to ``block_ms``. A read is not repeated after an error: what it popped
            before the connection broke would be lost.
    """

    def __init__(self, url: str, block_ms: int = 0) -> None:
        """Any, because redis-py's annotations cover both its protocols and both its text modes at once."""
        retry = Retry(ExponentialBackoff(cap=0.2, base=0.02), retries=2)
        never = Retry(ExponentialBackoff(), retries=0)
        self.commands: Any = Redis.from_url(url, protocol=2, socket_timeout=SOCKET_TIMEOUT_S, retry=retry)
        self.blocking: Any = Redis.from_url(
            url, protocol=2, socket_timeout=block_ms / 1000 + SOCKET_TIMEOUT_S, retry=never
        )
        # redis-py loads it where Redis does not know it (any more).
        self._scripts = self.commands.register_script(Path(__file__).with_name("scripts.lua").read_text("utf-8"))
        self._reasons: dict[str, float] = {}

    async def close(self) -> None:
        """Close all connections."""
        await self.commands.aclose()
        await self.blocking.aclose()

    async def run(self, step: str, keys: Sequence[str], args: Iterable[str | bytes | int] = ()) -> Any:
        """Run a step of ``scripts.lua``, which names its keys and arguments.

        Raises:
            QueueUnreachable: Redis cannot do it now.
            QueueFull: Redis has no memory left.
        """
        async with self.translated():
            return await self._scripts(keys=keys, args=[step, *args])

    async def stage(self, key: str, fields: Sequence[str | bytes]) -> str:
        """Write a hash that the script is to rename; returns its key. An argument of a script would be copied twice.

        Args:
            key: Unused by others; it expires soon.
            fields: Alternating names and values.

        Raises:
            QueueUnreachable: Redis cannot do it now.
            QueueFull: Redis has no memory left.
        """
        await self.run("stage", [key], [STAGED_MS])  # so that it expires whatever becomes of this process
        async with self.translated():
            await self.commands.hset(key, items=list(fields))
        return key

    @asynccontextmanager
    async def translated(self) -> AsyncIterator[None]:
        """Translate Redis' errors.

        Raises:
            QueueUnreachable: Redis cannot do it now.
            QueueFull: Redis has no memory left.
        """
        try:
            yield
        except (redis_errors.RedisError, OSError) as err:
            if isinstance(err, redis_errors.DataError) or OUR_MISTAKE.match(str(err)):
                raise
            self._log_once(err)
            if isinstance(err, redis_errors.ReadOnlyError):
                # A name that led to a server that is now a replica may lead to another one.
                for client in (self.commands, self.blocking):
                    await client.connection_pool.disconnect(inuse_connections=False)
            raise _translation(err) from err

    def _log_once(self, err: Exception) -> None:
        reason = f"{type(err).__name__}: {IN_SCRIPT.sub('', str(err))}"
        now = monotonic()
        self._reasons = {known: met_at for known, met_at in self._reasons.items() if now - met_at < LOG_AGAIN_S}
        if reason not in self._reasons:
            log.warning("the queue's server cannot be used now: %s", reason)
        self._reasons[reason] = now


def _translation(err: Exception) -> Unavailable:
    """Redis' error as what the client is told."""
    if isinstance(err, redis_errors.OutOfMemoryError):
        return QueueFull("the queue has no memory left: try again later")
    if EMPTIED.match(str(err)):
        return QueueUnreachable("the queue was emptied: try again")
    if isinstance(err, redis_errors.ResponseError):
        return QueueUnreachable("the queue cannot do this at the moment: try again later")
    return QueueUnreachable("the queue does not answer: try again later")
