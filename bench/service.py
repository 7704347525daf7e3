"""The service beside the bare engine loop: real processes, real HTTP, the same requests in the same run.

At concurrency 1 each request runs bare and then over HTTP; at a higher one the bare loop runs before and after. So
other load of the machine affects both alike.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from rich.console import Console
from rich.table import Table

from bench.load import Client, Load, Response
from bench.pictures import SHAPES_PX, Ask, request_mix
from bench.processes import ProcessFacts, child_pid, process_facts, running, service_environment
from bench.remote import Remote
from bench.timing import Stages, percentile
from model_store.catalog import read_catalog
from service.settings import Settings

ROUNDS = {1: 2, 4: 3, 16: 6}
"""Concurrency → number of times that the whole mix of 16 requests is sent."""

API_STARTS = 3
WANTED_SHARE = 0.90
WANTED_OVERHEAD_MS = 15.0
WANTED_START_S = 1.5
WANTED_RESIDENT_MB = 120


@dataclass(frozen=True)
class Pair:
    """The same request bare and then over HTTP, alone on the machine."""

    bare: Stages
    response: Response

    @property
    def overhead_s(self) -> float:
        """Seconds that the service adds."""
        return self.response.wall_s - self.bare.total_s


@dataclass(frozen=True)
class Measured:
    """Measurements of the client and of the bare loop."""

    bare: list[Stages]
    pairs: list[Pair]
    loads: list[Load]

    @property
    def bare_images_per_s(self) -> float:
        """Throughput of the bare loop."""
        return len(self.bare) / sum(stages.total_s for stages in self.bare)


@dataclass(frozen=True)
class ServiceReport:
    """Times, and facts about the processes after the load; ``None`` without ``/proc``."""

    measured: Measured
    api_start_s: list[float]
    ready_s: float
    api: ProcessFacts | None
    worker: ProcessFacts | None


def measure_service(
    settings: Settings,
    folder: Path,
    rounds: Mapping[int, int] = ROUNDS,
    shapes_px: Sequence[tuple[int, int]] = SHAPES_PX,
    api_starts: int = API_STARTS,
    say: Callable[[str], None] = lambda _text: None,
) -> ServiceReport:
    """Measure the bare loop and the service under load.

    Args:
        settings: Settings of both; the queue is always the embedded one.
        folder: Folder of checkpoints.
        rounds: Concurrency → number of times that the whole mix is sent.
        shapes_px: Width and height of the outputs.
        api_starts: Number of starts of the API alone.
        say: Called with lines of progress.

    Raises:
        StartError: The service did not become ready.
        LoadError: The service refused a request or failed.
        RemoteError: The bare loop failed.
    """
    environment = service_environment(settings, folder)
    say("service: start of the API process")
    api_start_s = [_time_api_start(environment) for _ in range(api_starts)]
    say("service: warm-up")
    mix = request_mix(read_catalog(folder), shapes_px)
    with (
        Remote(_make_bare, folder, settings, tuple(shapes_px)) as bare,
        running("serve", "/readyz?worker=1", environment) as server,
    ):
        measured = asyncio.run(_load(server.url, mix, bare, rounds, say))
        pids = [child_pid(server.pid, "api"), child_pid(server.pid, "worker")]
        api, worker = (None if pid is None else process_facts(pid) for pid in pids)
    return ServiceReport(measured, api_start_s, server.ready_s, api, worker)


def _time_api_start(environment: Mapping[str, str]) -> float:
    """Time the API's start until ``/healthz`` responds, which needs no queue."""
    alone = {**environment, "STYLIZE_REDIS_URL": "unix:///nonexistent/queue.sock"}
    with running("api", "/healthz", alone, every_s=0.005) as api:
        return api.ready_s


def _make_bare(folder: Path, settings: Settings, shapes_px: tuple[tuple[int, int], ...]) -> object:
    from bench.bare import BareLoop  # loads torch, in the process that makes it

    return BareLoop(folder, settings, shapes_px)


async def _load(
    url: str, mix: Sequence[Ask], bare: Remote, rounds: Mapping[int, int], say: Callable[[str], None]
) -> Measured:
    client = Client(url, mix)
    alone: list[Stages] = []
    pairs: list[Pair] = []
    loads: list[Load] = []

    async def run_bare() -> None:
        stages = [await asyncio.to_thread(bare.call, "run", index) for index in range(len(mix))]
        say(f"service: bare loop: {len(stages) / sum(one.total_s for one in stages):.2f} images/s")
        alone.extend(stages)

    try:
        await asyncio.to_thread(bare.call, "run", 0)  # returns when it is warm
        await client.run(max(rounds), len(mix))
        for concurrency, times in rounds.items():
            count = times * len(mix)
            if concurrency == 1:
                pairs += [await _pair(client, bare, index) for index in range(count)]
                responses = [pair.response for pair in pairs]
                loads.append(Load(1, responses, sum(response.wall_s for response in responses)))
            else:
                await run_bare()
                loads.append(await client.run(concurrency, count))
            say(f"service: concurrency {concurrency}: {loads[-1].images_per_s:.2f} images/s")
            if concurrency > 1:
                await run_bare()
    finally:
        await client.close()
    return Measured(alone, pairs, loads)


async def _pair(client: Client, bare: Remote, index: int) -> Pair:
    stages = await asyncio.to_thread(bare.call, "run", index)
    return Pair(stages, await client.send(index))


def print_service(report: ServiceReport, console: Console) -> None:
    """Print the tables, and each wanted figure beside the measured one."""
    measured = report.measured
    table = Table(title="Service: mixed sizes and styles, closed loop", title_justify="left")
    table.add_column("concurrency")
    for column in ("requests", "images/s", "of bare", "p50 ms", "p99 ms", "batch size: requests"):
        table.add_column(column, justify="right")
    bare_s = [stages.total_s for stages in measured.bare]
    table.add_row("bare loop", str(len(bare_s)), f"{measured.bare_images_per_s:.2f}", "", *_tails(bare_s), "")
    for load in measured.loads:
        histogram = "  ".join(f"{size}: {count}" for size, count in sorted(load.batch_sizes.items()))
        table.add_row(
            str(load.concurrency),
            str(len(load.responses)),
            f"{load.images_per_s:.2f}",
            f"{load.images_per_s / measured.bare_images_per_s:.2f}",
            *_tails([response.wall_s for response in load.responses]),
            histogram,
        )
    console.print(table)
    _print_stages(measured, console)
    _print_wanted(report, console)


def _tails(seconds: Sequence[float]) -> tuple[str, str]:
    return f"{percentile(seconds, 50) * 1000:.0f}", f"{percentile(seconds, 99) * 1000:.0f}"


def _print_stages(measured: Measured, console: Console) -> None:
    """Print the mean stages of requests at concurrency 1, beside the same requests in the bare loop, in ms."""
    if not measured.pairs:
        return
    table = Table(title="Concurrency 1: mean ms of a request's stages", title_justify="left")
    table.add_column("")
    for column in ("decode", "model", "encode", "the rest", "all"):
        table.add_column(column, justify="right")
    bare = [pair.bare for pair in measured.pairs]
    served = [pair.response.stages for pair in measured.pairs]
    rest_s = fmean(pair.response.outside_s for pair in measured.pairs)
    for name, stages, outside_s in (("bare loop", bare, 0.0), ("service", served, rest_s)):
        means_s = [fmean(getattr(one, f"{stage}_s") for one in stages) for stage in ("decode", "model", "encode")]
        parts_s = [*means_s, outside_s]
        table.add_row(name, *(f"{part * 1000:.1f}" for part in parts_s), f"{sum(parts_s) * 1000:.1f}")
    console.print(table)


def _print_wanted(report: ServiceReport, console: Console) -> None:
    measured = report.measured
    table = Table(title="Wanted", title_justify="left")
    for column in ("figure", "got", "wanted", ""):
        table.add_column(column)
    busiest = max(measured.loads, key=lambda load: load.concurrency)
    share = busiest.images_per_s / measured.bare_images_per_s
    rows = [
        (
            f"images/s at concurrency {busiest.concurrency} ÷ bare loop",
            f"{share:.2f}",
            f"≥ {WANTED_SHARE:.2f}",
            share >= WANTED_SHARE,
        )
    ]
    if measured.pairs:
        overhead_ms = median(pair.overhead_s for pair in measured.pairs) * 1000
        got, is_met = f"{overhead_ms:.1f} ms", overhead_ms <= WANTED_OVERHEAD_MS
        rows.append(("p50 of a request's time − the same request bare", got, f"≤ {WANTED_OVERHEAD_MS:g} ms", is_met))
    start_s = median(report.api_start_s)
    rows.append(
        ("API process: start to /healthz", f"{start_s:.2f} s", f"< {WANTED_START_S} s", start_s < WANTED_START_S)
    )
    if report.api is not None:
        resident_mb = report.api.resident_bytes / 1e6
        is_small = resident_mb < WANTED_RESIDENT_MB
        rows.append(
            ("API process: resident after the load", f"{resident_mb:.0f} MB", f"< {WANTED_RESIDENT_MB} MB", is_small)
        )
        rows.append(
            ("API process: libtorch mapped", "yes" if report.api.has_torch else "no", "no", not report.api.has_torch)
        )
    for figure, got, wanted, is_met in rows:
        table.add_row(figure, got, wanted, "met" if is_met else "[red]missed[/red]")
    console.print(table)
    worker = "" if report.worker is None else f"; worker resident {report.worker.resident_bytes / 1e6:.0f} MB"
    console.print(f"`serve` ready after {report.ready_s:.1f} s{worker}", highlight=False)
