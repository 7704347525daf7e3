"""Chaos: workers, API and queue are killed, stopped and restarted under load, and every output is compared.

`serve` runs with two workers and a queue server of its own, which is killed and started again with its data. Requests
have outputs that were computed before (``bench.chaos_load``). Wanted is that nothing accepted is lost, answered twice
or with another's output, or stuck, and that nothing stays behind in the queue.
"""

import asyncio
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from redis import Redis
from rich.console import Console
from rich.table import Table

from bench.chaos_load import KINDS, Clients, Outcome, known_asks
from bench.processes import QueueServer, Running, child_pids, process_facts, running, service_environment
from model_store.catalog import read_catalog
from service.settings import Settings

SPAN_S = 120.0
CLIENTS = 12
LEASE_MS = 3000
KEPT_S = 8
JOB_TIMEOUT_S = 60
PATIENCE_S = JOB_TIMEOUT_S + 30.0
STOPPED_S = LEASE_MS / 1000 + 2
AWAY_S = 3.0

ENVIRONMENT = {
    "STYLIZE_WORKERS": "2",
    "STYLIZE_LEASE_MS": str(LEASE_MS),
    "STYLIZE_JOB_TIMEOUT_S": str(JOB_TIMEOUT_S),
    **{f"STYLIZE_{name}_TTL_S": str(KEPT_S) for name in ("RESULT", "JOB_PICTURE", "JOB_RECORD")},
}
"""Like the defaults, but for times that must be over before the end."""

FAULTS = (
    *((share, "a worker is killed") for share in (0.05, 0.15, 0.3, 0.45, 0.6, 0.75)),
    *((share, "a worker is stopped for longer than a lease") for share in (0.35, 0.65)),
    *((share, "the API is killed") for share in (0.2, 0.7)),
    (0.25, "the queue is killed and started"),
    (0.5, "the queue is stopped for a while"),
    (0.8, "the queue ends, and is started after a while"),
)
"""Faults by their time, as a share of the span."""

BAD = ("lost", "double", "wrong", "stuck", "failed")
PERMANENT = ("jobs", "workers", "pace", "redelivered", "dead")
"""Beginnings of the names of keys that stay."""


@dataclass(frozen=True)
class State:
    """Memory in MB of processes and queue, and what is in the queue that should not stay.

    Attributes:
        keys: Names of keys that are not ``PERMANENT``.
        entries: Jobs that wait or run.
    """

    memory_mb: dict[str, float]
    keys: list[str]
    entries: int


@dataclass(frozen=True)
class ChaosReport:
    """Outcomes of all requests, the faults by their times in seconds, and the service before and afterwards."""

    outcomes: list[Outcome]
    faults: list[tuple[float, str]]
    before: State
    after: State

    @property
    def is_met(self) -> bool:
        """Nothing bad became of a request, and nothing is left."""
        return not any(map(self.count, BAD)) and not self.after.keys and not self.after.entries

    def count(self, verdict: str) -> int:
        """Number of requests with a verdict."""
        return sum(outcome.verdict == verdict for outcome in self.outcomes)


def measure_chaos(
    settings: Settings,
    folder: Path,
    span_s: float = SPAN_S,
    clients: int = CLIENTS,
    faults: Sequence[tuple[float, str]] = FAULTS,
    say: Callable[[str], None] = lambda _text: None,
) -> ChaosReport:
    """Load the service, and break it.

    Args:
        settings: Settings of the service, for device and number type.
        folder: Folder of checkpoints.
        span_s: Seconds of the load.
        clients: Requests in flight.
        faults: Faults by their time, as a share of the span.
        say: Called with lines of progress.

    Raises:
        StartError: The service did not become ready.
        LoadError: A request failed before anything was broken.
    """
    with tempfile.TemporaryDirectory(prefix="q-") as queue_folder, QueueServer(Path(queue_folder)) as queue:
        environment = {**service_environment(settings, folder), **ENVIRONMENT, "STYLIZE_REDIS_URL": queue.url}
        with running("serve", "/readyz?worker=1", environment) as server:
            return asyncio.run(_Chaos(server, queue, say).run(folder, span_s, clients, sorted(faults)))


class _Chaos:
    def __init__(self, server: Running, queue: QueueServer, say: Callable[[str], None]) -> None:
        self._server = server
        self._queue = queue
        self._say = say
        self._waking: list[asyncio.Task[None]] = []
        self._faults: list[tuple[float, str]] = []

    async def run(self, folder: Path, span_s: float, clients: int, faults: Sequence[tuple[float, str]]) -> ChaosReport:
        load, over = Clients(self._server.url, PATIENCE_S), asyncio.Event()
        await load.learn(known_asks(read_catalog(folder)))
        before, began = self._state(), monotonic()
        clients_run = asyncio.create_task(load.run(clients, over))
        for share, fault in faults:
            await asyncio.sleep(max(0.0, began + share * span_s - monotonic()))
            self._faults.append((monotonic() - began, fault))
            self._say(f"chaos: after {self._faults[-1][0]:.0f} s {fault}")
            await self._break(fault)
        await asyncio.sleep(max(0.0, began + span_s - monotonic()))
        over.set()
        await asyncio.gather(clients_run, *self._waking)
        self._say(f"chaos: {len(load.outcomes)} requests have ended")
        return ChaosReport(load.outcomes, self._faults, before, await self._quiet())

    async def _break(self, fault: str) -> None:
        if "queue" in fault:
            await self._break_queue(fault)
            return
        pids = child_pids(self._server.pid, "api" if "API" in fault else "worker")
        if pids and "stopped" in fault:
            os.kill(pids[0], signal.SIGSTOP)
            self._waking.append(asyncio.create_task(_wake(pids[0])))
        elif pids:
            os.kill(pids[len(self._faults) % len(pids)], signal.SIGKILL)

    async def _break_queue(self, fault: str) -> None:
        if "stopped" in fault:
            self._queue.send_signal(signal.SIGSTOP)
            await asyncio.sleep(AWAY_S)
            self._queue.send_signal(signal.SIGCONT)
            return
        await asyncio.to_thread(self._queue.end, signal.SIGKILL if "killed" in fault else signal.SIGTERM)
        await asyncio.sleep(0.0 if "killed" in fault else AWAY_S)
        await asyncio.to_thread(self._queue.start)

    async def _quiet(self) -> State:
        """Wait until nothing is left that has an end, or should have had it by now."""
        deadline = monotonic() + KEPT_S + 2 * LEASE_MS / 1000 + 15
        while (state := self._state()).keys or state.entries:
            if monotonic() > deadline:
                break
            await asyncio.sleep(1)
        return state

    def _state(self) -> State:
        with Redis.from_url(self._queue.url) as redis:
            names = [key.decode().partition(":")[2] for key in redis.scan_iter(count=1000)]
            streams = [f"stylize:{name}" for name in names if name.partition(":")[0] == "jobs"]
            entries = sum(redis.xlen(stream) for stream in streams)
            memory_mb = {"queue": redis.info("memory")["used_memory"] / 1e6}
        for name in ("api", "worker"):
            facts = [process_facts(pid) for pid in child_pids(self._server.pid, name)]
            memory_mb[name] = sum(fact.resident_bytes for fact in facts) / 1e6
        left = [name for name in names if name.partition(":")[0] not in (*PERMANENT, "dead_lettered")]
        return State(memory_mb, left, entries)


async def _wake(pid: int) -> None:
    await asyncio.sleep(STOPPED_S)
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return  # it was killed meanwhile


def print_chaos(report: ChaosReport, console: Console) -> None:
    """Print what became of the requests, and what is left."""
    verdicts = [*("right", "refused", "late", "left", "broken"), *BAD]
    table = Table(title=f"Chaos: {len(report.outcomes)} requests", title_justify="left")
    table.add_column("")
    for verdict in verdicts:
        table.add_column(verdict, justify="right")
    counts = Counter((outcome.kind, outcome.verdict) for outcome in report.outcomes)
    for kind in KINDS:
        table.add_row(kind, *(str(counts[kind, verdict]) for verdict in verdicts))
    table.add_row("all", *(str(report.count(verdict)) for verdict in verdicts))
    console.print(table)
    console.print(
        ", ".join(f"{count} × {fault}" for fault, count in Counter(name for _, name in report.faults).items())
    )
    for name, memory_mb in report.before.memory_mb.items():
        console.print(f"memory of {name}: {memory_mb:.0f} MB before, {report.after.memory_mb[name]:.0f} MB after")
    left = f"{report.after.entries} jobs, {len(report.after.keys)} keys {report.after.keys[:8] or ''}"
    console.print(f"left in the queue: {left}", highlight=False)
    wanted = "nothing lost, double, wrong, stuck, failed or left: " + ("met" if report.is_met else "[red]missed[/red]")
    console.print(wanted, highlight=False)
