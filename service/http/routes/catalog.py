"""``GET /models``: the networks."""

from fastapi import APIRouter, Response

from service.errors import ServiceError
from service.http.context import Context, ContextOfProcess
from service.http.responses.files import IfNoneMatch, cacheable, cacheable_response
from service.http.schemas import ModelList, ModelView
from service.model_choice import default_model

router = APIRouter(tags=["catalog"])

COPIED = ModelView.model_fields.keys() - {"styles", "is_default", "state"}
"""Fields that the catalog's entry has, too."""


@router.get("/models", response_model=ModelList, responses=cacheable("The networks"))
async def list_models(context: ContextOfProcess, if_none_match: IfNoneMatch = None) -> Response:
    """List all networks, how they were trained and what they can do; also those that cannot be used, and why."""
    found_by_workers = await _problems_of_workers(context)
    catalog = context.watch.now()
    default = default_model(catalog, context.settings.default_model)
    views = [
        ModelView(
            **{name: getattr(model, name) for name in COPIED},
            styles=len(model.styles),
            is_default=model is default,
            state=model.problem or found_by_workers.get(model.id, "available"),
        )
        for model in catalog.models
    ]
    body = ModelList(models=tuple(views)).model_dump_json()
    return cacheable_response(body.encode(), "application/json", if_none_match)


async def _problems_of_workers(context: Context) -> dict[str, str]:
    """Problems that live workers report, by model id: they load whole checkpoints, perhaps from another host's disk."""
    try:
        status = await context.queue.status()
    except ServiceError:
        return {}  # what this process knows is worth having all the same
    found: dict[str, set[str]] = {}
    for worker in status.workers:
        if worker.age_ms < context.settings.lease_ms:
            for model_id, problem in worker.about.get("problems", {}).items():
                found.setdefault(model_id, set()).add(problem)
    return {model_id: "; ".join(sorted(problems)) for model_id, problems in found.items()}
