"""``JobQueue``: jobs and their results in Redis.

A job is a hash under its own key, and its id in a stream that workers read as one consumer group. **The hash is the
job's life**: it exists from enqueue until the job is answered, cancelled or past its deadline (its expiry, on Redis'
clock, so that hosts need not agree on the time). Whoever finds no hash drops the work. So the first result wins, a
cancelled job is never computed, and late work costs one look-up.

    api     enqueue ─▶ stream ─▶ claim    worker
            replies ◀─ result ◀─ complete

- A job is acknowledged in the same step that stores its result. A worker that dies leaves its entries pending; once
  they are idle for a lease, ``reclaim`` hands them out, one at a time. Living workers ``extend`` theirs.
- A stream holds waiting and running jobs and nothing else, so its length is what backpressure limits.
- Jobs that take longer have a lane of their own, a stream like the first: ``background``. They do not fill the queue of
  those that take moments, and keep the same promises. Their workers ``report`` how far they are, into the job's hash.
- In that lane, pictures in tiles, which someone may wait for on the line, go before optimisations, which take minutes:
  those that wait stay behind, one that runs is preempted (``report`` says so) and goes on later. Each of the two kinds
  may fill the lane up to the limit.
- A job may have a record (``job_records``): then its result is kept to be fetched. An asynchronous request's job is not
  awaited, so no reply is sent.
- Commands and blocking reads have a connection pool each; redis-py's socket timeout must exceed the block time.

Needs Redis 7.0 or Valkey 7.2 (BLMPOP, XPENDING IDLE). Nothing is pickled: blobs are bytes, the rest is JSON.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from redis import exceptions as redis_errors

from service.errors import JobFailed, QueueFull
from service.queue.heartbeat import WorkerBeat
from service.queue.job import LANES, Claim, Job, Lane, Result, Standing, blob_fields, blobs_of
from service.queue.job_progress import JobProgress, Saved
from service.queue.job_status import Accepted, Outcome
from service.queue.keys import Keys
from service.queue.redis_client import BLOCK_MS, RedisClient, translated
from service.settings import QueueSettings

GROUP = "workers"
CANCEL_GRACE_MS = 1000
"""A job's hash outlives the deadline by this, so that who waited in vain still finds the stream's entry to remove."""


FORGET_WORKER_MS = 10 * 60_000
MAX_DEAD_LETTERS = 1000


@dataclass(frozen=True)
class QueueStatus:
    """The queue at a glance: depth and age of the interactive lane, depth of the other, and what both of them had.

    ``workers`` are only those that gave a sign of life lately.
    """

    depth: int
    oldest_s: float
    redelivered: int
    dead_lettered: int
    workers: tuple[WorkerBeat, ...]
    background_depth: int


class JobQueue:
    """One process's view of the queue; ``name`` is this API process's or worker's, unique.

    Attributes:
        name: Of the process.
        redis: Its connections, which other stores of the process share.
    """

    def __init__(self, url: str, settings: QueueSettings, name: str) -> None:
        """Connections are made when first used."""
        self.redis = RedisClient(url)
        self.name = name
        self._settings = settings
        self._keys = Keys(settings.key_prefix)
        self._limits: dict[Lane, int] = {
            "interactive": settings.max_queue,
            "background": settings.max_background_queue,
        }

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.close()

    # ---- the API's side -------------------------------------------------------------------------------------------

    async def enqueue(
        self, job: Job, time_left_s: float, accepted: Accepted | None = None, is_awaited: bool = True
    ) -> bool:
        """Accept a job; a second call with the same id changes nothing.

        Args:
            job: The job.
            time_left_s: Time until its deadline.
            accepted: Beginning of its record, if it has one (``job_records``): then a failed job may be enqueued again.
            is_awaited: This process waits for the result.

        Returns:
            Whether the job is new; ``False`` if it was enqueued before, and waits, runs or has its result.

        Raises:
            QueueFull: As many jobs of its lane as allowed wait or run, or Redis has no memory left.
            QueueUnreachable: Redis does not answer.
        """
        limit = self._limits[job.lane]
        fields: list[str | bytes] = [
            "parameters",
            json.dumps(job.parameters),
            "reply_to",
            self.name if is_awaited else "",
        ]
        fields += ["lane", str(LANES.index(job.lane) + 1)]  # which of the streams, for scripts that are given all
        fields += blob_fields(job.blobs)
        lives_ms = max(1, int(time_left_s * 1000)) + CANCEL_GRACE_MS
        picture_ms = int(self._settings.job_picture_ttl_s * 1000)
        record_ms = int(self._settings.job_record_ttl_s * 1000)
        record: list[str | int] = ["" if accepted is None else accepted.to_json(), picture_ms, record_ms]
        outcome = await self.redis.run(
            "enqueue",
            [
                self._keys.stream(job.lane),
                self._keys.job(job.id),
                self._keys.result(job.id),
                self._keys.record(job.id),
            ],
            [GROUP, limit, lives_ms, job.id, int(job.is_preemptible), *record, *fields],
        )
        if not outcome:
            raise QueueFull(f"{limit} jobs are waiting already: try again later", _retry_after_s(job))
        return bool(outcome == 1)

    async def cancel(self, job_id: str) -> None:
        """Nobody waits for the job any more: take it out, unless a worker is computing it this moment."""
        await self.redis.run("cancel", [self._keys.job(job_id), *self._keys.streams], [GROUP])

    async def progress(self, job_id: str) -> JobProgress | None:
        """How far a job is; ``None`` if there is no such job any more: it was answered or cancelled, or it is late."""
        async with translated():
            entry, *fields = await self.redis.commands.hmget(self._keys.job(job_id), "entry", *JobProgress.FIELDS)
        return None if entry is None else JobProgress.from_fields(fields)

    async def replies(self) -> list[str]:
        """Ids of jobs of this API process that have been answered; waits up to ``BLOCK_MS`` for the first."""
        async with translated():
            popped = await self.redis.blocking.blmpop(
                BLOCK_MS / 1000, 1, self._keys.replies(self.name), direction="LEFT", count=64
            )
        return [job_id.decode() for job_id in popped[1]] if popped else []

    async def take_results(self, job_ids: Iterable[str]) -> dict[str, Result]:
        """Read the results that are there, by job id; one that is not kept for its record is removed."""
        job_ids = list(job_ids)
        found = await self.redis.run("take_results", [self._keys.result(job_id) for job_id in job_ids])
        return {
            job_id: Result.from_fields(dict(zip(fields[::2], fields[1::2], strict=True)))
            for job_id, fields in zip(job_ids, found, strict=True)
            if fields
        }

    # ---- the worker's side ----------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Make the consumer groups, from the streams' beginning: jobs may be older than the first worker."""
        async with translated():
            for stream in self._keys.streams:
                try:
                    await self.redis.commands.xgroup_create(stream, GROUP, id="0", mkstream=True)
                except redis_errors.ResponseError as err:
                    if "BUSYGROUP" not in str(err):
                        raise

    async def claim(self, count: int, lane: Lane = "interactive") -> list[Claim]:
        """Up to ``count`` waiting jobs, oldest first; waits up to ``BLOCK_MS`` for the first."""
        async with translated():
            streams = {self._keys.stream(lane): ">"}
            answer = await self.redis.blocking.xreadgroup(GROUP, self.name, streams, count=count, block=BLOCK_MS)
            entries = [entry for _, stream in answer for entry in stream]
            return await self._load(lane, [(entry, fields[b"job"].decode(), 1) for entry, fields in entries])

    async def has_orphans(self) -> bool:
        """Whether there is an interactive job whose worker has been silent for a lease."""
        async with translated():
            stream, lease_ms = self._keys.stream("interactive"), self._settings.lease_ms
            return bool(await self.redis.commands.xpending_range(stream, GROUP, "-", "+", 1, idle=lease_ms))

    async def reclaim(self, lane: Lane = "interactive") -> Claim | None:
        """The oldest job whose worker has been silent for a lease, if any: it may have killed that worker.

        Jobs that had their last delivery are dead-lettered on the way.
        """
        stream, lease_ms = self._keys.stream(lane), self._settings.lease_ms
        async with translated():
            pending = await self.redis.commands.xpending_range(stream, GROUP, "-", "+", 16, idle=lease_ms)
            for orphan in pending:
                entry, deliveries = orphan["message_id"], orphan["times_delivered"] + 1
                # Two workers may try: the claim resets the idle time, so only one gets it.
                claimed = await self.redis.commands.xclaim(stream, GROUP, self.name, lease_ms, [entry])
                if not claimed or claimed[0] is None or not claimed[0][1]:
                    continue
                claims = await self._load(lane, [(entry, claimed[0][1][b"job"].decode(), deliveries)])
                if not claims:
                    continue
                if claims[0].deliveries > self._settings.max_deliveries:
                    await self._dead_letter(claims[0])
                    continue
                await self.redis.commands.incr(self._keys.redelivered)
                return claims[0]
        return None

    async def still_wanted(self, claims: Iterable[Claim]) -> list[bool]:
        """For each job, whether someone still waits for it."""
        async with translated():
            pipe = self.redis.commands.pipeline(transaction=False)
            for claim in claims:
                pipe.exists(self._keys.job(claim.job.id))
            return [bool(exists) for exists in await pipe.execute()]

    async def extend(self, claims: Iterable[Claim]) -> None:
        """Renew the lease of held jobs."""
        claims = list(claims)
        async with translated():
            for lane in LANES:
                if entries := [claim.entry for claim in claims if claim.job.lane == lane]:
                    await self.redis.commands.xclaim(self._keys.stream(lane), GROUP, self.name, 0, entries, justid=True)

    async def report(self, claim: Claim, progress: JobProgress, saved: Saved | None = None) -> Standing:
        """Say how far a job is, and learn its standing; with ``saved``, another worker can go on from there."""
        fields = [*progress.to_fields(), *(saved.to_fields() if saved is not None else ())]
        keys = [self._keys.stream(claim.job.lane), self._keys.job(claim.job.id)]
        return Standing(await self.redis.run("report", keys, [GROUP, int(claim.job.is_preemptible), *fields]))

    async def complete(self, claim: Claim, result: Result) -> bool:
        """Store the result, tell the API or the job's record, and acknowledge the job, in one step.

        Returns:
            Whether this was the answer; ``False`` if the job was answered before, cancelled or late.
        """
        job_id = claim.job.id
        answered = await self.redis.run(
            "complete",
            [
                self._keys.stream(claim.job.lane),
                self._keys.job(job_id),
                self._keys.result(job_id),
                self._keys.replies(claim.reply_to),
                self._keys.record(job_id),
                *self._keys.pictures,
            ],
            [
                GROUP,
                claim.entry,
                job_id,
                int(bool(claim.reply_to)),
                int(self._settings.result_ttl_s * 1000),
                Outcome.of(result.error).to_json(),
                self._settings.job_pictures_mb * 2**20,
                len(result.image) + sum(map(len, result.blobs.values())),
                *result.to_fields(),
            ],
        )
        return bool(answered)

    async def drop(self, claim: Claim) -> None:
        """Acknowledge a job that nobody waits for."""
        async with translated():
            await self._acknowledge(claim.job.lane, [claim.entry])

    async def release(self, claims: Iterable[Claim]) -> None:
        """Give jobs back, for another worker to claim at once; this delivery does not count."""
        for claim in claims:
            await self.redis.run(
                "release",
                [self._keys.stream(claim.job.lane), self._keys.job(claim.job.id)],
                [GROUP, claim.entry, claim.job.id, int(claim.job.is_preemptible), claim.deliveries - 1],
            )

    async def beat(self, says: Mapping[str, Any]) -> None:
        """This worker lives; ``says`` is what it tells of itself."""
        await self.redis.run("beat", [self._keys.workers], [self.name, json.dumps(says)])

    async def leave(self) -> None:
        """This worker stops, and holds nothing any more."""
        async with translated():
            await self.redis.commands.hdel(self._keys.workers, self.name)
            for stream in self._keys.streams:
                await self.redis.commands.xgroup_delconsumer(stream, GROUP, self.name)

    # ---- for everyone ---------------------------------------------------------------------------------------------

    async def status(self) -> QueueStatus:
        """How the queue is doing."""
        async with translated():
            pipe = self.redis.commands.pipeline(transaction=False)
            pipe.time()
            pipe.xlen(self._keys.stream("interactive"))
            pipe.xrange(self._keys.stream("interactive"), count=1)
            pipe.xlen(self._keys.stream("background"))
            pipe.get(self._keys.redelivered)
            pipe.xlen(self._keys.dead)
            pipe.hgetall(self._keys.workers)
            (seconds, microseconds), *answers = await pipe.execute()
        depth, oldest, background_depth, redelivered, dead, workers = answers
        now_ms = seconds * 1000 + microseconds // 1000
        oldest_ms = int(oldest[0][0].split(b"-")[0]) if oldest else now_ms
        beats = [WorkerBeat.read(name, value, now_ms) for name, value in workers.items()]
        for beat in beats:
            if beat.age_ms >= FORGET_WORKER_MS:
                await self._forget(beat.name)
        present = tuple(beat for beat in beats if beat.age_ms < FORGET_WORKER_MS)
        oldest_s = max(0.0, (now_ms - oldest_ms) / 1000)
        return QueueStatus(depth, oldest_s, int(redelivered or 0), dead, present, background_depth)

    async def _forget(self, worker: str) -> None:
        """Remove a worker that died long ago. Its jobs were reclaimed, or its consumers are kept."""
        async with translated():
            await self.redis.commands.hdel(self._keys.workers, worker)
            for stream in self._keys.streams:
                if not await self.redis.commands.xpending_range(stream, GROUP, "-", "+", 1, consumername=worker):
                    await self.redis.commands.xgroup_delconsumer(stream, GROUP, worker)

    async def _acknowledge(self, lane: Lane, entries: list[bytes]) -> None:
        if entries:
            pipe = self.redis.commands.pipeline()
            pipe.xack(self._keys.stream(lane), GROUP, *entries)
            pipe.xdel(self._keys.stream(lane), *entries)
            await pipe.execute()

    async def _load(self, lane: Lane, entries: list[tuple[bytes, str, int]]) -> list[Claim]:
        """Read the jobs of claimed entries (entry, job id, deliveries); those without a hash are dropped."""
        if not entries:
            return []
        pipe = self.redis.commands.pipeline(transaction=False)
        pipe.time()
        for _, job_id, _ in entries:
            pipe.hgetall(self._keys.job(job_id))
            pipe.pttl(self._keys.job(job_id))
        (seconds, microseconds), *answers = await pipe.execute()
        now_ms = seconds * 1000 + microseconds / 1000
        claims, gone = [], []
        for (entry, job_id, deliveries), fields, ttl_ms in zip(entries, answers[::2], answers[1::2], strict=True):
            left_ms = ttl_ms - CANCEL_GRACE_MS
            if not fields or left_ms <= 0:
                gone.append(entry)
                continue
            claims.append(
                Claim(
                    job=Job(job_id, json.loads(fields[b"parameters"]), blobs_of(fields)),
                    entry=entry,
                    reply_to=fields[b"reply_to"].decode(),
                    deadline=monotonic() + left_ms / 1000,
                    waited_ms=max(0.0, now_ms - float(fields[b"enqueued_ms"])),
                    deliveries=deliveries + int(fields.get(b"delivered", 0)),
                    saved=Saved.from_fields(fields),
                )
            )
        await self._acknowledge(lane, gone)
        return claims

    async def _dead_letter(self, claim: Claim) -> None:
        """Answer a job that outlived too many workers, and keep its parameters for whoever looks into it."""
        letter = {
            "job": claim.job.id,
            "deliveries": claim.deliveries - 1,
            "parameters": json.dumps(claim.job.parameters),
        }
        await self.redis.commands.xadd(self._keys.dead, letter, maxlen=MAX_DEAD_LETTERS)
        await self.complete(
            claim, Result(error=JobFailed(f"{claim.deliveries - 1} workers tried, and none survived it"))
        )


def _retry_after_s(job: Job) -> int:
    """When a full lane may have room again."""
    if job.is_preemptible:
        return 30
    return 2 if job.lane == "interactive" else 10
