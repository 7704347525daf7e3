"""From arguments to HTTP requests, and from responses to values, for both clients. No I/O but reading files."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote, urlencode

from stylize_client.image_sources import ImageSource, as_list, image_bytes
from stylize_client.options import JobOptions, StyleFacts, StylizeOptions, check_names
from stylize_client.values import JobStatus, Model, Readiness, Style, StylizedImage, from_document

T = TypeVar("T")

KEY = "Idempotency-Key"
VALID_KEY = re.compile(r"[\x20-\x7e]{1,255}")


@dataclass(frozen=True)
class Call:
    """An HTTP request that can be sent more than once."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str | list[str]] | None = None
    files: Sequence[tuple[str, tuple[str, bytes]]] | None = None

    @property
    def is_repeatable(self) -> bool:
        """True if it may be sent again when it is not known whether the service did it."""
        return self.method == "GET" or KEY in self.headers

    def with_headers(self, **headers: str) -> "Call":
        """Return a copy with more headers; underscores stand for dashes."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})


@dataclass(frozen=True)
class Response:
    """A response; its headers' names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Operation(Generic[T]):
    """A request, and the reader of its response. ``accepts`` are statuses of errors that the reader understands."""

    call: Call
    read: Callable[[Response], T]
    accepts: tuple[int, ...] = ()


def stylize(content: ImageSource, options: StylizeOptions) -> Operation[StylizedImage]:
    """``POST /stylize`` with an image as response.

    Raises:
        TypeError, ValueError, OSError: As ``check_names`` and ``image_bytes``.
    """
    check_names("stylize", options, StylizeOptions.__annotations__)
    return Operation(_stylize_call(content, options), _stylized_image)


def submit(content: ImageSource, options: JobOptions) -> Operation[JobStatus]:
    """``POST /stylize`` with a job as response.

    Raises:
        TypeError, ValueError, OSError: As ``check_names`` and ``image_bytes``.
    """
    check_names("submit", options, JobOptions.__annotations__)
    return Operation(_stylize_call(content, options).with_headers(Prefer="respond-async"), _job)


def job(job_id: str) -> Operation[JobStatus]:
    """``GET /jobs/{id}``: a job's status."""
    return Operation(Call("GET", _path("jobs", job_id)), _job)


def job_result(job_id: str) -> Operation[StylizedImage]:
    """``GET /jobs/{id}/result``: a job's output."""
    return Operation(Call("GET", _path("jobs", job_id, "result")), _stylized_image)


def job_preview(job_id: str) -> Operation[bytes | None]:
    """``GET /jobs/{id}/preview``: a job's image so far, if it has one."""
    call = Call("GET", _path("jobs", job_id, "preview"))
    return Operation(call, lambda response: response.body if response.status == 200 else None, accepts=(404,))


def cancel_job(job_id: str) -> Operation[None]:
    """``DELETE /jobs/{id}``: cancel a job."""
    return Operation(Call("DELETE", _path("jobs", job_id)), lambda _: None)


def job_events(job_id: str, last_event_id: str) -> Call:
    """``GET /jobs/{id}/events``: a job's events after the one of this id."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_event_id} if last_event_id else {})}
    return Call("GET", _path("jobs", job_id, "events"), headers)


def styles_path(kind: str | None, model: str | None) -> str:
    """Return the path of the first page of styles."""
    chosen = {name: value for name, value in (("kind", kind), ("model", model)) if value is not None}
    return f"/styles?{urlencode(chosen)}" if chosen else "/styles"


def style_page(path: str) -> Operation[tuple[list[Style], str | None]]:
    """``GET`` a page of styles: its styles, and the path of the next page."""

    def read(response: Response) -> tuple[list[Style], str | None]:
        page = response.json()
        return [from_document(Style, style) for style in page["styles"]], page["next"]

    return Operation(Call("GET", path), read)


def style(style_id: str) -> Operation[Style]:
    """``GET /styles/{id}``: one style."""
    return Operation(Call("GET", _path("styles", style_id)), _style)


def style_image(style_id: str) -> Operation[bytes]:
    """``GET /styles/{id}/image``: the image that a style was made from."""
    return Operation(Call("GET", _path("styles", style_id, "image")), lambda response: response.body)


def register_style(image: ImageSource, title: str, facts: StyleFacts) -> Operation[Style]:
    """``POST /styles``: register an image as a style.

    Raises:
        TypeError, ValueError, OSError: As ``check_names`` and ``image_bytes``.
    """
    check_names("register_style", facts, StyleFacts.__annotations__)
    fields = {"title": title, **cast(dict[str, Any], facts)}
    key = fields.pop("idempotency_key", None)
    return Operation(Call("POST", "/styles", _key_header(key), _form(fields), _files("image", [image])), _style)


def delete_style(style_id: str) -> Operation[None]:
    """``DELETE /styles/{id}``: delete a registered style."""
    return Operation(Call("DELETE", _path("styles", style_id)), lambda _: None)


def models() -> Operation[list[Model]]:
    """``GET /models``: all networks."""
    return Operation(
        Call("GET", "/models"), lambda response: [from_document(Model, model) for model in response.json()["models"]]
    )


def ready() -> Operation[Readiness]:
    """``GET /readyz?worker=1``: readiness of the service and of a worker."""

    def read(response: Response) -> Readiness:
        document = response.json()
        return (
            from_document(Readiness, document)
            if response.status == 200
            else Readiness(False, detail=document["detail"])
        )

    return Operation(Call("GET", "/readyz?worker=1"), read, accepts=(503,))


def metrics() -> Operation[str]:
    """``GET /metrics``: metrics in Prometheus' text format."""
    return Operation(Call("GET", "/metrics"), lambda response: response.body.decode())


def _stylize_call(content: ImageSource, options: StylizeOptions | JobOptions) -> Call:
    fields = cast(dict[str, Any], dict(options))
    key = fields.pop("idempotency_key", None)
    files = [
        *_files("content", [content]),
        *_files("style", fields.pop("styles", None)),
        *_files("mask", fields.pop("masks", None)),
    ]
    fields["style_id"] = as_list(fields.pop("style_ids", None))
    if fields.get("weights") is not None:
        fields["weights"] = ",".join(str(weight) for weight in fields["weights"])
    return Call("POST", "/stylize", _key_header(key), _form(fields), files)


def _key_header(key: Any) -> dict[str, str]:
    """Return the header for a key; nothing without a key.

    Raises:
        ValueError: A header cannot hold the key.
    """
    if key is None:
        return {}
    if not isinstance(key, str) or not VALID_KEY.fullmatch(key):
        raise ValueError(
            f"got {key!r:.80} as idempotency_key: a string of 1 to 255 characters of printable ASCII is allowed, such"
            " as a UUID"
        )
    return {KEY: key}


def _form(fields: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Convert fields to text, without those that are ``None``."""
    return {
        name: [str(item) for item in value] if isinstance(value, list) else str(value)
        for name, value in fields.items()
        if value is not None
    }


def _files(name: str, images: Any) -> list[tuple[str, tuple[str, bytes]]]:
    return [(name, (name, image_bytes(name, image))) for image in as_list(images)]


def _path(*parts: str) -> str:
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _job(response: Response) -> JobStatus:
    return JobStatus.from_json(response.json())


def _style(response: Response) -> Style:
    return from_document(Style, response.json())


def _stylized_image(response: Response) -> StylizedImage:
    headers = response.headers
    seed = headers.get("x-stylize-seed")
    return StylizedImage(
        data=response.body,
        media_type=headers["content-type"],
        model=headers["x-stylize-model"],
        batch_size=int(headers["x-stylize-batch-size"]),
        seed=int(seed) if seed is not None else None,
        timings_ms=_timings_ms(headers["server-timing"]),
        request_id=headers["x-request-id"],
        is_replayed=headers.get("idempotent-replayed") == "true",
    )


def _timings_ms(text: str) -> dict[str, float]:
    """Parse ``queue;dur=1.7, model;dur=610.0`` to milliseconds by name."""
    parts = (part.strip().partition(";dur=") for part in text.split(","))
    return {name: float(duration_ms) for name, _, duration_ms in parts}
