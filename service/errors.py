"""Error responses of the service, in one tree.

    ServiceError
    ├── BadRequest 400
    ├── Unauthorized 401         with WWW-Authenticate
    ├── Forbidden 403            a page of another site sent it
    ├── NotFound 404
    ├── NotAcceptable 406
    ├── RequestTimeout 408
    ├── Conflict 409             with Retry-After where that is known
    ├── Gone 410
    ├── PayloadTooLarge 413
    ├── UnsupportedImage 415
    ├── InvalidField 422
    ├── TooManyRequests 429      with Retry-After
    ├── ClientLeft 499           for the log: nobody reads the response
    ├── InternalError 500
    ├── JobFailed 500            the job killed its worker, or failed in it
    ├── Unavailable 503          with Retry-After
    │   ├── QueueFull
    │   ├── NoRoom               for one more body
    │   ├── NoWorker
    │   ├── TooManyListeners     to events
    │   ├── ModelUnavailable     a checkpoint that is damaged, or is being replaced
    │   └── QueueUnreachable
    └── DeadlinePassed 504

Each class owns its status, its title and what the API's documentation says of it: its docstring, an example and the
headers that come with it. ``detail`` is public, so it holds nothing internal: it says what was got, what is allowed and
what to do. Errors travel from the worker to the API as ``{"error", "detail", "field"}``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
RETRY_AFTER = MappingProxyType({"Retry-After": "Seconds after which to try again"})


class ServiceError(Exception):
    """Base of the tree; sent as problem+json (RFC 9457).

    Attributes:
        usual_retry_s: Seconds after which the client may try again, if nothing better is known.
        example: Detail that the API's documentation shows, formatted with ``settings``.
        example_field: Form field that the example is about.
        header_meanings: Headers of the response, each with its meaning.
        detail: Public text.
        field: Form field that the error is about, if any.
    """

    status: ClassVar[int]
    title: ClassVar[str]
    usual_retry_s: ClassVar[int | None] = None
    example: ClassVar[str] = ""
    example_field: ClassVar[str | None] = None
    header_meanings: ClassVar[Mapping[str, str]] = NO_HEADERS

    def __init__(self, detail: str, field: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.retry_after_s = self.usual_retry_s if retry_after_s is None else retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the response."""
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}

    def to_json(self) -> dict[str, Any]:
        """Fields from which ``error_from_json`` rebuilds the error in another process."""
        return {"error": type(self).__name__, "detail": self.detail, "field": self.field}


class BadRequest(ServiceError):
    """The body is not what HTTP, multipart/form-data or its own header prescribe."""

    status = 400
    title = "Malformed request"
    example = (
        "the body cannot be read (Missing boundary in multipart): send multipart/form-data, with the boundary that its"
        " header names"
    )


class Unauthorized(ServiceError):
    """The service asks for an API key, and this request has none, or an unknown one."""

    status = 401
    title = "API key needed"
    example = "no API key was sent: send the header `Authorization: Bearer KEY`"
    header_meanings = MappingProxyType({"WWW-Authenticate": "How to send a key"})

    def __init__(self, detail: str, is_invalid: bool = False) -> None:
        """Make an error; ``is_invalid`` means that a key was sent and is unknown."""
        super().__init__(detail)
        self._challenge = 'Bearer realm="Stylize"' + (', error="invalid_token"' if is_invalid else "")

    @property
    def headers(self) -> dict[str, str]:
        """The challenge (RFC 6750, section 3)."""
        return {"WWW-Authenticate": self._challenge}


class Forbidden(ServiceError):
    """A page of another site sent the request, or `Host` is a name that is not known to be the service's."""

    status = 403
    title = "Not allowed from there"
    example = (
        "a page of 'https://other.example' sent this, and Host is '127.0.0.1:8000': STYLIZE_CORS_ORIGINS names the"
        " origins whose pages may; a proxy must leave Host as it is"
    )


class NotFound(ServiceError):
    """The path, or a field, names something that is not there."""

    status = 404
    title = "Not found"
    example = "there is no style 'starry': GET /styles lists them"
    example_field = "style_id"


class NotAcceptable(ServiceError):
    """`Accept` allows none of the formats that the service writes."""

    status = 406
    title = "No acceptable format"
    example = (
        "Accept is 'image/gif', we write image/jpeg, image/png, image/webp, image/avif: accept one of these, or send"
        " `format`"
    )


class RequestTimeout(ServiceError):
    """The body stopped arriving."""

    status = 408
    title = "Request Timeout"
    example = "no byte of the body came for {settings.body_idle_s:g} s, after 65536: send it again"


class Conflict(ServiceError):
    """The thing is in a state that does not allow this."""

    status = 409
    title = "Conflict"
    example = "the job is queued, its picture is not there yet: GET /jobs/0f8fad5bd9cb469f says when it is"
    header_meanings = MappingProxyType({"Retry-After": "Seconds after which to try again, where that is known"})


class Gone(ServiceError):
    """It was there, and is not kept any more."""

    status = 410
    title = "Gone"
    example = "the job has expired: its picture is not kept: send the request again"


class PayloadTooLarge(ServiceError):
    """The request has more bytes than are allowed; the rest of it is not read."""

    status = 413
    title = "Too many bytes"
    example = "the request has 99614720 bytes, at most {settings.max_body_bytes} bytes are allowed: send smaller images"


class UnsupportedImage(ServiceError):
    """A file is not an image of a format that the service reads."""

    status = 415
    title = "Unsupported image type"
    example = "got a GIF, allowed are jpeg, png, webp, avif: convert the file"
    example_field = "content"


class InvalidField(ServiceError):
    """A value, or an image's pixels, cannot be used; `errors` names each field."""

    status = 422
    title = "Invalid value"
    example = "got '99999': the longer side must be from 64 to {settings.max_size_px} pixels, or `original`"
    example_field = "size"


class TooManyRequests(ServiceError):
    """As many requests and jobs of this key are running as one key may have at once."""

    status = 429
    title = "Too many requests"
    example = (
        "{settings.max_requests_per_key} requests and jobs of this key run already, which is as many as one key may"
        " have: wait for the end of one"
    )
    usual_retry_s = 1  # one of the client's requests has probably ended then
    header_meanings = RETRY_AFTER


class ClientLeft(ServiceError):
    """The client closed its connection, so nobody reads the response."""

    status = 499
    title = "Client left"


class InternalError(ServiceError):
    """The service failed. The text is general; the request's id helps to find the cause in the log."""

    status = 500
    title = "Internal error"
    example = "this is our fault; the request's id helps to find it in the log"


class JobFailed(ServiceError):
    """A job failed for a reason that is ours, or lies in the image, and cannot be told to the client."""

    status = 500
    title = "Processing failed"


class Unavailable(ServiceError):
    """Not now: the queue is full or does not answer, no worker is running, or a network cannot be used."""

    status = 503
    title = "Service unavailable"
    usual_retry_s = 2
    example = "the service is stopping: try again"
    header_meanings = RETRY_AFTER


class QueueFull(Unavailable):
    """A job would wait for longer than is sensible, or the queue has little memory left."""

    title = "Queue full"


class NoRoom(Unavailable):
    """Bodies and responses on their way take as many bytes as one API process may hold."""

    title = "No room"


class NoWorker(Unavailable):
    """No worker is alive."""

    title = "No worker"


class TooManyListeners(Unavailable):
    """As many clients listen to events as one API process allows."""

    title = "Too many listeners"


class ModelUnavailable(Unavailable):
    """A network, or a style of it, is listed but cannot be used: its checkpoint is damaged or has just changed."""

    title = "Network unavailable"
    usual_retry_s = 5  # it ends when the checkpoint is repaired, which ``GET /models`` shows


class QueueUnreachable(Unavailable):
    """Redis does not answer, or has no memory left."""

    title = "Queue unreachable"


class DeadlinePassed(ServiceError):
    """The job was not done before its deadline, and will not be."""

    status = 504
    title = "Deadline passed"
    example = "not done within {settings.request_timeout_s:g} s: try a smaller size, or later"


_BY_NAME: dict[str, type[ServiceError]] = {
    kind.__name__: kind
    for kind in (
        PayloadTooLarge,
        UnsupportedImage,
        InvalidField,
        JobFailed,
        DeadlinePassed,
        NotFound,
        ModelUnavailable,
        QueueUnreachable,
    )
}


def error_from_json(fields: dict[str, Any]) -> ServiceError:
    """Rebuild the error that a worker sent; one that workers may not send becomes a ``JobFailed``."""
    error = _BY_NAME.get(fields["error"], JobFailed)(fields["detail"])
    error.field = fields["field"]
    return error
