"""``styles``: lists the styles that have an id."""

import dataclasses
import json
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from model_store.catalog import default_folder, read_catalog
from service.cli.terminal import AsJson, Key, Server, clear_errors, output
from service.http.responses.styles import Kind, PageRequest, StyleViews
from service.model_choice import known_model
from service.settings import load_settings
from stylize_client import Client

COLUMNS = ("id", "title", "artist", "year", "networks", "kind", "painting", "controls")


def styles(
    server: Server = None,
    api_key: Key = None,
    kind: Annotated[Kind | None, typer.Option(help="Only those of this kind.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Only those that this network can paint: those mix with each other.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the styles that have an id: those of the checkpoints here, or of a running service."""
    with clear_errors():
        if server:
            with Client(server, api_key) as client:
                found = [dataclasses.asdict(style) for style in client.styles(kind, model)]
        else:
            found = _styles_here(kind, model)
    if as_json:
        print(json.dumps({"styles": found}, indent=2, ensure_ascii=False))
    else:
        output().print(_table(found))


def _styles_here(kind: Kind | None, model: str | None) -> list[dict[str, Any]]:
    settings = load_settings()
    catalog = read_catalog(settings.checkpoints or default_folder())
    if model is not None:
        known_model(model, catalog)
    asked = PageRequest(len(catalog.styles), kind=kind, model=model)
    views = StyleViews(catalog, settings.default_model).by_place()
    return [view.model_dump() for _, view in views if asked.matches(view)]


def _table(styles: list[dict[str, Any]]) -> Table:
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for style in styles:
        year = "" if style["year"] is None else str(style["year"])
        networks = ", ".join([style["model"], *(other for other in style["models"] if other != style["model"])])
        painting = "yes" if style["image"] else ""
        cells = [style["id"], style["title"], style["artist"], year, networks, style["kind"], painting]
        table.add_row(*(Text(cell) for cell in (*cells, ", ".join(style["controls"]))))
    return table
