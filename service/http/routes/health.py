"""``/healthz``, ``/readyz`` and ``/metrics``: for orchestrators and Prometheus. None of them writes anything."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse

from service.errors import NoWorker, ServiceError
from service.http.context import ContextOfProcess
from service.http.responses.problems import problem_statuses
from service.http.schemas import Liveness, Readiness
from service.queue.heartbeat import WorkerInfo

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_description="The process is alive")
async def live() -> Liveness:
    """Tell that this process responds."""
    return Liveness()


@router.get("/readyz", response_description="Redis responds", responses=problem_statuses(422, 503))
async def ready(
    context: ContextOfProcess,
    worker: Annotated[bool, Query(description="Respond with 503 if no worker is ready, too.")] = False,
) -> Readiness:
    """Tell whether Redis responds, and count the workers that are ready."""
    status = await context.queue.status()
    workers = status.live(context.settings.lease_ms)
    if worker and not workers:
        raise NoWorker("no worker is ready" + _states(status.workers, context.settings.lease_ms))
    return Readiness(ready=True, queue_depth=status.depth, workers=workers)


def _states(workers: Sequence[WorkerInfo], lease_ms: int) -> str:
    """List what the workers last said, in brackets, and which of them have fallen silent."""
    states = [
        str(worker.about["state"]) if worker.age_ms < lease_ms else f"silent for {worker.age_ms / 1000:.0f} s"
        for worker in workers
    ]
    return f" ({', '.join(states)})" if states else ""


@router.get("/metrics", response_class=PlainTextResponse, response_description="The metrics")
async def metrics(context: ContextOfProcess) -> Response:
    """Get the metrics in Prometheus' text format."""
    try:
        status = await context.queue.status()
    except ServiceError:
        status = None  # the series of this process are worth having all the same
    body = context.metrics.exposition(status, context.settings.lease_ms)
    return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")
