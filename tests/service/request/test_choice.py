"""Which network paints a request, where several can."""

import logging

import pytest

from model_store.catalog import Catalog, all_controls
from service.errors import InvalidField, ModelUnavailable, NotFound
from service.model_choice import find_model, warn_of_default
from tests.service.request.test_request import CATALOG, STYLE, catalog, model, request

ANY = all_controls(("style", "weights", "alpha"))
LEARNED = all_controls(("weights", "alpha"))
OLD = model("old", "wave", "night", "dawn", controls=ANY)
NEW = model("new", "wave", "night", "dusk", controls=ANY)
TABLE = model("a-table", "wave", "dusk", "sea", controls=LEARNED)
BROKEN = model("broken", controls=(), problem="broken.safetensors: damaged")
ALL = catalog(TABLE, BROKEN, NEW, OLD)


def chosen(*style_ids: str, default: str = "old", known: Catalog = ALL, **changes: object) -> str:
    registered = {"mine"} & set(style_ids)
    return find_model(request(style_id=style_ids, **changes), known, registered, default).id


@pytest.mark.parametrize(
    ("default", "style_ids", "expected"),
    [
        ("old", ["wave"], "old"),
        ("new", ["wave"], "new"),
        ("a-table", ["wave"], "a-table"),
        ("old", ["wave", "dawn"], "old"),
        ("new", ["wave", "dawn"], "old"),
        ("old", ["dusk"], "new"),
        ("old", ["dusk", "wave"], "new"),
        ("old", ["sea", "wave"], "a-table"),
        ("old", ["mine"], "old"),
        ("new", ["mine"], "new"),
        ("old", ["mine", "dusk"], "new"),
        ("nowhere", ["wave"], "new"),
        ("nowhere", ["mine"], "new"),
        ("a-table", ["mine"], "new"),
    ],
)
def test_the_default_if_it_knows_them_all_or_else_one_that_does(
    default: str, style_ids: list[str], expected: str
) -> None:
    assert chosen(*style_ids, default=default) == expected


def test_uploads_are_for_every_network_for_any_style() -> None:
    assert chosen(style=[STYLE]) == "old"
    assert chosen(style=[STYLE], default="new") == "new"
    assert chosen("dusk", style=[STYLE]) == "new"
    assert chosen("mine", style=[STYLE], model="new") == "new"


@pytest.mark.parametrize(
    ("style_ids", "asked_for"), [(["wave"], "new"), (["wave", "dusk"], "a-table"), (["mine"], "new")]
)
def test_one_that_is_asked_for(style_ids: list[str], asked_for: str) -> None:
    assert chosen(*style_ids, model=asked_for) == asked_for


@pytest.mark.parametrize(
    ("style_ids", "changes", "kind", "field", "text"),
    [
        (["dawn", "dusk"], {}, InvalidField, "style_id", "different networks (a-table, new, old): mix within one"),
        (["sea", "mine"], {}, InvalidField, "style_id", "different networks (a-table, new, old)"),
        (["sea"], {"style": [STYLE]}, InvalidField, "style_id", "different networks (a-table, new, old)"),
        (
            ["dawn"],
            {"model": "new"},
            InvalidField,
            "model",
            "got 'new', which cannot paint these styles: old can; leave `mo",
        ),
        (["mine"], {"model": "a-table"}, InvalidField, "model", "cannot paint these styles: new, old can"),
        (["sea", "dawn"], {"model": "old"}, InvalidField, "model", "these styles: no network can; mix within one"),
        (
            ["wave"],
            {"model": "nope"},
            NotFound,
            "model",
            "there is no network 'nope': known are a-table, broken, new, old",
        ),
        (["wave"], {"model": "broken"}, ModelUnavailable, "model", "'broken' cannot be used: broken.safetensors: dam"),
        (["nope", "mine"], {}, NotFound, "style_id", "there is no style 'nope': GET /styles lists them"),
    ],
)
def test_what_no_network_can_paint(
    style_ids: list[str], changes: dict, kind: type[Exception], field: str, text: str
) -> None:
    with pytest.raises(kind) as caught:
        chosen(*style_ids, **changes)
    assert caught.value.field == field
    assert text in caught.value.detail


def test_a_damaged_default_is_not_replaced_by_another() -> None:
    for changes in ({"style": [STYLE]}, {"style_id": ["mine"]}, {"style": [STYLE], "style_id": ["sea"]}):
        ids = changes.pop("style_id", [])
        with pytest.raises(ModelUnavailable, match=r"uploaded styles cannot be used: broken\.safetensors: damaged"):
            chosen(*ids, default="broken", **changes)
    assert chosen("dusk", default="broken", style=[STYLE]) == "new", "the styles leave no choice"
    assert chosen("mine", default="broken", model="old") == "old", "it is asked for"


@pytest.mark.parametrize(
    ("known", "default", "text"),
    [
        (ALL, "old", None),
        (ALL, "nope", "STYLIZE_DEFAULT_MODEL=nope: no network that takes style images, new does"),
        (ALL, "a-table", "STYLIZE_DEFAULT_MODEL=a-table: no network that takes style images, new does"),
        (catalog(TABLE), "old", "STYLIZE_DEFAULT_MODEL=old: no network here takes style images, uploads are refused"),
        (CATALOG, "adain", None),
    ],
)
def test_a_default_that_is_not_there_is_logged(
    known: Catalog, default: str, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_default(known, default)
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == ([] if text is None else [text])
