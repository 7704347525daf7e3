"""``GET /styles`` and ``GET /models``: what can be asked for."""

import hashlib
from typing import Any

from fastapi import APIRouter, Request, Response

from model_store.catalog import CatalogError, StyleEntry
from service.context import Context, ContextOfProcess
from service.errors import NotFound
from service.problems import problem_statuses
from service.schemas import ModelList, ModelView, StylePage, StyleView

router = APIRouter(tags=["catalog"])

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The client's copy, named by `If-None-Match`, is current"}
}


@router.get("/styles", response_model=StylePage, responses=NOT_MODIFIED)
async def list_styles(request: Request, context: ContextOfProcess) -> Response:
    """All styles that have an id."""
    page = StylePage(styles=tuple(_style_view(style, context) for style in context.catalog.styles))
    return _cacheable(request, page.model_dump_json().encode(), "application/json")


@router.get("/styles/{style_id}", response_model=StyleView, responses={**NOT_MODIFIED, **problem_statuses(404)})
async def get_style(request: Request, style_id: str, context: ContextOfProcess) -> Response:
    """One style."""
    view = _style_view(_style(style_id, context), context)
    return _cacheable(request, view.model_dump_json().encode(), "application/json")


@router.get(
    "/styles/{style_id}/preview",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}, **NOT_MODIFIED, **problem_statuses(404)},
)
def get_preview(request: Request, style_id: str, context: ContextOfProcess) -> Response:
    """A small picture painted in this style."""
    preview = _style(style_id, context).preview
    if preview is None:
        raise NotFound(f"the style {style_id!r} has no preview")
    return _cacheable(request, preview.read_bytes(), "image/webp")


@router.get("/models")
async def list_models(context: ContextOfProcess) -> ModelList:
    """All networks, how they were trained and what they can do."""
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
            state="available" if model.problem is None else "the checkpoint cannot be used: see the log",
        )
        for model in context.catalog.models
    ]
    return ModelList(models=tuple(views))


def _style(style_id: str, context: Context) -> StyleEntry:
    try:
        return context.catalog.style(style_id)
    except CatalogError as err:
        raise NotFound(f"there is no style {style_id!r:.80}: GET /styles lists them") from err


def _style_view(style: StyleEntry, context: Context) -> StyleView:
    return StyleView(
        id=style.id,
        title=style.title,
        artist=style.artist,
        year=style.year,
        rights=style.rights,
        model=style.model,
        kind="shipped",
        controls=context.catalog.model(style.model).controls,
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
