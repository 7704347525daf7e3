"""The OpenAPI document, completed: what is true of every route is said once, here, and so of routes to come.

FastAPI derives the document from the endpoints. Added are the errors as they are sent, API keys, headers, the forms'
files, and names that make a generated client pleasant: ``client.list_styles()``, ``StylizeForm``.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from service.formats import FORMATS
from service.http.documented import ANSWERS, component
from service.http.examples import EXAMPLES
from service.http.middleware.key_guard import is_open

Document = dict[str, Any]

TAGS = [
    {"name": "stylize", "description": "Paint a photo."},
    {"name": "jobs", "description": "What became of a request that was not waited for."},
    {"name": "styles", "description": "What can be asked for: styles, and new ones of one's own."},
    {"name": "catalog", "description": "The networks behind the styles."},
    {"name": "operations", "description": "For those who run the service."},
]

SCHEME = "ApiKey"
SCHEMES = {
    SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "A key from those who run the service, where they ask for one: `Authorization: Bearer KEY`.",
    }
}

HEADERS = {
    "X-Request-ID": {
        "description": "Names the request in the log; the one that the request had, or a new one",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
    },
    "Cache-Control": {
        "description": "`no-cache`: a copy may be kept, and `If-None-Match` asks whether it is current",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true`: the answer of before to this `Idempotency-Key`, and no new work",
        "schema": {"type": "string"},
    },
    "ETag": {"description": "Names this very content, for `If-None-Match`", "schema": {"type": "string"}},
}

IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of a copy that the client has: if it is current, the answer is 304, without a body.",
    "schema": {"type": "string"},
}

NO_PARAMETERS = ("accept", "content-type", "authorization", "if-none-match")
"""Headers that OpenAPI says in other ways, or that are added by us."""

BODY_STATUSES = (400, 408, 413)
"""Of every route that reads a body."""

IMAGE_TYPES = ", ".join(spec.mime for spec in FORMATS.values())


def operation_id(route: APIRoute) -> str:
    """The endpoint's own name: stable, since a path may change, and what a generated client calls its function."""
    return route.name


def complete_openapi(app: FastAPI, needs_key: bool) -> None:
    """Let ``app.openapi`` give the completed document; ``needs_key``: this service asks for API keys."""
    generate: Callable[[], Document] = app.openapi
    seen: list[Document] = [{}, {}]

    def openapi() -> Document:
        generated = generate()
        if generated is not seen[0]:  # FastAPI keeps it as long as the routes are the same
            seen[:] = [generated, completed(generated, needs_key)]
        return seen[1]

    app.openapi = openapi  # type: ignore[method-assign]


def completed(document: Document, needs_key: bool) -> Document:
    """A completed copy of what FastAPI generated."""
    document = deepcopy(document)
    schemas = document["components"]["schemas"]
    used = {tag for _, _, operation in _operations(document) for tag in operation.get("tags", ())}
    document["tags"] = [tag for tag in TAGS if tag["name"] in used]
    document["security"] = [{SCHEME: []}] if needs_key else [{}, {SCHEME: []}]
    statuses: set[int] = set()
    for path, method, operation in _operations(document):
        if is_open(path):
            operation["security"] = []
        _complete_parameters(operation)
        _complete_form(operation, schemas)
        _complete_answers(operation, _common_statuses(path, method, operation))
        statuses |= {int(status) for status in operation["responses"] if status >= "400"}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    document["components"] = {
        "schemas": dict(sorted(schemas.items())),
        "responses": {ANSWERS[status].name: _with_id(component(status)) for status in sorted(statuses)},
        "headers": HEADERS,
        "securitySchemes": SCHEMES,
    }
    return document


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _common_statuses(path: str, method: str, operation: Document) -> Iterator[int]:
    """Of errors that happen before or around an endpoint."""
    yield 500
    if "requestBody" in operation:
        yield from BODY_STATUSES
    if not is_open(path):
        yield 401
        if method == "post":
            yield from (429, 503)  # ConcurrencyLimit's


def _complete_parameters(operation: Document) -> None:
    """What is not sent is absent, never null; and who documents 304 heeds ``If-None-Match``."""
    parameters = [item for item in operation.pop("parameters", ()) if item["name"].lower() not in NO_PARAMETERS]
    for parameter in parameters:
        parameter["schema"] = _without_null(parameter["schema"])
    if "304" in operation["responses"]:
        parameters.append(IF_NONE_MATCH)
    if parameters:
        operation["parameters"] = parameters


def _complete_answers(operation: Document, common: Iterable[int]) -> None:
    answers = operation["responses"]
    if answers.get("422", {}).get("description") == "Validation Error" and not _can_be_invalid(operation):
        del answers["422"]  # FastAPI documents it wherever there is a parameter
    for status in common:
        answers.setdefault(str(status), {})
    for status, answer in sorted(answers.items()):
        if status >= "400":
            answers[status] = {"$ref": f"#/components/responses/{ANSWERS[int(status)].name}"}
            continue
        if answer["description"] == "Successful Response":
            answer["description"] = operation["description"].partition("\n\n")[0]
        _with_id(answer)
        names = ["ETag", "Cache-Control"] if "304" in answers else []
        names += ["Idempotent-Replayed"] if _is_done_once(operation) else []
        answer["headers"].update({name: {"$ref": f"#/components/headers/{name}"} for name in names})
        for media_type, content in answer.get("content", {}).items():
            if not content.get("schema"):
                content["schema"] = _schema_of(media_type)
    operation["responses"] = dict(sorted(answers.items()))


def _is_done_once(operation: Document) -> bool:
    return any(parameter["name"].lower() == "idempotency-key" for parameter in operation.get("parameters", ()))


def _with_id(answer: Document) -> Document:
    answer["headers"] = {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}, **answer.get("headers", {})}
    return answer


def _can_be_invalid(operation: Document) -> bool:
    """Whether a value is checked: any text is a good text."""
    texts = ("type", "title", "description", "examples", "default")
    return "requestBody" in operation or any(
        parameter["schema"].get("type") != "string" or parameter["schema"].keys() - set(texts)
        for parameter in operation.get("parameters", ())
    )


def _schema_of(media_type: str) -> Document:
    return {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}


def _without_null(schema: Document) -> Document:
    """FastAPI says «or null» of what may be left out."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    return {**options[0], **{name: value for name, value in schema.items() if name != "anyOf"}}


def _complete_form(operation: Document, schemas: Document) -> None:
    """A multipart body: named after its operation, closed, its files known as images."""
    form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
    if form is None:
        return
    name = "".join(word.capitalize() for word in operation["operationId"].split("_")) + "Form"
    schema = schemas[name] = schemas.pop(form["schema"]["$ref"].rpartition("/")[2])
    form["schema"]["$ref"] = f"#/components/schemas/{name}"
    schema["title"], schema["additionalProperties"] = name, False
    for field_name, field in schema["properties"].items():
        schema["properties"][field_name] = field = _without_null(field)
        if field.get("default") == []:
            del field["default"]  # nothing was sent, which generators take for something to send
        _demand_text(field)
        file = field.get("items", field)
        if "contentMediaType" in file:
            file["format"] = "binary"  # the older way to say so, which generators know
            form.setdefault("encoding", {})[field_name] = {"contentType": IMAGE_TYPES}


def _demand_text(field: Document) -> None:
    """An empty text is refused, but where it is what is not sent."""
    item = field.get("items", field)
    is_text = item.get("type") == "string" and item.keys().isdisjoint({"contentMediaType", "enum", "pattern"})
    if is_text and field.get("default") != "":
        item["minLength"] = 1
