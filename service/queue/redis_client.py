"""``RedisClient``: one process's connections to Redis, the scripts it runs there, and Redis' errors as ours."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from service.errors import QueueFull, QueueUnreachable

SOCKET_TIMEOUT_S = 5.0


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

    async def close(self) -> None:
        """Close all connections."""
        await self.commands.aclose()
        await self.blocking.aclose()

    async def run(self, step: str, keys: Sequence[str], args: Iterable[str | bytes | int] = ()) -> Any:
        """Run a step of ``scripts.lua``, which names its keys and arguments.

        Raises:
            QueueUnreachable: Redis does not answer.
            QueueFull: Redis has no memory left.
        """
        async with translated():
            return await self._scripts(keys=keys, args=[step, *args])


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Redis' errors as ours: all of them mean «not now»."""
    try:
        yield
    except redis_errors.OutOfMemoryError as err:
        raise QueueFull("the queue has no memory left: try again later") from err
    except (redis_errors.ConnectionError, redis_errors.TimeoutError, redis_errors.ReadOnlyError, OSError) as err:
        raise QueueUnreachable("the queue does not answer: try again later") from err
    except redis_errors.ResponseError as err:
        if "MISCONF" in str(err):
            raise QueueUnreachable("the queue cannot store anything at the moment: try again later") from err
        if "NOGROUP" not in str(err) and "requires the key to exist" not in str(err):
            raise
        # Redis was restarted, or flushed, without its data, or is new: workers ``prepare`` it.
        raise QueueUnreachable("the queue was emptied: try again") from err
