"""Prometheus metrics: of one API process, of images that workers made, and of the queue as Redis knows it."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service import VERSION
from service.queue.heartbeat import QueueStatus
from service.request import ResultInfo

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """All series, in a registry of their own: an application made twice in one process shares nothing.

    Stages and batch sizes are those of all images that were made, for synchronous and asynchronous requests and for
    styles that were registered. One API process counts each: their sum over all of them is right.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Histogram(
            "stylize_request_duration_seconds",
            "From a request's first byte to its response's last",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "stylize_stage_duration_seconds", "A job's stages", ["stage"], buckets=SECONDS, registry=registry
        )
        self._batch_size = Histogram(
            "stylize_batch_size",
            "Images in the forward pass that an output came from",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=registry,
        )
        self.rejected = Counter(
            "stylize_rejected_total", "Requests answered with an error", ["reason"], registry=registry
        )

    def count_result(self, result_info: Mapping[str, Any]) -> None:
        """Count an image that was made; ``result_info`` are the fields of ``ResultInfo``."""
        info = ResultInfo.model_validate(result_info)
        for stage in ("queue", "decode", "model", "encode"):
            self._stages.labels(stage).observe(getattr(info, f"{stage}_ms") / 1000)
        self._batch_size.observe(info.batch_size)

    def exposition(self, queue: QueueStatus | None, lease_ms: int) -> bytes:
        """Return the text that Prometheus reads; the queue's series are left out where Redis does not answer."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # several processes on one port count in files that all read
            MultiProcessCollector(registry := CollectorRegistry())  # type: ignore[no-untyped-call]
        own = generate_latest(registry) + generate_latest(_BuildSeries())
        return own if queue is None else own + generate_latest(_QueueSeries(queue, lease_ms))


class _BuildSeries(Collector):
    """The release that this process runs; no counter, so that several processes on one port do not add it up."""

    def collect(self) -> Iterator[Metric]:
        """Yield the series."""
        yield InfoMetricFamily("stylize_build", "The release that this process runs", {"version": VERSION})


class _QueueSeries(Collector):
    """The series of the queue and its workers at one moment; every API process has the same."""

    def __init__(self, queue: QueueStatus, lease_ms: int) -> None:
        self._queue = queue
        self._lease_ms = lease_ms

    def collect(self) -> Iterator[Metric]:
        """Yield all series."""
        queue = self._queue
        is_alive = [worker.age_ms < self._lease_ms for worker in queue.workers]
        gauges = {
            "stylize_queue_depth": ("Interactive jobs that wait or run", queue.depth),
            "stylize_background_queue_depth": (
                "Images in tiles and optimisations that wait or run",
                queue.background_depth,
            ),
            "stylize_queue_oldest_seconds": ("Age of the oldest interactive job", queue.oldest_s),
            "stylize_expected_wait_seconds": (
                "Time for which an interactive job that comes now would wait",
                queue.expected_wait_s(self._lease_ms),
            ),
            "stylize_queue_memory_ratio": (
                "Memory that Redis uses, of that which it may use: beyond 0.85 jobs are refused",
                queue.memory_share,
            ),
            "stylize_workers": ("Workers with a recent heartbeat", sum(is_alive)),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(name, text, value)
        yield CounterMetricFamily("stylize_redelivered", "Jobs whose worker died", queue.redelivered)
        yield CounterMetricFamily("stylize_dead_letter", "Jobs given up", queue.dead_lettered)
        info = GaugeMetricFamily(
            "stylize_worker_info",
            "1 for each worker; its state is `silent` if it has no recent heartbeat",
            labels=["worker", "host", "state", "device", "dtype", "models"],
        )
        held = GaugeMetricFamily("stylize_worker_held_jobs", "Jobs that a worker holds", labels=["worker"])
        for worker, lives in zip(queue.workers, is_alive, strict=True):
            about = worker.about
            host, device, dtype = (str(about.get(name, "")) for name in ("host", "device", "dtype"))
            state = str(about["state"]) if lives else "silent"
            info.add_metric([worker.name, host, state, device, dtype, ",".join(about.get("models", ()))], 1)
            held.add_metric([worker.name], about.get("held", 0))
        yield info
        yield held
