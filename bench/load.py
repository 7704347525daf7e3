"""A closed-loop client: a fixed number of requests in flight; the next begins when one ends."""

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
    """The service refused a request or failed."""


@dataclass(frozen=True)
class Response:
    """A response: the client's wait, and the service's timings."""

    wall_s: float
    batch_size: int
    stages: Stages

    @property
    def outside_s(self) -> float:
        """Seconds besides decoding, the model and encoding."""
        return self.wall_s - self.stages.total_s


@dataclass(frozen=True)
class Load:
    """Results of a run."""

    concurrency: int
    responses: list[Response]
    wall_s: float

    @property
    def images_per_s(self) -> float:
        """Throughput over the whole run."""
        return len(self.responses) / self.wall_s

    @property
    def batch_sizes(self) -> Counter[int]:
        """Number of requests by the size of their batch."""
        return Counter(response.batch_size for response in self.responses)

    def percentile_s(self, percent: int) -> float:
        """Percentile of the clients' waits."""
        return percentile([response.wall_s for response in self.responses], percent)


class Client:
    """Sends the requests of a mix over kept-alive connections."""

    def __init__(self, url: str, mix: Sequence[Ask]) -> None:
        """Prepare the client, which connects with the first request."""
        self._http = httpx.AsyncClient(
            base_url=url, timeout=TIMEOUT_S, limits=httpx.Limits(max_connections=None), trust_env=False
        )
        self._mix = mix

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def send(self, index: int) -> Response:
        """Send one request of the endless mix.

        Raises:
            LoadError: The response is not an image.
        """
        ask = self._mix[index % len(self._mix)]
        started = perf_counter()
        response = await self._http.post("/stylize", data=ask.fields(), files=ask.files())
        wall_s = perf_counter() - started
        if response.status_code != 200:
            raise LoadError(f"got {response.status_code}: {response.text[:300]}")
        durations = dict(part.strip().split(";dur=") for part in response.headers["Server-Timing"].split(","))
        decode_s, model_s, encode_s = (float(durations[name]) / 1000 for name in ("decode", "model", "encode"))
        batch_size = int(response.headers["X-Stylize-Batch-Size"])
        return Response(wall_s, batch_size, Stages(decode_s, model_s, encode_s))

    async def run(self, concurrency: int, count: int) -> Load:
        """Send the first ``count`` requests of the mix, ``concurrency`` at a time."""
        indexes = iter(range(count))
        responses: list[Response] = []

        async def loop() -> None:
            for index in indexes:
                responses.append(await self.send(index))

        started = perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(loop())
        return Load(concurrency, responses, perf_counter() - started)
