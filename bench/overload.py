"""Overload: useful responses per second while ten times the capacity is offered, beside the capacity in the same run.

The capacity is that of a closed loop, measured before and after each flood, so that other load of the machine affects
both alike. A flood sends at a fixed rate, whatever becomes of the requests, each over a connection of its own.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import httpx
from rich.console import Console
from rich.table import Table

from bench.load import Client
from bench.pictures import Ask, request_mix
from bench.processes import running, service_environment
from bench.timing import percentile
from model_store.catalog import read_catalog
from service.settings import Settings

TIMES = (1.0, 10.0)
"""Offered rates, as multiples of the capacity."""

CONCURRENCY = 8
FLOOD_S = 60.0
DEADLINE_S = 30.0
"""Deadline of the service's requests: half of a flood, so that the flood shows what becomes of a full queue."""

WANTED_SHARE = 0.95


@dataclass(frozen=True)
class Answer:
    """A response, by its times in seconds since the flood's beginning; status 0 is a connection that broke."""

    status: int
    sent_s: float
    came_s: float


@dataclass(frozen=True)
class Flood:
    """Responses to a fixed rate of requests.

    Attributes:
        times: Offered rate, as a multiple of the capacity.
        capacity_per_s: Mean rate of the closed loops before and after.
    """

    times: float
    seconds: float
    capacity_per_s: float
    answers: list[Answer]

    @property
    def offered_per_s(self) -> float:
        """Requests per second."""
        return len(self.answers) / self.seconds

    @property
    def useful_per_s(self) -> float:
        """Outputs per second, as long as requests were sent."""
        return sum(answer.status == 200 and answer.came_s <= self.seconds for answer in self.answers) / self.seconds

    @property
    def share(self) -> float:
        """Useful part of the capacity."""
        return self.useful_per_s / self.capacity_per_s

    def waits_s(self, status: int) -> list[float]:
        """Clients' waits for responses of a status."""
        return [answer.came_s - answer.sent_s for answer in self.answers if answer.status == status]


def measure_overload(
    settings: Settings,
    folder: Path,
    times: Sequence[float] = TIMES,
    flood_s: float = FLOOD_S,
    deadline_s: float = DEADLINE_S,
    shapes_px: Sequence[tuple[int, int]] = ((256, 192),),
    say: Callable[[str], None] = lambda _text: None,
) -> list[Flood]:
    """Measure floods of several rates.

    Args:
        settings: Settings of the service; the queue is always the embedded one.
        folder: Folder of checkpoints.
        times: Offered rates, as multiples of the capacity.
        flood_s: Seconds of each flood, and at most of each closed loop.
        deadline_s: Deadline of a request.
        shapes_px: Width and height of the outputs.
        say: Called with lines of progress.

    Raises:
        StartError: The service did not become ready.
        LoadError: The service refused a request of the closed loop, or failed.
    """
    environment = {**service_environment(settings, folder), "STYLIZE_REQUEST_TIMEOUT_S": str(deadline_s)}
    mix = request_mix(read_catalog(folder), shapes_px)
    with running("serve", "/readyz?worker=1", environment) as server:
        return asyncio.run(_floods(server.url, mix, times, flood_s, say))


async def _floods(
    url: str, mix: Sequence[Ask], times: Sequence[float], flood_s: float, say: Callable[[str], None]
) -> list[Flood]:
    client = Client(url, mix)
    floods = []
    try:
        await client.run(1, 4 * len(mix))  # until styles are encoded, and what that took counts no more
        warm = await client.run(CONCURRENCY, 4 * len(mix))
        count = max(len(mix), int(warm.images_per_s * flood_s / 3))
        before = await client.run(CONCURRENCY, count)
        for factor in times:
            say(f"overload: capacity {before.images_per_s:.1f}/s; {factor:g} times that for {flood_s:g} s")
            answers = await _flood(url, mix, factor * before.images_per_s, flood_s)
            after = await client.run(CONCURRENCY, count)
            floods.append(Flood(factor, flood_s, (before.images_per_s + after.images_per_s) / 2, answers))
            before = after
    finally:
        await client.close()
    return floods


async def _flood(url: str, mix: Sequence[Ask], rate: float, seconds: float) -> list[Answer]:
    """Send at a rate, and wait for all responses."""
    requests = [_bytes(url, ask) for ask in mix]
    address, began = urlsplit(url), perf_counter()

    async def send(request: bytes) -> Answer:
        sent_s, status = perf_counter() - began, 0
        try:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(request)
            status = int((await reader.read()).split(b" ", 2)[1])
            writer.close()
        except (OSError, IndexError):
            pass
        return Answer(status, sent_s, perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        tasks = []
        for index in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + index / rate - perf_counter()))
            tasks.append(group.create_task(send(requests[index % len(requests)])))
    return [task.result() for task in tasks]


def _bytes(url: str, ask: Ask) -> bytes:
    """Return a whole request, which closes its connection."""
    request = httpx.Request(
        "POST", f"{url}/stylize", data=ask.fields(), files=ask.files(), headers={"Connection": "close"}
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"POST /stylize HTTP/1.1\r\n{head}\r\n".encode() + request.read()


def print_overload(floods: Sequence[Flood], console: Console) -> None:
    """Print the table, and the wanted figure beside the measured one."""
    table = Table(title="Overload: useful responses at a fixed rate of requests", title_justify="left")
    table.add_column("offered", no_wrap=True)
    columns = (
        "capacity/s",
        "offered/s",
        "useful/s",
        "of capacity",
        "p50, p99 s",
        "503s after s, p50, p99",
        "responses",
    )
    for column in columns:
        table.add_column(column, justify="right")
    for flood in floods:
        counts = Counter(answer.status for answer in flood.answers)
        table.add_row(
            f"{flood.times:g} × capacity",
            f"{flood.capacity_per_s:.2f}",
            f"{flood.offered_per_s:.1f}",
            f"{flood.useful_per_s:.2f}",
            f"{flood.share:.2f}",
            _tails(flood.waits_s(200)),
            _tails(flood.waits_s(503)),
            "  ".join(f"{status}: {count}" for status, count in sorted(counts.items())),
        )
    console.print(table)
    worst = max(floods, key=lambda flood: flood.times)
    met = "met" if worst.share >= WANTED_SHARE else "[red]missed[/red]"
    console.print(f"useful at {worst.times:g} × capacity: {worst.share:.2f} of it, wanted ≥ {WANTED_SHARE}: {met}")


def _tails(seconds: Sequence[float]) -> str:
    return f"{percentile(seconds, 50):.2f}, {percentile(seconds, 99):.2f}" if seconds else ""
