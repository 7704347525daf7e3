"""All styles as one list: those of the checkpoints by network and row, then the registered ones by their number.

A page goes on behind the last style of the one before, named by its place, so styles that come or go meanwhile make no
other style appear twice or never.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from model_store.catalog import Catalog, ModelEntry, StyleEntry
from service.errors import InvalidField
from service.requests.mix import UPLOAD_MODEL
from service.schemas import StylePage, StyleView
from service.stores.style_store import RegisteredStyle, StyleStore

Kind = Literal["shipped", "learned", "registered"]
Row = tuple[str, int]
"""A checkpoint's style: its network and the row there."""

ROW = re.compile(r"row\.(.{1,200})\.(\d{1,9})")
NUMBER = re.compile(r"number\.(\d{1,15})")
CURSOR_PATTERN = f"^({ROW.pattern}|{NUMBER.pattern})$"


@dataclass(frozen=True)
class PageRequest:
    """Which styles: up to ``limit`` of those behind ``cursor`` that are of this kind and network."""

    limit: int
    cursor: str | None = None
    kind: Kind | None = None
    model: str | None = None


async def style_page(asked: PageRequest, catalog: Catalog, store: StyleStore) -> StylePage:
    """One page, and the path of the next.

    Raises:
        InvalidField: The cursor is not one of ours.
        QueueUnreachable: Redis does not answer.
    """
    row, number = _place(asked.cursor)
    found: list[tuple[str, StyleView]] = []
    if number is None:
        found += _of_checkpoints(asked, catalog, row)
    wanted = asked.limit + 1 - len(found)  # one more than asked for says that there is a next page
    if wanted > 0 and asked.kind in (None, "registered") and asked.model in (None, UPLOAD_MODEL):
        registered = await store.after(number or 0, wanted)
        found += [(f"number.{number}", registered_view(style, catalog)) for number, style in registered]
    views = tuple(view for _, view in found[: asked.limit])
    return StylePage(styles=views, next=_path(asked, found[asked.limit - 1][0]) if len(found) > asked.limit else None)


def style_view(style: StyleEntry, catalog: Catalog) -> StyleView:
    """A checkpoint's style, as clients see it."""
    model = catalog.model(style.model)
    return StyleView(
        id=style.id,
        title=style.title,
        artist=style.artist,
        year=style.year,
        rights=style.rights,
        model=style.model,
        kind=_kind(model),
        controls=model.controls,
        preview=f"/styles/{style.id}/preview" if style.preview is not None else None,
    )


def registered_view(style: RegisteredStyle, catalog: Catalog) -> StyleView:
    """A registered style, as clients see it; it heeds nothing while its network is not there."""
    model = next((model for model in catalog.models if model.id == style.model), None)
    return StyleView(
        id=style.id,
        title=style.title,
        artist=style.artist,
        year=style.year,
        rights=style.rights,
        model=style.model,
        kind="registered",
        controls=model.controls if model is not None else (),
        preview=f"/styles/{style.id}/preview",
    )


def _of_checkpoints(asked: PageRequest, catalog: Catalog, behind: Row | None) -> Iterator[tuple[str, StyleView]]:
    left = asked.limit + 1
    for style in sorted(catalog.styles, key=lambda style: (style.model, style.row)):
        is_behind = behind is None or (style.model, style.row) > behind
        if left and is_behind and _matches(asked, catalog.model(style.model)):
            yield f"row.{style.model}.{style.row}", style_view(style, catalog)
            left -= 1


def _matches(asked: PageRequest, model: ModelEntry) -> bool:
    return asked.kind in (None, _kind(model)) and asked.model in (None, model.id)


def _kind(model: ModelEntry) -> Kind:
    return "shipped" if model.norm == "adaptive" else "learned"


def _place(cursor: str | None) -> tuple[Row | None, int | None]:
    """Where the page before ended: at a checkpoint's style or at a registered one's number, or nowhere."""
    if cursor is None:
        return None, None
    if match := ROW.fullmatch(cursor):
        return (match[1], int(match[2])), None
    if match := NUMBER.fullmatch(cursor):
        return None, int(match[1])
    raise InvalidField(f"got {cursor!r:.80}: follow the `next` of a page, or leave it out", "cursor")


def _path(asked: PageRequest, cursor: str) -> str:
    query = {"limit": asked.limit, "cursor": cursor, "kind": asked.kind, "model": asked.model}
    return f"/styles?{urlencode({name: value for name, value in query.items() if value is not None})}"
