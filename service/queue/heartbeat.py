"""The queue and its workers at a glance, read from Redis; reading changes nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoPermissionError

from service.queue.keys import Keys
from service.queue.redis_client import RedisClient

FORGET_WORKER_MS = 10 * 60_000
"""A worker whose last heartbeat is older is not listed any more."""


@dataclass(frozen=True)
class WorkerInfo:
    """A worker, by its last heartbeat: the age of that, and what the worker says about itself."""

    name: str
    age_ms: float
    about: Mapping[str, Any]

    @classmethod
    def read(cls, name: bytes, value: bytes, now_ms: float) -> "WorkerInfo":
        """Read ``<time in ms> <JSON>``, as the script ``heartbeat`` writes it."""
        at_ms, _, about = value.partition(b" ")
        return cls(name.decode(), now_ms - float(at_ms), json.loads(about))

    @property
    def contract(self) -> int:
        """``CONTRACT`` of its version; 0 of one that knew no such number."""
        return int(self.about.get("contract", 0))

    def is_ready(self, patience_ms: float) -> bool:
        """Tell whether it takes jobs, judged by a heartbeat not older than ``patience_ms``."""
        return self.age_ms < patience_ms and self.about["state"] == "ready"


@dataclass(frozen=True)
class QueueStatus:
    """The queue this moment.

    Attributes:
        depth: Interactive jobs that wait or run.
        background_depth: The same for jobs of the background lane.
        oldest_s: Age of the oldest interactive job.
        job_s: Measured time of a worker per interactive job; 0 before the first.
        memory_share: Memory that Redis uses, of that which it may use; 0 where it does not tell us.
        redelivered: Jobs given to others because their worker died, so far.
        dead_lettered: Jobs given up, so far.
        workers: Those whose last heartbeat is not older than ``FORGET_WORKER_MS``.
    """

    depth: int
    background_depth: int
    oldest_s: float
    job_s: float
    memory_share: float
    redelivered: int
    dead_lettered: int
    workers: tuple[WorkerInfo, ...]

    def live(self, patience_ms: float) -> int:
        """Count the workers that take jobs, judged by heartbeats not older than ``patience_ms``."""
        return sum(worker.is_ready(patience_ms) for worker in self.workers)

    def expected_wait_s(self, lease_ms: float) -> float:
        """Time until an interactive job that came now would be done by its turn."""
        return self.depth * self.job_s / max(1, self.live(lease_ms))


async def read_status(redis: RedisClient, keys: Keys) -> QueueStatus:
    """Read the queue as it is now.

    Raises:
        QueueUnreachable: Redis does not answer.
    """
    async with redis.translated():
        pipe = redis.commands.pipeline(transaction=False)
        pipe.time()
        for lane in ("interactive", "suspect", "background"):
            pipe.xlen(keys.stream(lane))
        pipe.xrange(keys.stream("interactive"), count=1)
        pipe.get(keys.redelivered)
        pipe.get(keys.dead_lettered)
        pipe.hgetall(keys.workers)
        pipe.hget(keys.pace("interactive"), "0")
        (seconds, microseconds), interactive, suspect, background, oldest, *answers = await pipe.execute()
    redelivered, dead, workers, job_ms = answers
    now_ms = seconds * 1000 + microseconds // 1000
    oldest_ms = int(oldest[0][0].split(b"-")[0]) if oldest else now_ms
    listed = [WorkerInfo.read(name, value, now_ms) for name, value in workers.items()]
    return QueueStatus(
        depth=interactive + suspect,
        background_depth=background,
        oldest_s=max(0.0, (now_ms - oldest_ms) / 1000),
        job_s=float(job_ms or 0) / 1000,
        memory_share=await _memory_share(redis),
        redelivered=int(redelivered or 0),
        dead_lettered=int(dead or 0),
        workers=tuple(worker for worker in listed if worker.age_ms < FORGET_WORKER_MS),
    )


async def _memory_share(redis: RedisClient) -> float:
    async with redis.translated():
        try:
            memory = await redis.commands.info("memory")
        except NoPermissionError:  # some operators keep INFO to themselves
            return 0.0
    most = memory["maxmemory"] or memory.get("total_system_memory", 0)
    return float(memory["used_memory"] / most) if most else 0.0
