"""A worker that a test plays itself, on the real queue of a running service: it does what it is told to."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, TypeVar

from PIL import Image
from processes import Service

from service.errors import ServiceError
from service.queue.jobs import Claim, JobProgress, Lane, Result
from service.queue.queue import JobQueue
from service.settings import Settings

T = TypeVar("T")

INFO = {"model": "adain", "batch_size": 1, "queue_ms": 1.0, "decode_ms": 1.0, "model_ms": 1.0, "encode_ms": 1.0}


def any_picture(format: str = "JPEG") -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), "teal").save(file, format)
    return file.getvalue()


class WorkerByHand:
    """Ready from the beginning; what it claims stays claimed until it is answered."""

    def __init__(self, service: Service, name: str = "by hand", **settings: Any) -> None:
        self._name = name
        self._given = {
            "redis_url": service.settings["STYLIZE_REDIS_URL"],
            "key_prefix": service.settings["STYLIZE_KEY_PREFIX"],
            **settings,
        }

        async def begin(queue: JobQueue) -> None:
            await queue.prepare()
            await queue.heartbeat({"state": "ready", "problems": {}})

        self.ask(begin)

    def claim(self, count: int = 1, lane: Lane = "interactive", within_ms: int = 2000) -> list[Claim]:
        """Waiting jobs; the first may come within this time."""
        return self.ask(lambda queue: queue.claim(count, lane), within_ms)

    def tell(self, claim: Claim, step: int, steps: int) -> bool:
        """How far a job is; answers whether it is still wanted."""
        told = JobProgress(step, steps, {"total": 1 / step}, any_picture())
        return self.ask(lambda queue: queue.report(claim, told))

    def paint(self, claim: Claim, image: bytes | None = None, blobs: dict[str, bytes] | None = None) -> bool:
        """Answer with a picture."""
        result = Result(any_picture() if image is None else image, INFO, blobs=blobs or {})
        return self.ask(lambda queue: queue.complete(claim, result))

    def fail(self, claim: Claim, error: ServiceError) -> bool:
        return self.ask(lambda queue: queue.complete(claim, Result(error=error)))

    def ask(self, call: Callable[[JobQueue], Coroutine[None, None, T]], block_ms: int = 1000) -> T:
        settings = Settings(block_ms=block_ms, **self._given)

        async def asked() -> T:
            queue = JobQueue(settings.redis_url or "", settings, self._name)
            try:
                return await call(queue)
            finally:
                await queue.close()

        with ThreadPoolExecutor(1) as pool:  # the test may have an event loop of its own
            return pool.submit(asyncio.run, asked()).result()


async def progress_of(queue: JobQueue, job_id: str) -> JobProgress | None:
    """A job's progress; ``None`` if there is no such job any more: it was answered or cancelled, or it is late."""
    fields = await queue.redis.commands.hmget(queue._keys.job(job_id), "entry", "progress", "preview")
    return None if fields[0] is None else JobProgress.from_fields(fields[1:])
