"""``JobQueue``: jobs and their results in Redis.

A job is a hash under its own key, and its id in a stream that workers read as one consumer group. **The hash is the
job's life**: it exists from enqueue until the job is answered, cancelled or past its deadline (its expiry, on Redis'
clock, so that hosts need not agree on the time). Whoever finds no hash drops the work. So the first result wins, a
cancelled job is never computed, and late work costs one look-up.

    api     enqueue ─▶ stream ─▶ claim    worker
            replies ◀─ result ◀─ complete

- A job is acknowledged in the same step that stores its result. A worker that dies leaves its entries pending; once
  they are idle for a lease, ``reclaim`` puts them back into their stream. Living workers ``extend`` theirs.
- A job counts as delivered once its decoding has begun (``begin``): only then it may have killed its worker. Such a
  job goes to the stream of suspects, of which all workers together hold one at a time, each alone on its worker.
  After ``max_deliveries`` it is dead-lettered.
- A stream holds waiting and running jobs and nothing else. Its length × the measured time per job ÷ the live workers is
  a new job's expected wait: beyond half of its time it is refused.
- Clients take turns in every lane: a new job goes before those that are a later turn of theirs. Asynchronous ones count
  towards their client's limit (``limits``) until they end.
- Jobs that take longer have a lane of their own, a stream like the first: ``background``. They do not fill the queue of
  those that take moments, and keep the same promises. Their workers ``report`` how far they are, into the job's hash.
- In that lane, pictures in tiles, which someone may wait for, go before optimisations, which take minutes: those that
  wait stay behind, one that runs is preempted (``report`` says so) and goes on later.
- A job may have a record (``records``): then its result is kept to be fetched. An asynchronous request's job is not
  awaited, so no reply is sent.
- Files travel by plain commands. A script gets the key of a hash that was written for it, and renames it.

Needs Redis 7.0 or Valkey 7.2 (BLMPOP, XPENDING IDLE). Nothing is pickled: blobs are bytes, the rest is JSON.
"""

import contextlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

from service.errors import JobFailed, QueueFull
from service.queue.contract import CONTRACT
from service.queue.heartbeat import FORGET_WORKER_MS, QueueStatus, read_status
from service.queue.jobs import LANES, Claim, Job, JobProgress, Lane, Result, Saved, Standing, blob_fields
from service.queue.keys import GROUP, Keys
from service.queue.records import Accepted, Outcome
from service.queue.redis_client import RedisClient
from service.settings import QueueSettings

CANCEL_GRACE_MS = 1000
"""A job's hash outlives its deadline by this, so that a late cancellation still finds the stream's entry to remove."""

MAX_DEAD_LETTERS = MAX_COUNTED_AT_ONCE = 1000

USUAL_JOB_MS = {"interactive": (100, 0), "background": (10_000, 60_000)}
"""Time of a worker per job of a lane, ordinary and preemptible, as long as none was measured."""


class JobQueue:
    """One process's view of the queue; ``name`` is this API process's or worker's, unique.

    Other stores of the process share ``redis``. Every method raises ``QueueUnreachable`` if Redis does not answer.
    """

    def __init__(self, url: str, settings: QueueSettings, name: str) -> None:
        self.redis = RedisClient(url, settings.block_ms)
        self.name = name
        self._settings = settings
        self._keys = Keys(settings.key_prefix)

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.close()

    async def status(self) -> QueueStatus:
        """The queue and its workers as they are now."""
        return await read_status(self.redis, self._keys)

    # ---- the API's side -------------------------------------------------------------------------------------------

    async def enqueue(
        self,
        job: Job,
        time_left_s: float,
        accepted: Accepted | None = None,
        is_awaited: bool = True,
        workers: int | None = None,
    ) -> bool:
        """Accept a job; a second call with the same id changes nothing.

        Args:
            job: The job.
            time_left_s: Time until its deadline.
            accepted: Beginning of its record, if it has one (``records``): then a failed job may be enqueued again.
            is_awaited: This process waits for the result.
            workers: Live workers, which share the work; ``None`` if it was accepted before, and is not refused now.

        Returns:
            Whether the job is new; ``False`` if it was enqueued before, and waits, runs or has its result.

        Raises:
            QueueFull: It would wait for more than half of its time, or Redis has no memory left.
        """
        keys, time_ms = self._keys, max(1, int(time_left_s * 1000))
        most_wait_ms = sys.maxsize if workers is None else time_ms // 2
        record_ms = (int(ttl_s * 1000) for ttl_s in (self._settings.job_picture_ttl_s, self._settings.job_record_ttl_s))
        args: list[str | int] = [GROUP, workers or 1, most_wait_ms, *USUAL_JOB_MS[job.lane]]
        args += [time_ms + CANCEL_GRACE_MS, job.id, int(job.is_preemptible)]
        args += [keys.running(job.client) if job.client else "", int(bool(job.client) and not is_awaited)]
        args += ["" if accepted is None else accepted.to_json(), *record_ms, "parameters", json.dumps(job.parameters)]
        args += ["contract", CONTRACT, "reply_to", self.name if is_awaited else ""]
        names = [keys.stream(job.lane), keys.job(job.id), keys.result(job.id), keys.record(job.id), keys.pace(job.lane)]
        if job.blobs:
            names.append(await self.redis.stage(keys.staged(), blob_fields(job.blobs)))
        outcome = await self.redis.run("enqueue", names, args)
        if outcome < 0:
            wait_s, allowed = ceil(-outcome / 1000), f"at most half of its time, {most_wait_ms / 1000:g} s, is allowed"
            raise QueueFull(f"it would wait for about {wait_s} s, {allowed}: try again later", retry_after_s=wait_s)
        return bool(outcome == 1)

    async def cancel(self, job_id: str) -> None:
        """Take out a job that this process waits for; a worker that has it drops it."""
        await self.redis.run("cancel", [self._keys.job(job_id)], [GROUP, self.name])

    async def are_known(self, job_ids: Sequence[str]) -> list[bool]:
        """Tell for each job whether it waits, runs or has its result."""
        keys = [key for job_id in job_ids for key in (self._keys.job(job_id), self._keys.result(job_id))]
        return [bool(count) for count in await self.redis.run("are_known", keys)]

    async def replies(self) -> list[str]:
        """Ids of jobs of this API process that have been answered; waits up to ``block_ms`` for the first."""
        async with self.redis.translated():
            block_s, key = self._settings.block_ms / 1000, self._keys.replies(self.name)
            popped = await self.redis.blocking.blmpop(block_s, 1, key, direction="LEFT", count=64)
        return [job_id.decode() for job_id in popped[1]] if popped else []

    async def uncounted(self) -> list[dict[str, Any]]:
        """Take what says how images were made that no API process has counted; each is given out once."""
        async with self.redis.translated():
            infos = await self.redis.commands.lpop(self._keys.uncounted, MAX_COUNTED_AT_ONCE)
        return [json.loads(info) for info in infos or ()]

    async def take_results(self, job_ids: Iterable[str]) -> dict[str, Result]:
        """Read the results that are there, by job id; one that is not kept for its record is removed."""
        keys = {job_id: self._keys.result(job_id) for job_id in job_ids}
        async with self.redis.translated():
            pipe = self.redis.commands.pipeline(transaction=False)
            for key in keys.values():
                pipe.hgetall(key)
            found = {job_id: fields for job_id, fields in zip(keys, await pipe.execute(), strict=True) if fields}
            for job_id, fields in found.items():
                pipe.hdel(keys[job_id], "untaken") if b"is_kept" in fields else pipe.unlink(keys[job_id])
            await pipe.execute()
        return {job_id: Result.from_fields(fields) for job_id, fields in found.items()}

    # ---- the worker's side ----------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Make the consumer groups, from the streams' beginning: jobs may be older than the first worker."""
        await self.redis.run("prepare", self._keys.streams, [GROUP])

    async def claim(self, count: int, lane: Lane = "interactive") -> list[Claim]:
        """Up to ``count`` waiting jobs, oldest first; waits up to ``block_ms`` for the first."""
        async with self.redis.translated():
            streams, block_ms = {self._keys.stream(lane): ">"}, self._settings.block_ms
            answer = await self.redis.blocking.xreadgroup(GROUP, self.name, streams, count=count, block=block_ms)
        return await self._load(lane, [entry for _, stream in answer for entry in stream])

    async def claim_suspect(self) -> Claim | None:
        """The oldest job that may have killed its worker, unless a worker has such a job already; does not wait."""
        while entries := await self.redis.run("claim_suspect", [self._keys.stream("suspect")], [GROUP, self.name]):
            pairs = [(entry, dict(zip(fields[::2], fields[1::2], strict=True))) for entry, fields in entries]
            if claims := await self._load("suspect", pairs):
                return claims[0]
        return None

    async def begin(self, claim: Claim) -> bool:
        """Note that the job's decoding begins: if this worker dies, it may be why; ``False`` if it is not wanted."""
        return bool(await self.redis.run("begin", [self._keys.job(claim.job.id)], [claim.entry, claim.deliveries]))

    async def reclaim(self) -> int:
        """Put back the jobs of workers that were silent for a lease, return their number; forget those long dead."""
        keys = [self._keys.workers, self._keys.redelivered, self._keys.job(""), *self._keys.streams]
        return int(await self.redis.run("reclaim", keys, [GROUP, self._settings.lease_ms, FORGET_WORKER_MS]))

    async def still_wanted(self, claims: Sequence[Claim]) -> list[bool]:
        """Tell for each job whether it is still wanted, and was not put back for others."""
        entries = [claim.entry for claim in claims]
        async with self.redis.translated():
            pipe = self.redis.commands.pipeline(transaction=False)
            for claim in claims:
                pipe.hget(self._keys.job(claim.job.id), "entry")
            return [found == entry for found, entry in zip(await pipe.execute(), entries, strict=True)]

    async def extend(self, claims: Sequence[Claim]) -> None:
        """Renew the lease of held jobs."""
        async with self.redis.translated():
            for lane in LANES:
                if entries := [claim.entry for claim in claims if claim.lane == lane]:
                    stream = self._keys.stream(lane)
                    await self.redis.commands.xclaim(stream, GROUP, self.name, 0, entries, justid=True)

    async def report(self, claim: Claim, progress: JobProgress, saved: Saved | None = None) -> Standing:
        """Say how far a job is, and learn its standing; with ``saved``, another worker can go on from there."""
        fields = [*progress.to_fields(), *(saved.to_fields() if saved is not None else ())]
        keys = [self._keys.stream(claim.lane), self._keys.job(claim.job.id)]
        return Standing(await self.redis.run("report", keys, [GROUP, int(claim.job.is_preemptible), *fields]))

    async def complete(self, claim: Claim, result: Result, took_ms: float | None = None) -> bool:
        """Store the result, tell the API or the job's record, and acknowledge the job, in one step.

        ``took_ms`` is the worker's time for it, by which the wait of later ones is expected.

        Returns ``False`` if the job was answered before, cancelled or late.
        """
        job_id, settings, keys = claim.job.id, self._settings, self._keys
        most_bytes = settings.job_pictures_mb * 2**20
        if not claim.reply_to and result.size_bytes > most_bytes:
            why = f"it has {result.size_bytes} bytes, all that are kept may have {most_bytes} together"
            error = JobFailed(f"the result is too large, {why}: ask for a smaller size, or another format")
            result = Result(error=error)
        names = [keys.stream(claim.lane), keys.job(job_id), keys.result(job_id), keys.replies(claim.reply_to)]
        names += [keys.record(job_id), *keys.pictures, keys.uncounted, keys.pace(claim.job.lane)]
        args: list[str | bytes | int] = [GROUP, claim.entry, claim.enqueued_ms, job_id, int(claim.job.is_preemptible)]
        args += ["" if took_ms is None else f"{took_ms:.3f}", int(bool(claim.reply_to))]
        args += [int(settings.result_ttl_s * 1000), Outcome.of(result.error).to_json(), most_bytes, result.size_bytes]
        args.append("" if result.info is None else json.dumps(result.info))
        fields = result.to_fields()
        if result.image:
            with contextlib.suppress(QueueFull):  # the script goes on without memory: fields are its arguments then
                names.append(await self.redis.stage(keys.staged(), fields))
                fields = []
        return bool(await self.redis.run("complete", names, [*args, *fields]))

    async def drop(self, claim: Claim) -> None:
        """Acknowledge a job that is not wanted any more."""
        await self._acknowledge(claim.lane, [claim.entry])

    async def release(self, claims: Iterable[Claim]) -> None:
        """Give jobs back, for another worker to claim at once; this delivery does not count."""
        for claim in claims:
            keys = [self._keys.stream(claim.lane), self._keys.job(claim.job.id)]
            kind, begun = int(claim.job.is_preemptible), claim.deliveries - 1
            await self.redis.run("release", keys, [GROUP, claim.entry, claim.job.id, kind, begun])

    async def heartbeat(self, about: Mapping[str, Any]) -> None:
        """Tell that this worker lives; ``about`` is its description of itself."""
        told = json.dumps({"contract": CONTRACT, **about})
        await self.redis.run("heartbeat", [self._keys.workers], [self.name, told])

    async def leave(self) -> None:
        """Stop being a worker. What this process was given without learning of it goes back to its stream."""
        keys = [self._keys.workers, self._keys.job(""), *self._keys.streams]
        await self.redis.run("leave", keys, [GROUP, self.name])

    async def _acknowledge(self, lane: Lane, entries: list[bytes]) -> None:
        if entries:
            await self.redis.run("acknowledge", [self._keys.stream(lane)], [GROUP, *entries])

    async def _load(self, lane: Lane, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> list[Claim]:
        """Read the jobs of claimed entries; those without a hash are dropped, those tried too often dead-lettered."""
        if not entries:
            return []
        job_ids = [fields[b"job"].decode() for _, fields in entries]
        async with self.redis.translated():
            pipe = self.redis.commands.pipeline(transaction=False)
            pipe.time()
            for job_id in job_ids:
                pipe.hgetall(self._keys.job(job_id))
                pipe.pttl(self._keys.job(job_id))
            (seconds, microseconds), *answers = await pipe.execute()
        now_ms = seconds * 1000 + microseconds / 1000
        claims, gone = [], []
        for (entry, _), job_id, fields, ttl_ms in zip(entries, job_ids, answers[::2], answers[1::2], strict=True):
            left_ms = ttl_ms - CANCEL_GRACE_MS
            if not fields or left_ms <= 0:
                gone.append(entry)
                continue
            claim = Claim.from_fields(job_id, lane, entry, fields, left_ms, now_ms)
            if claim.deliveries > self._settings.max_deliveries:
                await self._dead_letter(claim)
            else:
                claims.append(claim)
        await self._acknowledge(lane, gone)
        return claims

    async def _dead_letter(self, claim: Claim) -> None:
        """Answer a job that outlived too many workers, and keep its parameters for whoever looks into it."""
        tried = claim.deliveries - 1
        letter = {"job": claim.job.id, "deliveries": tried, "parameters": json.dumps(claim.job.parameters)}
        await self.complete(claim, Result(error=JobFailed(f"{tried} workers tried, and none survived it")))
        with contextlib.suppress(QueueFull):
            async with self.redis.translated():
                await self.redis.commands.xadd(self._keys.dead, letter, maxlen=MAX_DEAD_LETTERS)
                await self.redis.commands.incr(self._keys.dead_lettered)
