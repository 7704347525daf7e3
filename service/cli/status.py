"""``status``: shows a running service, from its ``/readyz`` and ``/metrics``."""

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from service.cli.terminal import EXIT_FAILED, AsJson, Key, Server, clear_errors, output
from service.settings import load_settings
from stylize_client import Client, ProblemError, Readiness, StylizeError

LANES = {"interactive": "stylize_queue_depth", "background": "stylize_background_queue_depth"}
"""Metric with the depth of each lane."""


@dataclass(frozen=True)
class Status:
    """Status of a service.

    Attributes:
        detail: Reason if it is not ready, or if the queue's status is missing.
        queue: Jobs that wait or run, by lane.
        oldest_s: Age of the oldest interactive job, in seconds.
        mean_batch_size: Images per forward pass; ``None`` before the first.
        workers: By their last heartbeats: name, host, state, device, dtype, models and number of held jobs of each.
    """

    url: str
    ready: bool
    detail: str = ""
    queue: Mapping[str, int] | None = None
    oldest_s: float = 0.0
    redelivered: int = 0
    dead_lettered: int = 0
    mean_batch_size: float | None = None
    workers: Sequence[Mapping[str, Any]] = ()


def status(
    server: Server = None,
    api_key: Key = None,
    once: Annotated[bool, typer.Option("--once", help="Show once; exit with 1 if the service is not ready.")] = False,
    as_json: AsJson = False,
    every_s: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two updates.")] = 1.0,
) -> None:
    """Watch a running service: its queue, its workers, and whether it is ready."""
    with clear_errors():
        url = server or f"http://127.0.0.1:{load_settings().port}"
        with Client(url, api_key, timeout_s=10) as client:
            if once or as_json or not output().is_terminal:
                now = look(client, url)
                if as_json:
                    print(json.dumps(dataclasses.asdict(now), indent=2))
                else:
                    output().print(_view(now))
                raise typer.Exit(0 if now.ready else EXIT_FAILED)
            with suppress(KeyboardInterrupt), Live(_view(look(client, url)), auto_refresh=False) as live:
                while True:
                    time.sleep(every_s)
                    live.update(_view(look(client, url)), refresh=True)


def look(client: Client, url: str) -> Status:
    """Ask the service for its status; without a response, or a valid key, it is not ready or shows less."""
    try:
        readiness = client.ready()
    except StylizeError as err:
        return Status(url, False, str(err))
    try:
        text = client.metrics()
    except ProblemError as err:
        return Status(url, readiness.ready, err.detail)
    except StylizeError as err:
        return Status(url, False, str(err))
    return read_metrics(url, readiness, text)


def read_metrics(url: str, readiness: Readiness, text: str) -> Status:
    """Read a status from Prometheus' text format."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    values = {sample.name: sample.value for sample in samples if not sample.labels}
    held = {sample.labels["worker"]: sample.value for sample in samples if sample.name == "stylize_worker_held_jobs"}
    workers = [_worker(sample, held) for sample in samples if sample.name == "stylize_worker_info"]
    count = values.get("stylize_batch_size_count", 0)
    return Status(
        url=url,
        ready=readiness.ready,
        detail=readiness.detail,
        queue={lane: int(values.get(name, 0)) for lane, name in LANES.items()},
        oldest_s=round(values.get("stylize_queue_oldest_seconds", 0.0), 3),
        redelivered=int(values.get("stylize_redelivered_total", 0)),
        dead_lettered=int(values.get("stylize_dead_letter_total", 0)),
        mean_batch_size=round(values["stylize_batch_size_sum"] / count, 2) if count else None,
        workers=sorted(workers, key=lambda worker: str(worker["name"])),
    )


def _worker(info: Sample, held: Mapping[str, float]) -> dict[str, Any]:
    labels = dict(info.labels)
    name, models = labels.pop("worker"), labels.pop("models")
    return {"name": name, **labels, "models": models.split(",") if models else [], "held": int(held.get(name, 0))}


def _view(now: Status) -> Group:
    title = Text.assemble(now.url, " is ", ("ready", "green") if now.ready else ("not ready", "red"))
    parts: list[Text | Table] = [title if not now.detail else title.append(f": {now.detail}")]
    if now.queue is not None:
        lanes = ", ".join(f"{depth} {lane}" for lane, depth in now.queue.items())
        batch = f"; {now.mean_batch_size:.1f} pictures per batch" if now.mean_batch_size is not None else ""
        parts.append(Text(f"queue: {lanes}; the oldest for {now.oldest_s:.1f} s{batch}"))
        parts.append(Text(f"jobs whose worker died: {now.redelivered}; given up: {now.dead_lettered}"))
    if now.workers:
        table = Table("worker", "state", "device", "type", "jobs", "networks", box=None, pad_edge=False)
        for worker in now.workers:
            cells = (str(worker[name]) for name in ("name", "state", "device", "dtype", "held"))
            table.add_row(*map(Text, (*cells, ", ".join(worker["models"]))))
        parts.append(table)
    return Group(*parts)
