"""The OpenAPI document. FastAPI derives it from the endpoints; what holds for every endpoint is added here."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from service.formats import FORMATS
from service.http.middleware.clients import is_open
from service.http.responses.jobs import JobView
from service.http.responses.problems import DOCUMENTED, documented_problem
from service.http.schemas import Liveness, ModelList, Readiness, StylePage, StyleView
from service.settings import Settings

Document = dict[str, Any]

DESCRIPTION = """Post a photo and a painting, or the id of a style, and get the photo back, painted in that style.

Where the service asks for an API key, send it as `Authorization: Bearer KEY`. Errors are `application/problem+json`
(RFC 9457): they say what was got, what is allowed and what to do. Every path supports OPTIONS, and HEAD if it supports
GET."""

TAGS = [
    {"name": "stylize", "description": "Paint a photo."},
    {"name": "jobs", "description": "Requests that were sent with `Prefer: respond-async`."},
    {"name": "styles", "description": "Styles that have an id, and registering new ones."},
    {"name": "catalog", "description": "The networks."},
    {"name": "operations", "description": "For orchestrators and monitoring."},
]

SCHEME = "ApiKey"
SCHEMES = {
    SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "A key from the operator, where the service asks for one: `Authorization: Bearer KEY`.",
    }
}

HERE = {"url": ".", "description": "Where this document is: also below the path that a proxy gives the service"}

HEADERS = {
    "X-Request-ID": {
        "description": "Names the request in the log; the id that the request had, or a new one",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
    },
}

BODIES = (StyleView, StylePage, ModelList, JobView, Liveness, Readiness)
"""Response bodies with an example. It is added here, since FastAPI leaves out what is null in one."""

IMAGE_TYPES = ", ".join(spec.mime for spec in FORMATS.values())


def complete_openapi(app: FastAPI, settings: Settings) -> None:
    """Let ``app.openapi`` return the completed document."""
    generate: Callable[[], Document] = app.openapi

    def openapi() -> Document:
        document = generate()
        if "security" not in document:  # FastAPI keeps the document as long as the routes are the same
            _complete(document, settings)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: Document, settings: Settings) -> None:
    """Add what holds for all operations: keys, errors, the request's id, examples."""
    document["servers"] = [HERE]
    document["security"] = [{SCHEME: []}] if settings.api_keys else [{}, {SCHEME: []}]
    problems = {kind.__name__: documented_problem(kind, settings) for kind in DOCUMENTED.values()}
    components = document["components"]
    components |= {"responses": problems, "headers": HEADERS, "securitySchemes": SCHEMES}
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    for body in BODIES:
        components["schemas"][body.__name__]["examples"] = [body.example]
    for response in problems.values():
        _add_request_id(response)
    for path, item in document["paths"].items():
        for operation in item.values():
            if is_open(path):
                operation["security"] = []
                operation["responses"].pop("401")
            _complete_operation(operation, components["schemas"])


def _complete_operation(operation: Document, schemas: Document) -> None:
    responses = operation["responses"]
    if responses.get("422", {}).get("description") == "Validation Error":
        del responses["422"]  # FastAPI adds it to every endpoint with a parameter; those that check one document it
    for response in responses.values():
        if "$ref" not in response:
            _add_request_id(response)
    operation["responses"] = dict(sorted(responses.items()))
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
    if form is not None:
        _complete_form(form, schemas[form["schema"]["$ref"].rpartition("/")[2]]["properties"])


def _add_request_id(response: Document) -> None:
    response.setdefault("headers", {})["X-Request-ID"] = {"$ref": "#/components/headers/X-Request-ID"}


def _complete_form(form: Document, fields: Document) -> None:
    """Say that files are images, that an empty text is refused where it is not the default, and that lists may lack."""
    for name, field in fields.items():
        fields[name] = field = _without_null(field)
        item = field.get("items", field)
        if field.get("default") == []:
            del field["default"]  # generators of clients would send it
        if "contentMediaType" in item:
            item["format"] = "binary"  # the older way to say so, which generators know
            form.setdefault("encoding", {})[name] = {"contentType": IMAGE_TYPES}
        elif item["type"] == "string" and field.get("default") != "" and "enum" not in item and "pattern" not in item:
            item.setdefault("minLength", 1)


def _without_null(schema: Document) -> Document:
    """Leave out ``null`` of a value that may be left out: a parameter or a field of a form cannot be null."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    return {**options[0], **{name: value for name, value in schema.items() if name != "anyOf"}}
