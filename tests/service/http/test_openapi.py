"""The OpenAPI document: sound, complete for every route, also those to come, and what a generated client needs."""

import re
from collections.abc import Iterator
from typing import Annotated

import httpx
import image_files as files
import jsonschema_rs
import pytest
import schemathesis
from fastapi import Form, UploadFile
from processes import Service
from pydantic import BaseModel

from model_store.catalog import default_folder, read_catalog
from service.http.app import create_app
from service.http.responses.problems import DOCUMENTED, problem_statuses
from service.http.responses.styles import StyleViews
from service.settings import Settings

KEY = f"client:{'0' * 64}"
DOCUMENT = create_app(Settings(redis_url="unix:///nowhere")).openapi()
KEYED = create_app(Settings(redis_url="unix:///nowhere", api_keys=KEY)).openapi()

OPEN = {"/healthz", "/readyz"}


@pytest.fixture(scope="module")
def service(api_alone: Service) -> Service:
    return api_alone


def operations() -> list[tuple[str, str, dict]]:
    return [(path, method, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()]


def name(value: object) -> str | None:
    return value.get("operationId") if isinstance(value, dict) else None


every_operation = pytest.mark.parametrize(("path", "method", "operation"), operations(), ids=name)


def resolved(node: dict) -> dict:
    while "$ref" in node:
        target: dict = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def answers(operation: dict) -> Iterator[tuple[int, dict]]:
    for status, answer in operation["responses"].items():
        yield int(status), resolved(answer)


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from ([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def validator(schema: dict) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


# ---- the document -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [DOCUMENT, KEYED], ids=["open", "keyed"])
def test_it_is_openapi_3_1(document: dict) -> None:
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()


def test_it_is_what_is_served(client: httpx.Client) -> None:
    assert client.get("/openapi.json").json() == DOCUMENT


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    found = set(references(DOCUMENT))
    for reference in found:
        assert resolved({"$ref": reference})
    components = DOCUMENT["components"]
    there = {f"#/components/{kind}/{name}" for kind in ("schemas", "responses", "headers") for name in components[kind]}
    assert there - found == set()


def test_names_are_those_of_functions_and_never_the_same() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)
    assert {"stylize", "list_styles", "get_style", "list_models", "live", "ready", "metrics"} <= set(names)


def test_tags_are_explained() -> None:
    tags = {tag["name"]: tag["description"] for tag in DOCUMENT["tags"]}
    assert set(tags) == {tag for _, _, operation in operations() for tag in operation["tags"]}


# ---- every route --------------------------------------------------------------------------------------------------


@every_operation
def test_every_answer_has_its_schema_and_example(path: str, method: str, operation: dict) -> None:
    assert operation["description"]
    for status, answer in answers(operation):
        assert answer["description"] not in ("", "Successful Response")
        contents = answer.get("content", {})
        assert bool(contents) == (status not in (204, 304)), status
        for media_type, content in contents.items():
            assert content["schema"]
            if media_type in ("application/json", "application/problem+json"):
                schema = resolved(content["schema"])
                examples = [content["example"]] if "example" in content else schema["examples"]
                for example in examples:
                    validator(content["schema"]).validate(example)
            elif media_type.startswith("image/"):
                assert content["schema"] == {"type": "string", "format": "binary"}


@every_operation
def test_every_error_is_a_problem(path: str, method: str, operation: dict) -> None:
    for status, answer in answers(operation):
        if status >= 400:
            ((media_type, content),) = answer["content"].items()
            assert media_type == "application/problem+json"
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert content["example"]["status"] == status
            assert content["example"]["title"] == DOCUMENTED[status].title


@every_operation
def test_every_header_is_documented(path: str, method: str, operation: dict) -> None:
    for status, answer in answers(operation):
        headers = {name: resolved(header) for name, header in answer["headers"].items()}
        assert "X-Request-ID" in headers
        assert all(header["description"] and header["schema"] for header in headers.values())
        if status in (429, 503):
            assert "Retry-After" in headers
        if status == 401:
            assert "WWW-Authenticate" in headers
        if status == 304:
            assert {"ETag", "Cache-Control"} <= headers.keys()
        if status < 300 and any(item["name"].lower() == "idempotency-key" for item in operation.get("parameters", ())):
            assert "Idempotent-Replayed" in headers


@every_operation
def test_every_route_has_the_answers_that_come_before_it(path: str, method: str, operation: dict) -> None:
    statuses = {status for status, _ in answers(operation)}
    assert {403, 500} <= statuses
    assert (401 in statuses) == (path not in OPEN)
    if "requestBody" in operation:
        assert {400, 408, 413} <= statuses
    if method == "post":
        assert {429, 503} <= statuses


@every_operation
def test_what_is_sent_is_described(path: str, method: str, operation: dict) -> None:
    for parameter in operation.get("parameters", ()):
        assert parameter["name"].lower() not in ("accept", "content-type", "authorization")
        assert "null" not in str(parameter["schema"])
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        if media_type == "multipart/form-data":
            form = resolved(content["schema"])
            assert form["title"] == content["schema"]["$ref"].rpartition("/")[2]
            assert form["title"].endswith("Form")
            assert form["additionalProperties"] is False
            for name, field in form["properties"].items():
                assert field["description"], name
                assert "null" not in str(field), name
                is_file = field.get("items", field).get("format") == "binary"
                assert is_file == (name in content["encoding"])


# ---- keys ---------------------------------------------------------------------------------------------------------


def test_who_asks_for_keys_says_so() -> None:
    assert KEYED["security"] == [{"ApiKey": []}]
    assert DOCUMENT["security"] == [{}, {"ApiKey": []}]
    scheme = KEYED["components"]["securitySchemes"]["ApiKey"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for path, item in KEYED["paths"].items():
        for operation in item.values():
            assert operation.get("security") == ([] if path in OPEN else None)


# ---- this API -----------------------------------------------------------------------------------------------------


def test_bounds_of_fields() -> None:
    fields = DOCUMENT["components"]["schemas"]["StylizeForm"]["properties"]
    assert fields["method"]["enum"] == ["feedforward", "gatys"]
    assert (fields["steps"]["minimum"], fields["style_size"]["minimum"]) == (1, 64)
    assert fields["weights"]["minLength"] == fields["style_id"]["items"]["minLength"] == 1
    headers = DOCUMENT["paths"]["/stylize"]["post"]["responses"]["200"]["headers"]
    assert {"Vary", "Cache-Control"} <= headers.keys()


def test_stylize() -> None:
    stylize = DOCUMENT["paths"]["/stylize"]["post"]
    statuses = {"200", "400", "401", "404", "406", "408", "413", "415", "422", "429", "500", "503", "504"}
    assert set(stylize["responses"]) >= statuses
    painted = stylize["responses"]["200"]
    assert set(painted["content"]) == {f"image/{format}" for format in files.FORMATS}
    assert {"Server-Timing", "X-Stylize-Model", "X-Stylize-Batch-Size", "X-Stylize-Seed"} <= set(painted["headers"])
    form = DOCUMENT["components"]["schemas"]["StylizeForm"]
    assert form["required"] == ["content"]
    assert form["properties"]["style"]["maxItems"] == form["properties"]["style_id"]["maxItems"] == 4
    assert form["properties"]["format"]["enum"] == ["jpeg", "png", "webp", "avif", "jpg"]
    encoding = stylize["requestBody"]["content"]["multipart/form-data"]["encoding"]
    assert encoding["content"]["contentType"] == "image/jpeg, image/png, image/webp, image/avif"


def test_several_forms_are_each_completed() -> None:
    app = create_app(Settings(redis_url="unix:///nowhere"))

    class OneMoreForm(BaseModel):
        image: UploadFile
        title: str | None = None

    @app.post("/one-more", tags=["stylize"], responses=problem_statuses(404))
    async def one_more(form: Annotated[OneMoreForm, Form(media_type="multipart/form-data")]) -> None:
        """Another one."""

    document = app.openapi()
    for path, form, file in (("/stylize", "StylizeForm", "content"), ("/one-more", "OneMoreForm", "image")):
        content = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]
        assert content["schema"] == {"$ref": f"#/components/schemas/{form}"}
        assert file in content["encoding"]
        assert document["components"]["schemas"][form]["properties"][file]["format"] == "binary"


def test_pages_are_not_part_of_it() -> None:
    assert not {"/", "/docs", "/openapi.json"} & set(DOCUMENT["paths"])


def test_examples_show_real_defaults() -> None:
    settings, catalog = Settings(), read_catalog(default_folder())
    schemas, responses = DOCUMENT["components"]["schemas"], DOCUMENT["components"]["responses"]
    (style,), (models,) = schemas["StyleView"]["examples"], schemas["ModelList"]["examples"]
    assert style == StyleViews(catalog, settings.default_model).named(catalog.style(style["id"])).model_dump(
        mode="json"
    )
    (shown,) = models["models"]
    real = catalog.model(shown["id"])
    assert shown["is_default"] and shown["id"] == settings.default_model
    assert (shown["styles"], shown["parameters"], shown["licence"]) == (
        len(real.styles),
        real.parameters,
        real.licence,
    )
    assert shown["measured"].items() <= real.measured.items() and shown["training"].items() <= real.training.items()
    details = {
        name: answer["content"]["application/problem+json"]["example"]["detail"] for name, answer in responses.items()
    }
    assert f"from 64 to {settings.max_size_px} pixels" in details["InvalidField"]
    assert f"at most {settings.max_body_bytes} bytes" in details["PayloadTooLarge"]
    assert f"within {settings.request_timeout_s:g} s" in details["DeadlinePassed"]


def test_examples_of_errors_show_the_settings_of_the_service() -> None:
    app = create_app(Settings(redis_url="unix:///nowhere", max_size_px=777))
    assert "from 64 to 777 pixels" in str(app.openapi()["components"]["responses"]["InvalidField"])
