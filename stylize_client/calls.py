"""From arguments to HTTP requests, and from answers to values: the same for both clients. No I/O but files."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Generic, Literal, TypedDict, TypeVar, cast
from urllib.parse import quote, urlencode

from stylize_client.values import JobStatus, Model, Picture, Readiness, Style, known

T = TypeVar("T")

ImageSource = str | Path | bytes | bytearray | memoryview | BinaryIO
"""An image file: its path, its bytes, or a file object that is open for reading bytes."""

KEY = "Idempotency-Key"
VALID_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class PictureOptions(TypedDict, total=False):
    """Which picture; what is left out, or ``None``, is left to the service.

    Attributes:
        styles: Up to four style images.
        style_ids: Up to four ids of styles that the service has.
        weights: One for each style, images first, then ids.
        alpha: 0 is the photo's own look, 1 the full style.
        color: Whose colours.
        masks: One grey image for each style, images first, then ids.
        style_size: Longer side at which style images are encoded, in pixels.
        size: Longer side of the result, in pixels.
        seed: Of the noise.
        format: ``jpeg``, ``png``, ``webp`` or ``avif``.
        quality: 1 to 100.
        model: The network.
        idempotency_key: Sent again with the same request, it brings the same answer. Made by the client if it retries.
    """

    styles: ImageSource | Sequence[ImageSource] | None
    style_ids: str | Sequence[str] | None
    weights: Sequence[float] | None
    alpha: float | None
    color: Literal["style", "match", "luminance"] | None
    masks: ImageSource | Sequence[ImageSource] | None
    style_size: int | None
    size: int | Literal["original"] | None
    seed: int | None
    format: str | None
    quality: int | None
    model: str | None
    idempotency_key: str | None


class JobOptions(PictureOptions, total=False):
    """The same for a job; ``gatys`` optimises the picture in so many ``steps``."""

    method: Literal["feedforward", "gatys"] | None
    steps: int | None


class StyleFacts(TypedDict, total=False):
    """What is known of a painting that is registered."""

    artist: str | None
    year: int | None
    rights: str | None
    idempotency_key: str | None


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
        """Whether it may be sent again when it is not known what became of it."""
        return self.method == "GET" or KEY in self.headers

    def with_headers(self, **headers: str) -> "Call":
        """The same with more headers; underscores stand for dashes."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})


@dataclass(frozen=True)
class Answer:
    """What came back; the headers' names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Operation(Generic[T]):
    """A request, and what its answer means. ``accepts`` are statuses of errors that mean something too."""

    call: Call
    read: Callable[[Answer], T]
    accepts: tuple[int, ...] = ()


def stylize(content: ImageSource, options: PictureOptions) -> Operation[Picture]:
    """``POST /stylize``, whose answer is the picture."""
    return Operation(_painting(content, options), _picture)


def submit(content: ImageSource, options: JobOptions) -> Operation[JobStatus]:
    """``POST /stylize``, whose answer is a job."""
    return Operation(_painting(content, options).with_headers(Prefer="respond-async"), _job)


def job(job_id: str) -> Operation[JobStatus]:
    """How a job is doing."""
    return Operation(Call("GET", _path("jobs", job_id)), _job)


def job_result(job_id: str) -> Operation[Picture]:
    """Its picture."""
    return Operation(Call("GET", _path("jobs", job_id, "result")), _picture)


def job_preview(job_id: str) -> Operation[bytes | None]:
    """Its picture so far, if it has one."""
    call = Call("GET", _path("jobs", job_id, "preview"))
    return Operation(call, lambda answer: answer.body if answer.status == 200 else None, accepts=(404,))


def cancel_job(job_id: str) -> Operation[None]:
    """End it."""
    return Operation(Call("DELETE", _path("jobs", job_id)), lambda _: None)


def job_events(job_id: str, last_event_id: str) -> Call:
    """What happens to it, after the event of this id."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_event_id} if last_event_id else {})}
    return Call("GET", _path("jobs", job_id, "events"), headers)


def styles_path(kind: str | None, model: str | None) -> str:
    """Of the first page of styles."""
    chosen = {name: value for name, value in (("kind", kind), ("model", model)) if value is not None}
    return f"/styles?{urlencode(chosen)}" if chosen else "/styles"


def style_page(path: str) -> Operation[tuple[list[Style], str | None]]:
    """The styles of a page, and the path of the next."""

    def read(answer: Answer) -> tuple[list[Style], str | None]:
        page = answer.json()
        return [known(Style, style) for style in page["styles"]], page["next"]

    return Operation(Call("GET", path), read)


def style(style_id: str) -> Operation[Style]:
    """One style."""
    return Operation(Call("GET", _path("styles", style_id)), _style)


def style_image(style_id: str) -> Operation[bytes]:
    """The painting that a style was made from."""
    return Operation(Call("GET", _path("styles", style_id, "image")), lambda answer: answer.body)


def register_style(image: ImageSource, title: str, facts: StyleFacts) -> Operation[Style]:
    """Keep a painting as a style."""
    fields = {"title": title, **cast(dict[str, Any], facts)}
    key = fields.pop("idempotency_key", None)
    return Operation(Call("POST", "/styles", _key_header(key), _form(fields), _files("image", image)), _style)


def delete_style(style_id: str) -> Operation[None]:
    """Forget a registered style."""
    return Operation(Call("DELETE", _path("styles", style_id)), lambda _: None)


def models() -> Operation[list[Model]]:
    """All networks."""
    return Operation(Call("GET", "/models"), lambda answer: [known(Model, model) for model in answer.json()["models"]])


def ready() -> Operation[Readiness]:
    """Whether the service will answer."""

    def read(answer: Answer) -> Readiness:
        document = answer.json()
        return known(Readiness, document) if answer.status == 200 else Readiness(False, detail=document["detail"])

    return Operation(Call("GET", "/readyz"), read, accepts=(503,))


def metrics() -> Operation[str]:
    """Prometheus' text."""
    return Operation(Call("GET", "/metrics"), lambda answer: answer.body.decode())


def _painting(content: ImageSource, options: PictureOptions | JobOptions) -> Call:
    fields = cast(dict[str, Any], dict(options))
    key = fields.pop("idempotency_key", None)
    files = [
        *_files("content", content),
        *_files("style", *_several(fields.pop("styles", None))),
        *_files("mask", *_several(fields.pop("masks", None))),
    ]
    fields["style_id"] = _several(fields.pop("style_ids", None))
    if fields.get("weights") is not None:
        fields["weights"] = ",".join(str(weight) for weight in fields["weights"])
    return Call("POST", "/stylize", _key_header(key), _form(fields), files)


def _key_header(key: Any) -> dict[str, str]:
    """None for no key.

    Raises:
        ValueError: No header can hold it.
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
    """As text, without what was not given."""
    return {
        name: [str(item) for item in value] if isinstance(value, list) else str(value)
        for name, value in fields.items()
        if value is not None
    }


def _several(given: Any) -> list[Any]:
    """One thing, or several, or none."""
    if given is None:
        return []
    is_one = isinstance(given, str | bytes | bytearray | memoryview | Path) or hasattr(given, "read")
    return [given] if is_one else list(given)


def _files(name: str, *images: ImageSource) -> list[tuple[str, tuple[str, bytes]]]:
    return [(name, (name, _bytes(image))) for image in images]


def _bytes(image: ImageSource) -> bytes:
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    return Path(image).read_bytes() if isinstance(image, str | Path) else image.read()


def _path(*parts: str) -> str:
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _job(answer: Answer) -> JobStatus:
    return JobStatus.from_json(answer.json())


def _style(answer: Answer) -> Style:
    return known(Style, answer.json())


def _picture(answer: Answer) -> Picture:
    headers = answer.headers
    seed = headers.get("x-stylize-seed")
    return Picture(
        data=answer.body,
        media_type=headers["content-type"],
        model=headers["x-stylize-model"],
        batch_size=int(headers["x-stylize-batch-size"]),
        seed=int(seed) if seed is not None else None,
        timings_ms=_timings_ms(headers["server-timing"]),
        request_id=headers["x-request-id"],
        is_replayed=headers.get("idempotent-replayed") == "true",
    )


def _timings_ms(text: str) -> dict[str, float]:
    """``queue;dur=1.7, model;dur=610.0`` by name."""
    parts = (part.strip().partition(";dur=") for part in text.split(","))
    return {name: float(duration_ms) for name, _, duration_ms in parts}
