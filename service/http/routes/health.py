"""``/healthz``, ``/readyz`` and ``/metrics``: for orchestrators and Prometheus. None of them writes anything."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from service.errors import NoWorker, ServiceError
from service.http.context import ContextOfProcess
from service.http.responses.problems import problem_statuses
from service.http.schemas import Liveness, Readiness

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_description="The process is alive")
async def live() -> Liveness:
    """Tell that this process responds."""
    return Liveness()


@router.get("/readyz", response_description="Requests will be served", responses=problem_statuses(503))
async def ready(context: ContextOfProcess) -> Readiness:
    """Tell whether Redis responds and a worker is ready."""
    status = await context.dispatcher.status()
    workers = sum(worker.is_ready(context.settings.lease_ms) for worker in status.workers)
    if workers == 0:
        states = ", ".join(str(worker.about["state"]) for worker in status.workers)
        raise NoWorker("no worker is ready" + (f" ({states})" if states else ""))
    return Readiness(ready=True, queue_depth=status.depth, workers=workers)


@router.get("/metrics", response_class=PlainTextResponse, response_description="The metrics")
async def metrics(context: ContextOfProcess) -> Response:
    """Get the metrics in Prometheus' text format."""
    try:
        status = await context.dispatcher.status()
    except ServiceError:
        status = None  # the series of this process are worth having all the same
    body = context.metrics.exposition(status, context.settings.lease_ms)
    return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")
