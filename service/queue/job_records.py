"""``JobRecords``: records of jobs whose result is kept: of asynchronous requests, and of those with an Idempotency-Key.

    record       opened when the job is enqueued; kept ``job_record_ttl_s`` after its end
    job          the queue's; in it the uploads, the progress and the picture so far; gone with the job's end
    result       the picture; kept ``job_picture_ttl_s``, less where all of them take too much

The queue's step that answers a job also closes its record, so a job is in one state at any moment, and all of it is in
Redis: whichever API process is asked gives the same answer.
"""

from service.queue.job import Result
from service.queue.job_status import JobStatus, Outcome
from service.queue.keys import Keys
from service.queue.queue import GROUP
from service.queue.redis_client import RedisClient, translated
from service.settings import QueueSettings


class JobRecords:
    """One process's view of the records."""

    def __init__(self, redis: RedisClient, settings: QueueSettings) -> None:
        """``redis`` may be the queue's."""
        self._redis = redis
        self._keys = Keys(settings.key_prefix)

    async def status(self, job_id: str) -> JobStatus | None:
        """How a job is doing; ``None`` if there is no record of it, or not any more."""
        reply = await self._redis.run("job_status", self._job_keys(job_id), [GROUP])
        return None if reply is None else JobStatus.from_reply(job_id, reply)

    async def preview(self, job_id: str) -> bytes | None:
        """The picture so far, small, as a JPEG file; ``None`` if there is none."""
        async with translated():
            preview: bytes | None = await self._redis.commands.hget(self._keys.job(job_id), "preview")
        return preview

    async def result(self, job_id: str) -> Result | None:
        """The picture and the facts of its making; ``None`` if they are not there (yet, or any more)."""
        async with translated():
            fields = await self._redis.commands.hgetall(self._keys.result(job_id))
        return Result.from_fields(fields) if fields else None

    async def cancel(self, job_id: str) -> bool:
        """End a job: one that waits is taken out, one that runs is stopped, the picture of a finished one goes.

        Returns:
            Whether there is a record of it.
        """
        outcome = Outcome("cancelled").to_json()
        return bool(await self._redis.run("cancel_recorded", self._job_keys(job_id), [GROUP, outcome]))

    def _job_keys(self, job_id: str) -> list[str]:
        keys = self._keys
        return [keys.record(job_id), keys.job(job_id), keys.result(job_id), *keys.streams]
