"""``GET /styles`` and ``GET /models``: what can be asked for."""

import hashlib
from typing import Any

from fastapi import APIRouter, Request, Response

from model_store.catalog import Catalog, CatalogError, StyleEntry
from service.context import Context, ContextOfProcess
from service.errors import NotFound, ServiceError
from service.problems import problem_statuses
from service.schemas import ModelList, ModelView, StylePage, StyleView

router = APIRouter(tags=["catalog"])

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The client's copy, named by `If-None-Match`, is current"}
}


@router.get("/styles", response_model=StylePage, responses=NOT_MODIFIED)
async def list_styles(request: Request, context: ContextOfProcess) -> Response:
    """All styles that have an id."""
    catalog = context.watch.now()
    page = StylePage(styles=tuple(_style_view(style, catalog) for style in catalog.styles))
    return _cacheable(request, page.model_dump_json().encode(), "application/json")


@router.get("/styles/{style_id}", response_model=StyleView, responses={**NOT_MODIFIED, **problem_statuses(404)})
async def get_style(request: Request, style_id: str, context: ContextOfProcess) -> Response:
    """One style."""
    catalog = context.watch.now([style_id])
    view = _style_view(_style(style_id, catalog), catalog)
    return _cacheable(request, view.model_dump_json().encode(), "application/json")


@router.get(
    "/styles/{style_id}/preview",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}, **NOT_MODIFIED, **problem_statuses(404)},
)
def get_preview(request: Request, style_id: str, context: ContextOfProcess) -> Response:
    """A small picture painted in this style."""
    preview = _style(style_id, context.watch.now([style_id])).preview
    try:
        picture = preview.read_bytes() if preview is not None else None
    except FileNotFoundError:
        picture = None  # removed since the folder was looked at
    if picture is None:
        raise NotFound(f"the style {style_id!r} has no preview")
    return _cacheable(request, picture, "image/webp")


@router.get("/models")
async def list_models(context: ContextOfProcess) -> ModelList:
    """All networks, how they were trained and what they can do; also those that cannot be used, and why."""
    found_by_workers = await _problems_of_workers(context)
    views = [
        ModelView(
            id=model.id,
            network=model.network,
            norm=model.norm,
            styles=len(model.styles),
            controls=model.controls,
            parameters=model.parameters,
            licence=model.licence,
            attribution=model.attribution,
            training=model.training,
            measured=model.measured,
            state=model.problem or found_by_workers.get(model.id, "available"),
        )
        for model in context.watch.now().models
    ]
    return ModelList(models=tuple(views))


async def _problems_of_workers(context: Context) -> dict[str, str]:
    """By model id, what living workers say: they load checkpoints whole, and may be on other hosts with other files."""
    try:
        status = await context.dispatcher.status()
    except ServiceError:
        return {}  # what this process knows is worth having all the same
    found: dict[str, set[str]] = {}
    for beat in status.workers:
        if beat.age_ms < context.settings.lease_ms:
            for model_id, problem in beat.says.get("problems", {}).items():
                found.setdefault(model_id, set()).add(problem)
    return {model_id: "; ".join(sorted(problems)) for model_id, problems in found.items()}


def _style(style_id: str, catalog: Catalog) -> StyleEntry:
    try:
        return catalog.style(style_id)
    except CatalogError as err:
        raise NotFound(f"there is no style {style_id!r:.80}: GET /styles lists them") from err


def _style_view(style: StyleEntry, catalog: Catalog) -> StyleView:
    model = catalog.model(style.model)
    return StyleView(
        id=style.id,
        title=style.title,
        artist=style.artist,
        year=style.year,
        rights=style.rights,
        model=style.model,
        kind="shipped" if model.norm == "adaptive" else "learned",
        controls=model.controls,
        preview=f"/styles/{style.id}/preview" if style.preview is not None else None,
    )


def _cacheable(request: Request, body: bytes, media_type: str) -> Response:
    """An answer with an ETag, or 304 where the client has it already."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}  # may be kept, must be asked about
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
