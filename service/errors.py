"""Everything that the service answers with an error status, in one tree.

    ServiceError
    ├── BadRequest 400
    ├── Unauthorized 401         with WWW-Authenticate
    ├── NotFound 404
    ├── NotAcceptable 406
    ├── Conflict 409             not in the state that the thing is in now
    │   └── BeingAnswered        the same request, with Retry-After
    ├── Gone 410                 it was there, and will not come back
    ├── PayloadTooLarge 413
    ├── UnsupportedImage 415
    ├── InvalidField 422
    ├── TooManyRequests 429      of this client, with Retry-After
    ├── ClientLeft 499           nobody reads the answer; for the log
    ├── JobFailed 500            the job killed its worker, or failed in it
    ├── Unavailable 503          with Retry-After
    │   ├── QueueFull
    │   ├── NoWorker
    │   ├── TooManyListeners     to events
    │   ├── ModelUnavailable     a checkpoint that cannot be used, or is being replaced
    │   └── QueueUnreachable
    └── DeadlinePassed 504

Each class owns its status and title. ``detail`` says what was got, what is allowed and what to do; it is public, so
nothing internal belongs into it. Errors travel from the worker to the API as ``{"error", "detail", "field"}``.
"""

from typing import Any, ClassVar


class ServiceError(Exception):
    """Base of the tree; answered as problem+json (RFC 9457)."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, field: str | None = None) -> None:
        """An error with its public text, and the form field that it is about, if any."""
        super().__init__(detail)
        self.detail = detail
        self.field = field

    @property
    def headers(self) -> dict[str, str]:
        """Which the answer has beside its text."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """What ``error_from_json`` rebuilds the error from, in another process."""
        return {"error": type(self).__name__, "detail": self.detail, "field": self.field}


class BadRequest(ServiceError):
    """The request is not what HTTP or multipart prescribe."""

    status = 400
    title = "Malformed request"


class Unauthorized(ServiceError):
    """No API key, or none that we know."""

    status = 401
    title = "API key needed"

    def __init__(self, detail: str, is_invalid: bool = False) -> None:
        """``is_invalid``: a key was sent, and is not ours."""
        super().__init__(detail)
        self._challenge = 'Bearer realm="Stylize"' + (', error="invalid_token"' if is_invalid else "")

    @property
    def headers(self) -> dict[str, str]:
        """How to ask (RFC 6750, section 3)."""
        return {"WWW-Authenticate": self._challenge}


class NotFound(ServiceError):
    """No such style, model or job."""

    status = 404
    title = "Not found"


class NotAcceptable(ServiceError):
    """``Accept`` allows none of the formats that we write."""

    status = 406
    title = "No acceptable format"


class Conflict(ServiceError):
    """The thing is there, but in a state that does not allow this."""

    status = 409
    title = "Conflict"


class BeingAnswered(Conflict):
    """The same request was sent before, and has no answer yet."""

    def __init__(self, detail: str, retry_after_s: int) -> None:
        """``retry_after_s``: until its key is free, if the process that holds it has died."""
        super().__init__(detail)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """When to try again."""
        return {"Retry-After": str(self.retry_after_s)}


class Gone(ServiceError):
    """It was there, and was not kept."""

    status = 410
    title = "Gone"


class PayloadTooLarge(ServiceError):
    """More bytes than the limit."""

    status = 413
    title = "Too many bytes"


class UnsupportedImage(ServiceError):
    """Bytes that are no image of a format we read."""

    status = 415
    title = "Unsupported image type"


class InvalidField(ServiceError):
    """A value, or the pixels of an image, that cannot be used."""

    status = 422
    title = "Invalid value"


class TooManyRequests(ServiceError):
    """As many requests of this client run as one client may have at once."""

    status = 429
    title = "Too many requests"
    retry_after_s: ClassVar[int] = 1

    @property
    def headers(self) -> dict[str, str]:
        """When to try again: one of them has probably ended by then."""
        return {"Retry-After": str(self.retry_after_s)}


class ClientLeft(ServiceError):
    """The client closed its connection; the answer goes nowhere."""

    status = 499
    title = "Client left"


class JobFailed(ServiceError):
    """The work failed for a reason that is ours, or the image's, but not nameable to the client."""

    status = 500
    title = "Processing failed"


class Unavailable(ServiceError):
    """Not now. ``retry_after_s`` is our guess of when."""

    status = 503
    title = "Service unavailable"

    def __init__(self, detail: str, retry_after_s: int = 2) -> None:
        """An error that passes: try again after ``retry_after_s`` seconds."""
        super().__init__(detail)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """When to try again."""
        return {"Retry-After": str(self.retry_after_s)}


class QueueFull(Unavailable):
    """Backpressure: as many jobs wait as are allowed to."""

    title = "Queue full"


class NoWorker(Unavailable):
    """No worker has given a sign of life."""

    title = "No worker"


class TooManyListeners(Unavailable):
    """As many clients listen to events as one process allows."""

    title = "Too many listeners"


class ModelUnavailable(Unavailable):
    """A network, or a style of it, that is listed but cannot be used: its checkpoint is damaged, or just changed."""

    title = "Network unavailable"

    def __init__(self, detail: str, field: str | None = None) -> None:
        """An error that ends when the checkpoint is mended; ``GET /models`` shows whether it is."""
        super().__init__(detail, retry_after_s=5)
        self.field = field


class QueueUnreachable(Unavailable):
    """Redis does not answer, or has no memory left."""

    title = "Queue unreachable"


class DeadlinePassed(ServiceError):
    """The job was not done in time, and will not be."""

    status = 504
    title = "Deadline passed"


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
    """The error that a worker sent; one it may not send becomes a ``JobFailed``."""
    error = _BY_NAME.get(fields["error"], JobFailed)(fields["detail"])
    error.field = fields["field"]
    return error
