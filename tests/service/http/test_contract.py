"""The whole API against its own OpenAPI document, with values that nobody thought of: every route, also those to come.

Schemathesis reads the document and makes the requests: examples, the edges of every schema, methods that are not there,
random values, allowed and not. Each answer is held against the document. With a worker that is ready there is no reason
for any 5xx, so none is allowed. The requests are the same in every run.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import image_files as files
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import strategies
from processes import Service, photo, wait_for
from schemathesis.transport.serialization import Binary
from services import Services

from service.api_keys import new_key
from service.http.app import create_app
from service.settings import Settings

SECRET, KEY = new_key("contract")
AUTHORIZATION = {"Authorization": f"Bearer {SECRET}"}

DOCUMENT = create_app(Settings(redis_url="unix:///nowhere", api_keys=str(KEY))).openapi()

RANDOM_REQUESTS = 40
"""For each route, about half of them with forbidden values."""

LARGEST_PX = 96

STYLES = ("first", "second", "sea", "sky", "moss")

CONFIG = schemathesis.Config.from_dict(
    {
        "seed": 0,
        "generation": {
            "max-examples": RANDOM_REQUESTS,
            "deterministic": True,
            "database": "none",
            "with-security-parameters": False,  # only that each route refuses who has no key, or a wrong one
        },
        "dictionaries": {"styles": {"values": STYLES}},
        "parameters": {
            # Random text names no style, and then little of the service would be reached.
            "path.style_id": {"dictionary": "styles", "probability": 0.7},
            "body.style_id[*]": {"dictionary": "styles", "probability": 0.9},
        },
        "operations": [
            {
                # Fields that do not fit together, such as two weights for one style, are beyond a schema, and so are
                # characters that cannot be shown.
                "include-operation-id": name,
                "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "401", "404", "409", "422"]}},
            }
            for name in ("stylize", "register_style")
        ],
    }
)

schema = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)

for format in files.FORMATS:
    pictures = [files.saved(files.photo(40, 30, seed=seed), format) for seed in range(3)]
    schemathesis.openapi.media_type(f"image/{format}", strategies.sampled_from(pictures))

PHOTO = ("photo.jpg", files.saved(files.photo(40, 30), "jpeg"), "image/jpeg")
FLAT_STYLE = ("style.png", photo(128, 16, seed=1), "image/png")

Files = list[tuple[str, tuple[str, bytes, str]]]

statuses: defaultdict[str, set[int]] = defaultdict(set)
"""Which were seen, by operation."""


@schema.hook
def map_body(context: schemathesis.HookContext, body: object) -> object:
    """Let files be files, and the fields of an allowed form fit together, which is beyond a schema."""
    fields = getattr(body, "body", None)
    if isinstance(fields, dict) and "content" in fields:
        for name in ("style", "mask"):  # Schemathesis gives a field of several files one, and sends files only in lists
            if isinstance(fields.get(name), bytes | Binary):
                fields[name] = [fields[name]]
        if all(is_allowed(name, value) for name, value in fields.items()):
            make_fit(fields)
    return body


@schema.hook
def filter_body(context: schemathesis.HookContext, body: object) -> bool:
    """Leave out booleans where a form wants text: a form sends them as the text that it wants, so they are allowed."""
    fields = getattr(body, "body", body)
    if not isinstance(fields, dict):
        return True
    return not any(isinstance(fields.get(name), bool) for name in ("title", "artist", "rights"))


def is_allowed(name: str, value: object) -> bool:
    form = DOCUMENT["components"]["schemas"]["StylizeForm"]["properties"]
    values = value if isinstance(value, list) else [value]
    if all(isinstance(item, bytes | Binary) for item in values):
        return name in form
    return name in form and jsonschema_rs.is_valid(form[name], value)


def make_fit(fields: dict) -> None:
    """Of allowed values for ``POST /stylize``, those that one network takes."""
    if fields.get("style"):
        fields.pop("style_id", None)
    else:
        fields["style_id"] = (fields.get("style_id") or ["first"])[:1]
    if fields.get("style_id") != ["moss"]:
        fields.pop("seed", None)
    if "weights" in fields:
        fields["weights"] = "3"
    if not 64 <= int(fields.get("size", "0").replace("original", "64")) <= LARGEST_PX:
        fields["size"] = "64"


@pytest.fixture(scope="module")
def service(services: Services, every_network: Path) -> Iterator[Service]:
    yield services.shared(every_network, api_keys=KEY, max_size_px=LARGEST_PX)
    # Else the requests would prove little: each route must have answered what it is there for.
    assert statuses, "no request was answered"
    assert [route for route, seen in statuses.items() if not any(status < 300 for status in seen)] == []


@pytest.mark.timeout(600)
@schema.parametrize()
def test_every_route_keeps_to_its_document(case: schemathesis.Case, service: Service) -> None:
    answer = case.call_and_validate(base_url=service.url, headers=AUTHORIZATION)
    if answer.request.method == case.operation.method.upper():
        statuses[case.operation.label].add(answer.status_code)


class Ask:
    """Chosen requests, held against the document like the random ones."""

    def __init__(self, service: Service) -> None:
        self._url = service.url

    def __call__(self, method: str, path: str, headers: dict[str, str] | None = None, **ids: str) -> Any:
        case = schema[path][method].Case(path_parameters=ids, headers=headers or {})
        return self._note(case, case.call_and_validate(base_url=self._url, headers=AUTHORIZATION))

    def post(self, path: str, files: Files, fields: dict[str, str], headers: dict[str, str]) -> Any:
        case = schema[path]["POST"].Case(media_type="multipart/form-data")
        answer = httpx.post(self._url + path, files=files, data=fields, headers={**AUTHORIZATION, **headers})
        answer.request.read()  # Schemathesis looks at what was sent, too
        case.validate_response(answer, headers=AUTHORIZATION)
        return self._note(case, answer)

    def _note(self, case: schemathesis.Case, answer: Any) -> Any:
        statuses[case.operation.label].add(answer.status_code)
        return answer


def test_the_life_of_a_job_keeps_to_it(service: Service) -> None:
    """Random requests know no job."""
    ask = Ask(service)
    path, files_ = "/jobs/{job_id}", [("content", PHOTO), ("style", FLAT_STYLE)]
    fields = {"size": "64", "method": "gatys", "steps": "400"}
    accepted = ask.post("/stylize", files_, fields, {"Prefer": "respond-async"})
    job_id = accepted.json()["id"]
    wait_for(lambda: ask("GET", path, job_id=job_id).json()["links"]["preview"], 60)
    assert ask("GET", f"{path}/preview", job_id=job_id).status_code == 200
    assert ask("GET", f"{path}/result", job_id=job_id).status_code == 409
    assert ask("DELETE", path, job_id=job_id).status_code == 204

    accepted = ask.post("/stylize", files_, {"size": "64"}, {"Prefer": "respond-async"})
    job_id = accepted.json()["id"]
    events = ask("GET", f"{path}/events", job_id=job_id)  # until it ends
    assert (events.status_code, ask("GET", path, job_id=job_id).json()["state"]) == (200, "succeeded")
    assert ask("GET", f"{path}/result", job_id=job_id).headers["content-type"] == ["image/jpeg"]


def test_the_life_of_a_style_keeps_to_it(service: Service) -> None:
    ask = Ask(service)
    registered = ask.post("/styles", [("image", PHOTO)], {"title": "Mine"}, {})
    assert registered.status_code == 201
    style_id = registered.json()["id"]
    tag = ask("GET", "/styles/{style_id}", style_id=style_id).headers["etag"][0]
    assert ask("GET", "/styles/{style_id}", {"If-None-Match": tag}, style_id=style_id).status_code == 304
    assert ask("GET", "/styles/{style_id}/preview", style_id=style_id).status_code == 200
    assert ask("GET", "/styles/{style_id}/image", style_id=style_id).status_code == 200
    assert ask("DELETE", "/styles/{style_id}", style_id=style_id).status_code == 204
    assert ask("GET", "/styles/{style_id}", style_id=style_id).status_code == 404
