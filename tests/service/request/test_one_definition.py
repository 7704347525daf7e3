"""A field of the request stands once: the form, the table of the docs, ``--help`` and the payload are made from it."""

import inspect
import re
import runpy
from pathlib import Path

import pytest
import typer
from commands import on_one_line, run
from paths import ROOT

from model_store.gatys import GatysOptions
from service.cli.paint import paint
from service.formats import FORMATS
from service.http.app import create_app
from service.http.forms import StylizeForm
from service.request import StylizeOptions, StylizeParameters, StylizeRequest
from service.settings import Settings
from stylize_client import JobOptions

FIELDS = StylizeForm.model_fields
TABLE = runpy.run_path(str(ROOT / "docs" / "field_table.py"))
OPTIONS = inspect.signature(paint).parameters


def test_the_page_has_the_table_as_it_is_made() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert page == TABLE["with_table"](page), "`make docs` mends it"


def test_the_table_says_what_is_allowed_and_the_default() -> None:
    rows = [[cell.strip() for cell in line.split(" | ")] for line in TABLE["field_table"]().splitlines()[2:]]
    found = {row[0].strip("| `"): (row[2], row[3].removesuffix("|").strip()) for row in rows}
    assert set(found) == set(FIELDS)
    assert found["content"] == ("file", "required")
    assert found["style"] == ("list of files, at most 4", "")
    assert found["alpha"] == ("number, 0 to 1", "`1`")
    assert found["seed"] == ("integer, 0 to 2147483647", "")
    assert found["color"] == ("`style`, `match`, `luminance`", "`style`")
    assert found["style_size"][0] == "integer, from 64"


def test_a_page_without_a_place_for_the_table() -> None:
    with pytest.raises(ValueError, match="there is no place for the table"):
        TABLE["with_table"]("# A page\n")


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_described_and_in_the_document(name: str) -> None:
    description = FIELDS[name].description
    assert description and description.endswith(".")
    document = create_app(Settings(redis_url="unix:///nowhere")).openapi()
    assert document["components"]["schemas"]["StylizeForm"]["properties"][name]["description"] == description


@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"content", "style", "style_id"}))
def test_every_field_is_an_option_with_its_default_and_bounds(name: str) -> None:
    assert OPTIONS[name].default == FIELDS[name].default
    (option,) = OPTIONS[name].annotation.__metadata__
    assert isinstance(option, typer.models.OptionInfo)
    schema = StylizeRequest[Path].model_json_schema()["properties"][name]
    kinds = [schema, *schema.get("anyOf", ())]
    if FIELDS[name].metadata and name != "method":
        assert {kind["minimum"] for kind in kinds if "minimum" in kind} == {option.min}
        assert {kind["maximum"] for kind in kinds if "maximum" in kind} == {option.max}


def test_help_says_what_the_fields_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10000")
    said = on_one_line(run("paint", "--help"))
    for name in ("alpha", "size", "color", "steps", "quality", "model"):
        assert f"--{name}" in said
        assert str(FIELDS[name].description) in said


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [("--alpha", "1.5", "1"), ("--quality", "0", "1"), ("--seed", "-1", "0")],
)
def test_an_option_out_of_its_bounds(
    option: str, value: str, allowed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "photo.jpg").touch()
    result = run("paint", tmp_path / "photo.jpg", "--style", "first", "-o", tmp_path / "x.jpg", option, value)
    assert result.exit_code == 2
    assert re.search(rf"'{option}'.* than or equal to {allowed}\b", on_one_line(result)), result.output


def test_the_python_client_has_every_field() -> None:
    renamed = {"styles": "style", "style_ids": "style_id", "masks": "mask"}
    options = {renamed.get(name, name) for name in JobOptions.__annotations__}
    assert options - {"idempotency_key"} == set(FIELDS) - {"content"}, "see stylize_client/options.py"


def test_options_travel_to_the_worker_and_inputs_do_not() -> None:
    assert set(StylizeOptions.model_fields) <= set(StylizeParameters.model_fields)
    inputs = set(FIELDS) - set(StylizeOptions.model_fields)
    assert not inputs & set(StylizeParameters.model_fields)


def test_numbers_in_descriptions_are_those_of_the_code() -> None:
    assert f", {GatysOptions().steps} when not given" in str(FIELDS["steps"].description)
    assert f"{Settings().max_size_px} (`STYLIZE_MAX_SIZE_PX`)" in str(FIELDS["size"].description)
    for name, spec in FORMATS.items():
        assert spec.default_quality is None or f"{spec.default_quality} ({name})" in str(FIELDS["quality"].description)
