"""The list of all styles: those of the checkpoints by network and row, then the registered ones by their number.

A cursor is the place of a page's last style, and the next page goes on after it. So styles that are added or removed
meanwhile make no other style appear twice or never.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal
from urllib.parse import urlencode

from model_store.catalog import Catalog, StyleEntry
from service.errors import InvalidField
from service.http.schemas import StylePage, StyleView
from service.model_choice import default_model, known_model, preferred
from service.queue.styles import RegisteredStyle, StyleStore

Kind = Literal["shipped", "learned", "registered"]
Row = tuple[str, int]
"""Place of a checkpoint's style: its network and its row there."""

ROW = re.compile(r"row\.(.{1,200})\.(\d{1,9})")
NUMBER = re.compile(r"number\.(\d{1,15})")
CURSOR_PATTERN = f"^({ROW.pattern}|{NUMBER.pattern})$"


@dataclass(frozen=True)
class PageRequest:
    """Request for up to ``limit`` styles after ``cursor`` of this kind and for this network."""

    limit: int
    cursor: str | None = None
    kind: Kind | None = None
    model: str | None = None

    def matches(self, view: StyleView) -> bool:
        """Tell whether a style is of this kind and for this network."""
        return self.kind in (None, view.kind) and (self.model is None or self.model in view.models)


class StyleViews:
    """Makes styles as clients see them, from the present catalog."""

    def __init__(self, catalog: Catalog, default: str) -> None:
        """``default`` is the setting ``default_model``."""
        self.catalog = catalog
        self._default = default

    def named(self, style: StyleEntry) -> StyleView:
        """Make the view of a checkpoint's style."""
        model = self.catalog.model(preferred(style.models, self.catalog, self._default))
        return StyleView(
            **_label(style),
            model=model.id,
            models=style.models,
            kind="shipped" if model.any_style else "learned",
            controls=model.controls,
            preview=f"/styles/{style.id}/preview" if style.preview is not None else None,
            image=f"/styles/{style.id}/image" if style.style_image is not None else None,
            origin=style.origin,
        )

    def registered(self, style: RegisteredStyle) -> StyleView:
        """Make the view of a registered style; it supports nothing while there is no network for it."""
        model = default_model(self.catalog, self._default)
        return StyleView(
            **_label(style),
            model=model.id if model is not None else self._default,
            models=tuple(model.id for model in self.catalog.any_style),
            kind="registered",
            controls=model.controls if model is not None else (),
            preview=f"/styles/{style.id}/preview",
            image=f"/styles/{style.id}/image",
            origin="",
        )

    def by_place(self) -> Iterator[tuple[Row, StyleView]]:
        """List all styles of the checkpoints with their places."""
        entries = {style.id: style for style in self.catalog.styles}
        for model in sorted(self.catalog.models, key=lambda model: model.id):
            for row, style in enumerate(model.styles):
                view = self.named(entries[style.id])
                if view.model == model.id:
                    yield (model.id, row), view


def _label(style: StyleEntry | RegisteredStyle) -> dict[str, Any]:
    return {name: getattr(style, name) for name in ("id", "title", "artist", "year", "rights")}


async def style_page(asked: PageRequest, views: StyleViews, store: StyleStore) -> StylePage:
    """Make a page, with the path of the next.

    Raises:
        InvalidField: The cursor is invalid.
        NotFound: There is no such network.
        QueueUnreachable: Redis does not answer.
    """
    if asked.model is not None:
        known_model(asked.model, views.catalog)
    row, number = _place(asked.cursor)
    most = asked.limit + 1  # one more than asked for says that there is a next page
    found: list[tuple[str, StyleView]] = []
    if number is None:
        behind = ((place, view) for place, view in views.by_place() if row is None or place > row)
        wanted = ((f"row.{model}.{at}", view) for (model, at), view in behind if asked.matches(view))
        found += islice(wanted, most)
    for_registered = [model.id for model in views.catalog.any_style]
    if len(found) < most and asked.kind in (None, "registered") and asked.model in (None, *for_registered):
        registered = await store.after(number or 0, most - len(found))
        found += [(f"number.{number}", views.registered(style)) for number, style in registered]
    shown = tuple(view for _, view in found[: asked.limit])
    return StylePage(styles=shown, next=_path(asked, found[asked.limit - 1][0]) if len(found) > asked.limit else None)


def _place(cursor: str | None) -> tuple[Row | None, int | None]:
    """Read a cursor: the place of a checkpoint's style, or the number of a registered style, or neither."""
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
