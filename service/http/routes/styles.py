"""``/styles``: what can be asked for by id, and registering more of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile

from model_store.catalog import Catalog, CatalogError, StyleEntry
from service.errors import Conflict, NotFound
from service.http import registration
from service.http.context import Context, ContextOfProcess, while_connected
from service.http.once import IdempotencyKey, once
from service.http.registration import MAX_RIGHTS, MAX_TEXT, YEARS, StyleRequest
from service.http.responses.files import BINARY, NOT_MODIFIED, cacheable
from service.http.responses.problems import problem_statuses
from service.http.responses.styles import CURSOR_PATTERN, Kind, PageRequest, StyleViews, style_page
from service.http.schemas import StylePage, StyleView
from service.request import check_fields, check_query

router = APIRouter(prefix="/styles", tags=["styles"])

FIELDS = ("image", "title", "artist", "year", "rights")
PARAMETERS = ("limit", "cursor", "kind", "model")
SHIPPED, KEPT = "image/webp", "image/jpeg"
"""Types of paintings: of those beside the checkpoints, and of registered ones."""

PAGE = 100
LARGEST_PAGE = 500

# For the documentation alone: these are checked where the messages are clearer.
CURSOR: dict[str, Any] = {"pattern": CURSOR_PATTERN}
TITLE: dict[str, Any] = {"minLength": 1, "maxLength": MAX_TEXT, "pattern": r"\S"}
ARTIST: dict[str, Any] = {"maxLength": MAX_TEXT}
YEAR: dict[str, Any] = {"minimum": YEARS[0], "maximum": YEARS[-1]}
RIGHTS: dict[str, Any] = {"maxLength": MAX_RIGHTS}


@router.get("", response_model=StylePage, responses={**NOT_MODIFIED, **problem_statuses(404, 422, 503)})
async def list_styles(
    request: Request,
    context: ContextOfProcess,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Styles of one page, at most.")] = PAGE,
    cursor: Annotated[
        str | None, Query(description="Where the page before ended: its `next` has it.", json_schema_extra=CURSOR)
    ] = None,
    kind: Annotated[Kind | None, Query(description="Only those of this kind.")] = None,
    model: Annotated[
        str | None, Query(description="Only those that this network can paint: those mix with each other.")
    ] = None,
) -> Response:
    """All styles that have an id: those of the checkpoints, then the registered ones, the oldest first."""
    check_query(request.query_params, PARAMETERS)
    views = _views(context, model_ids=[] if model is None else [model])
    page = await style_page(PageRequest(limit, cursor, kind, model), views, context.styles)
    return cacheable(request, page.model_dump_json().encode(), "application/json")


@router.post(
    "",
    status_code=201,
    response_model=StyleView,
    responses={
        201: {"headers": {"Location": {"schema": {"type": "string"}, "description": "`/styles/{id}`"}}},
        **problem_statuses(400, 409, 413, 415, 422, 500, 503, 504),
    },
)
async def register_style(
    request: Request,
    context: ContextOfProcess,
    image: Annotated[UploadFile, File(description="The painting: JPEG, PNG, WebP or AVIF.")],
    title: Annotated[str, Form(description="What it is called.", json_schema_extra=TITLE)],
    artist: Annotated[str, Form(description="Who made it.", json_schema_extra=ARTIST)] = "",
    year: Annotated[int | None, Form(description="When.", json_schema_extra=YEAR)] = None,
    rights: Annotated[str, Form(description="Who may use it and how.", json_schema_extra=RIGHTS)] = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Keep a painting as a style with an id, for every later request."""
    check_query(request.query_params)
    check_fields((await request.form()).multi_items(), FIELDS, (), may_be_empty=("artist", "rights"))
    asked = StyleRequest(request.state.request_id, await image.read(), title, artist, year, rights)
    views = _views(context, model_ids=[context.settings.default_model])

    async def answer() -> Response:
        work = registration.register_style(asked, context.settings, views.catalog, context.dispatcher, context.styles)
        style = await while_connected(request, work)
        view = views.registered(style)
        return Response(view.model_dump_json(), 201, {"Location": f"/styles/{style.id}"}, "application/json")

    return await once(request, idempotency_key, context.answers, answer)


@router.get("/{style_id}", response_model=StyleView, responses={**NOT_MODIFIED, **problem_statuses(404, 503)})
async def get_style(request: Request, style_id: str, context: ContextOfProcess) -> Response:
    """One style."""
    views = _views(context, [style_id])
    if (style := _of_a_checkpoint(style_id, views.catalog)) is not None:
        view = views.named(style)
    elif (registered := (await context.styles.find([style_id])).get(style_id)) is not None:
        view = views.registered(registered)
    else:
        raise _unknown(style_id)
    return cacheable(request, view.model_dump_json().encode(), "application/json")


@router.delete("/{style_id}", status_code=204, responses=problem_statuses(404, 409, 503))
async def delete_style(style_id: str, context: ContextOfProcess) -> None:
    """Forget a registered style. Jobs that were accepted with it and have not begun will fail."""
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
    responses={
        200: {"description": "A small picture", "content": {"image/webp": {"schema": BINARY}}},
        **NOT_MODIFIED,
        **problem_statuses(404, 503),
    },
)
async def get_style_preview(request: Request, style_id: str, context: ContextOfProcess) -> Response:
    """A small picture painted in this style."""
    if (style := _of_a_checkpoint(style_id, context.watch.now([style_id]))) is not None:
        picture = await asyncio.to_thread(_read, style.preview) if style.preview is not None else None
        if picture is None:
            raise NotFound(f"the style {style_id!r} has no preview")
    elif (picture := await context.styles.preview(style_id)) is None:
        raise _unknown(style_id)
    return cacheable(request, picture, "image/webp")


@router.get(
    "/{style_id}/image",
    response_class=Response,
    responses={
        200: {"description": "The painting", "content": {kind: {"schema": BINARY} for kind in (SHIPPED, KEPT)}},
        **NOT_MODIFIED,
        **problem_statuses(404, 503),
    },
)
async def get_style_image(request: Request, style_id: str, context: ContextOfProcess) -> Response:
    """The painting that this style was made from, in at most 512 pixels, or 1024 of a registered one."""
    if (style := _of_a_checkpoint(style_id, context.watch.now([style_id]))) is not None:
        painting = await asyncio.to_thread(_read, style.painting) if style.painting is not None else None
        if painting is None:
            raise NotFound(f"the painting of the style {style_id!r} is not here: only what was learned from it is")
        return cacheable(request, painting, SHIPPED)
    if (painting := await context.styles.painting(style_id)) is None:
        raise _unknown(style_id)
    return cacheable(request, painting, KEPT)


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
