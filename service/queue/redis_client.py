"""How we talk to Redis: connections with the right patience, and its errors as ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from service.errors import QueueFull, QueueUnreachable

SOCKET_TIMEOUT_S = 5.0


def connect(url: str, block_s: float) -> tuple[Any, Any]:
    """A client for commands, and one for reads that wait up to ``block_s``; connections are made when first used.

    Any, because redis-py's annotations cover both its protocols and both its text modes at once.
    """
    # A read that waits is not repeated for us: what it popped before the connection broke would be lost.
    never = Retry(ExponentialBackoff(), retries=0)
    blocking = Redis.from_url(url, protocol=2, socket_timeout=block_s + SOCKET_TIMEOUT_S, retry=never)
    return command_client(url), blocking


def command_client(url: str) -> Any:
    """A client for commands, which answer at once; connections are made when first used."""
    retry = Retry(ExponentialBackoff(cap=0.2, base=0.02), retries=2)
    return Redis.from_url(url, protocol=2, socket_timeout=SOCKET_TIMEOUT_S, retry=retry)


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
