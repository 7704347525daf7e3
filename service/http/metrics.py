"""Prometheus metrics of one API process, and of the queue as Redis knows it at the moment of the scrape."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service.queue.heartbeat import QueueStatus, WorkerInfo
from service.request import Facts

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """All series, in a registry of their own: an application made twice in one process shares nothing."""

    def __init__(self) -> None:
        """Everything at zero."""
        self._registry = registry = CollectorRegistry()
        self.requests = Histogram(
            "stylize_request_duration_seconds",
            "From a request's first byte to its answer's last",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "stylize_stage_duration_seconds", "A job's stages", ["stage"], buckets=SECONDS, registry=registry
        )
        self._batch_size = Histogram(
            "stylize_batch_size",
            "Images in the forward pass that a picture came from",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=registry,
        )
        self.rejected = Counter(
            "stylize_rejected_total", "Requests answered with an error", ["reason"], registry=registry
        )
        self._depth = Gauge("stylize_queue_depth", "Interactive jobs that wait or run", registry=registry)
        self._background_depth = Gauge(
            "stylize_background_queue_depth", "Pictures in tiles and optimisations that wait or run", registry=registry
        )
        self._oldest = Gauge("stylize_queue_oldest_seconds", "Age of the oldest interactive job", registry=registry)
        self._workers = Gauge("stylize_workers", "Workers that gave a sign of life lately", registry=registry)
        self._worker_info = Gauge(
            "stylize_worker_info",
            "1 for each worker; its state is `silent` if it gave no sign of life lately",
            ["worker", "host", "state", "device", "dtype", "models"],
            registry=registry,
        )
        self._held = Gauge("stylize_worker_held_jobs", "Jobs that a worker holds", ["worker"], registry=registry)
        self._redelivered = Gauge("stylize_redelivered_total", "Jobs whose worker died, so far", registry=registry)
        self._dead = Gauge("stylize_dead_letter_total", "Jobs given up, so far", registry=registry)

    def painted(self, facts: Facts) -> None:
        """A picture was made."""
        for stage in ("queue", "decode", "model", "encode"):
            self._stages.labels(stage).observe(getattr(facts, f"{stage}_ms") / 1000)
        self._batch_size.observe(facts.batch_size)

    def exposition(self, queue: QueueStatus | None, lease_ms: int) -> bytes:
        """The text that Prometheus reads; the queue's series are left out where Redis does not answer."""
        if queue is not None:
            self._depth.set(queue.depth)
            self._background_depth.set(queue.background_depth)
            self._oldest.set(queue.oldest_s)
            self._workers.set(sum(beat.age_ms < lease_ms for beat in queue.workers))
            self._redelivered.set(queue.redelivered)
            self._dead.set(queue.dead_lettered)
            self._set_workers(queue.workers, lease_ms)
        return generate_latest(self._registry)

    def _set_workers(self, workers: Iterable[WorkerInfo], lease_ms: int) -> None:
        """Those that there are now, and no others."""
        self._worker_info.clear()
        self._held.clear()
        for worker in workers:
            about = worker.about
            state = about["state"] if worker.age_ms < lease_ms else "silent"
            host, device, dtype = (str(about.get(name, "")) for name in ("host", "device", "dtype"))
            self._worker_info.labels(worker.name, host, state, device, dtype, ",".join(about.get("models", ()))).set(1)
            self._held.labels(worker.name).set(about.get("held", 0))
