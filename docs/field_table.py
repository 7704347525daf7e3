"""The table of fields in ``docs/api.md``, made from the form: ``python docs/field_table.py`` writes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.http.forms import StylizeForm

PAGE = Path(__file__).resolve().parent / "api.md"
BEGIN = "<!-- fields: made by `make docs` -->\n"
END = "<!-- end of fields -->\n"


def field_table() -> str:
    """The table, in Markdown."""
    schema = StylizeForm.model_json_schema()
    lines = ["| field | meaning | allowed | default |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        default = "required" if name in schema.get("required", ()) else _code(field.get("default"))
        lines.append(f"| `{name}` | {field['description']} | {_allowed(field)} | {default} |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """The page with the table as it should be.

    Raises:
        ValueError: The page has no place for it.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"there is no place for the table: put the lines {BEGIN!r} and {END!r} around it")
    return f"{before}{begin}\n{field_table()}\n{end}{after}"


def _allowed(field: Mapping[str, Any]) -> str:
    """Kind and bounds of a field."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
    kind = {**field, **(kinds[0] if kinds else {})}
    if "enum" in kind:
        return ", ".join(map(_code, kind["enum"]))
    item = kind.get("items", kind)
    name = "file" if "contentMediaType" in item else {"string": "text"}.get(item["type"], item["type"])
    if kind["type"] == "array":
        return f"list of {name}s" + (f", at most {kind['maxItems']}" if "maxItems" in kind else "")
    if "minimum" in kind:
        bounds = f"{kind['minimum']:g} to {kind['maximum']:.10g}" if "maximum" in kind else f"from {kind['minimum']:g}"
        return f"{name}, {bounds}"
    return str(name)


def _code(value: object) -> str:
    if value is None or value == []:
        return ""
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
