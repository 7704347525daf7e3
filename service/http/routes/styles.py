"""``/styles``: the styles that have an id, and registering new ones."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from model_store.catalog import Catalog, CatalogError, StyleEntry
from service.errors import Conflict, NotFound
from service.http import registration
from service.http.context import Context, ContextOfProcess, while_connected
from service.http.forms import RegisterStyleForm, check_query, only_fields_of
from service.http.idempotency import REPLAYED_HEADER, IdempotencyKey, read_key, replayed
from service.http.responses.files import TEXT, IfNoneMatch, cacheable, cacheable_response
from service.http.responses.problems import problem_statuses
from service.http.responses.styles import CURSOR_PATTERN, Kind, PageRequest, StyleViews, style_page
from service.http.schemas import StylePage, StyleView

router = APIRouter(prefix="/styles", tags=["styles"])

PARAMETERS = ("limit", "cursor", "kind", "model")
SHIPPED, KEPT = "image/webp", "image/jpeg"
"""Media types of paintings and previews beside the checkpoints and of all previews, and of registered paintings."""

PAGE = 100
LARGEST_PAGE = 500


@router.get(
    "", response_model=StylePage, responses={**cacheable("A page of the list"), **problem_statuses(404, 422, 503)}
)
async def list_styles(
    request: Request,
    context: ContextOfProcess,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Largest number of styles in the page.")] = PAGE,
    cursor: Annotated[
        str | None,
        Query(
            description="Where the page before ended: its `next` has it.", json_schema_extra={"pattern": CURSOR_PATTERN}
        ),
    ] = None,
    kind: Annotated[Kind | None, Query(description="Only those of this kind.")] = None,
    model: Annotated[
        str | None, Query(description="Only those that this network can paint: those mix with each other.")
    ] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """List the styles that have an id: those of the checkpoints, then the registered ones, the oldest first."""
    check_query(request.query_params, PARAMETERS)
    views = _views(context, model_ids=[] if model is None else [model])
    page = await style_page(PageRequest(limit, cursor, kind, model), views, context.styles)
    return cacheable_response(page.model_dump_json().encode(), "application/json", if_none_match)


@router.post(
    "",
    status_code=201,
    response_model=StyleView,
    dependencies=[only_fields_of(RegisterStyleForm)],
    responses={
        201: {
            "description": "The style",
            "headers": {
                "Location": {"schema": TEXT, "description": "Path of the style: `/styles/{id}`"},
                **REPLAYED_HEADER,
            },
        },
        **problem_statuses(400, 408, 409, 413, 415, 422, 429, 503, 504),
    },
)
async def register_style(
    request: Request,
    context: ContextOfProcess,
    form: Annotated[RegisterStyleForm, Form(media_type="multipart/form-data")],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Keep a painting as a style with an id, for every later request."""
    views = _views(context, model_ids=[context.settings.default_model])
    keyed = await read_key(request, idempotency_key)
    work = registration.register_style(form, request.state, keyed, views.catalog, context)
    style, is_new = await while_connected(request, work)
    body = views.registered(style).model_dump_json()
    response = Response(body, 201, {"Location": f"/styles/{style.id}"}, "application/json")
    return response if is_new else replayed(response)


@router.get("/{style_id}", response_model=StyleView, responses={**cacheable("The style"), **problem_statuses(404, 503)})
async def get_style(style_id: str, context: ContextOfProcess, if_none_match: IfNoneMatch = None) -> Response:
    """Get a style."""
    views = _views(context, [style_id])
    if (style := _of_a_checkpoint(style_id, views.catalog)) is not None:
        view = views.named(style)
    elif (registered := (await context.styles.find([style_id])).get(style_id)) is not None:
        view = views.registered(registered)
    else:
        raise _unknown(style_id)
    return cacheable_response(view.model_dump_json().encode(), "application/json", if_none_match)


@router.delete(
    "/{style_id}",
    status_code=204,
    response_description="The style is deleted",
    responses=problem_statuses(404, 409, 503),
)
async def delete_style(style_id: str, context: ContextOfProcess) -> None:
    """Delete a registered style. Jobs that were accepted with it and have not begun will fail."""
    if (style := _of_a_checkpoint(style_id, context.watch.now([style_id]))) is not None:
        raise Conflict(
            f"the style {style_id!r} is part of the checkpoint {style.models[0]!r}: only registered styles can be"
            " deleted"
        )
    if not await context.styles.remove(style_id):
        raise _unknown(style_id)


@router.get(
    "/{style_id}/preview",
    response_class=Response,
    responses={**cacheable("A small image", SHIPPED), **problem_statuses(404, 503)},
)
async def get_style_preview(style_id: str, context: ContextOfProcess, if_none_match: IfNoneMatch = None) -> Response:
    """Get a small image that is painted in this style."""
    if (style := _of_a_checkpoint(style_id, context.watch.now([style_id]))) is not None:
        picture = await asyncio.to_thread(_read, style.preview) if style.preview is not None else None
        if picture is None:
            raise NotFound(f"the style {style_id!r} has no preview")
    elif (picture := await context.styles.preview(style_id)) is None:
        raise _unknown(style_id)
    return cacheable_response(picture, SHIPPED, if_none_match)


@router.get(
    "/{style_id}/image",
    response_class=Response,
    responses={**cacheable("The painting", SHIPPED, KEPT), **problem_statuses(404, 503)},
)
async def get_style_image(style_id: str, context: ContextOfProcess, if_none_match: IfNoneMatch = None) -> Response:
    """Get the painting that this style was made from, in at most 512 pixels, or 1024 of a registered style."""
    if (style := _of_a_checkpoint(style_id, context.watch.now([style_id]))) is not None:
        painting = await asyncio.to_thread(_read, style.style_image) if style.style_image is not None else None
        if painting is None:
            raise NotFound(f"the painting of the style {style_id!r} is not here: only what was learned from it is")
        return cacheable_response(painting, SHIPPED, if_none_match)
    if (painting := await context.styles.painting(style_id)) is None:
        raise _unknown(style_id)
    return cacheable_response(painting, KEPT, if_none_match)


def _views(context: Context, style_ids: Sequence[str] = (), model_ids: Sequence[str] = ()) -> StyleViews:
    return StyleViews(context.watch.now(style_ids, model_ids), context.settings.default_model)


def _of_a_checkpoint(style_id: str, catalog: Catalog) -> StyleEntry | None:
    try:
        return catalog.style(style_id)
    except CatalogError:
        return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None  # removed since the folder was looked at


def _unknown(style_id: str) -> NotFound:
    return NotFound(f"there is no style {style_id!r:.80}: GET /styles lists them")
