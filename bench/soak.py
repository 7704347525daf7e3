"""Memory under requests of ever new styles and sizes: the slope of each process's resident memory.

What is remembered of a style or a size must have its place from the beginning: else memory grows with every request.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import linear_regression, median
from time import monotonic

from rich.console import Console
from rich.table import Table

from bench.load import Client
from bench.pictures import EverNew
from bench.processes import child_pid, descendants, process_facts, running, service_environment
from service.settings import Settings

MINUTES = 10.0
LONGEST_PX = 320
CONCURRENCY = 4
SAMPLE_EVERY_S = 1.0
SETTLED_AFTER = 0.4
"""Part of the time after which memory must not grow any more: buffers have their size and caches are full."""

WANTED_MB_PER_MINUTE = 2.0


@dataclass
class SoakReport:
    """Resident memory of each process, in MB, and the minutes since the start at which it was looked at."""

    minutes: list[float] = field(default_factory=list)
    resident_mb: dict[str, list[float]] = field(default_factory=dict)
    requests: int = 0

    def slope(self, name: str) -> float:
        """MB a minute that a process grows once it has settled: least squares."""
        start = sum(minute < SETTLED_AFTER * self.minutes[-1] for minute in self.minutes)
        return linear_regression(self.minutes[start:], self.resident_mb[name][start:]).slope

    @property
    def is_flat(self) -> bool:
        """No process grows by more than is wanted."""
        return all(self.slope(name) <= WANTED_MB_PER_MINUTE for name in self.resident_mb)


def measure_soak(
    settings: Settings,
    folder: Path,
    minutes: float = MINUTES,
    longest_px: int = LONGEST_PX,
    say: Callable[[str], None] = lambda _text: None,
) -> SoakReport:
    """Send requests for some minutes, and look at the memory of worker, API and queue.

    Raises:
        StartError: The service did not become ready.
        LoadError: The service refused a request or failed.
    """
    with running("serve", "/readyz?worker=1", service_environment(settings, folder)) as server:
        pids = {name: child_pid(server.pid, name) for name in ("worker", "api")}
        queue = (pid for pid, command in descendants(server.pid).items() if b"valkey-server" in command[0])
        found = {name: pid for name, pid in {**pids, "queue": next(queue, None)}.items() if pid is not None}
        return asyncio.run(_soak(server.url, found, minutes, longest_px, say))


async def _soak(
    url: str, pids: dict[str, int], minutes: float, longest_px: int, say: Callable[[str], None]
) -> SoakReport:
    client, numbers = Client(url, EverNew(longest_px)), count()
    report = SoakReport(resident_mb={name: [] for name in pids})
    started, is_over = monotonic(), asyncio.Event()

    async def send() -> None:
        while not is_over.is_set():
            await client.send(next(numbers))
            report.requests += 1

    async def look() -> None:
        while (elapsed := (monotonic() - started) / 60) < minutes:
            report.minutes.append(elapsed)
            for name, pid in pids.items():
                report.resident_mb[name].append(process_facts(pid).resident_bytes / 1e6)
            if len(report.minutes) % 60 == 0:
                sizes = ", ".join(f"{name} {values[-1]:.0f} MB" for name, values in report.resident_mb.items())
                say(f"soak: minute {elapsed:.0f}: {report.requests} requests, {sizes}")
            await asyncio.sleep(SAMPLE_EVERY_S)
        is_over.set()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(look())
            for _ in range(CONCURRENCY):
                group.create_task(send())
    finally:
        await client.close()
    return report


def print_soak(report: SoakReport, console: Console) -> None:
    """Print the memory by minute, and the slopes."""
    table = Table(title=f"Soak: {report.requests} requests of ever new styles and sizes", title_justify="left")
    for column in ("minute", *(f"{name}, MB" for name in report.resident_mb)):
        table.add_column(column, justify="right")
    for minute in range(int(report.minutes[-1]) + 1):
        rows = [place for place, at in enumerate(report.minutes) if int(at) == minute]
        sizes = [f"{median(values[row] for row in rows):.0f}" for values in report.resident_mb.values()]
        table.add_row(str(minute + 1), *sizes)
    slopes = {name: report.slope(name) for name in report.resident_mb}
    table.add_section()
    table.add_row("MB a minute", *(f"{slope:+.1f}" for slope in slopes.values()))
    console.print(table)
    wanted = f"wanted ≤ {WANTED_MB_PER_MINUTE:g} MB a minute: {'met' if report.is_flat else 'missed'}"
    console.print(f"{wanted} (slopes from {SETTLED_AFTER:.0%} of the time on)", highlight=False)
