"""A closed-loop client: so many requests in flight, the next begins when one ends."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import httpx

from bench.pictures import Ask
from bench.timing import Stages, percentile

TIMEOUT_S = 120.0


class LoadError(Exception):
    """A request was answered with an error."""


@dataclass(frozen=True)
class Answer:
    """One request: how long the client waited, and what the service says of its making."""

    wall_s: float
    batch_size: int
    stages: Stages

    @property
    def outside_s(self) -> float:
        """What was neither decoding, nor the model, nor encoding."""
        return self.wall_s - self.stages.total_s


@dataclass(frozen=True)
class Load:
    """What came of a run."""

    concurrency: int
    answers: list[Answer]
    wall_s: float

    @property
    def images_per_s(self) -> float:
        """Over the whole run."""
        return len(self.answers) / self.wall_s

    @property
    def batch_sizes(self) -> Counter[int]:
        """How many requests ran in a batch of each size."""
        return Counter(answer.batch_size for answer in self.answers)

    def percentile_s(self, percent: int) -> float:
        """Of the clients' waits."""
        return percentile([answer.wall_s for answer in self.answers], percent)


class Client:
    """Sends the requests of a mix over kept-alive connections."""

    def __init__(self, url: str, mix: Sequence[Ask]) -> None:
        """Connects with the first request."""
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=httpx.Limits(max_connections=None))
        self._mix = mix

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def send(self, index: int) -> Answer:
        """One request of the endless mix.

        Raises:
            LoadError: It was not answered with a picture.
        """
        ask = self._mix[index % len(self._mix)]
        started = perf_counter()
        answer = await self._http.post("/stylize", data=ask.fields(), files=ask.files())
        wall_s = perf_counter() - started
        if answer.status_code != 200:
            raise LoadError(f"got {answer.status_code}: {answer.text[:300]}")
        durations = dict(part.strip().split(";dur=") for part in answer.headers["Server-Timing"].split(","))
        decode_s, model_s, encode_s = (float(durations[name]) / 1000 for name in ("decode", "model", "encode"))
        batch_size = int(answer.headers["X-Stylize-Batch-Size"])
        return Answer(wall_s, batch_size, Stages(decode_s, model_s, encode_s))

    async def run(self, concurrency: int, count: int) -> Load:
        """The first ``count`` requests of the mix, ``concurrency`` at a time."""
        indexes = iter(range(count))
        answers: list[Answer] = []

        async def loop() -> None:
            for index in indexes:
                answers.append(await self.send(index))

        started = perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(loop())
        return Load(concurrency, answers, perf_counter() - started)
