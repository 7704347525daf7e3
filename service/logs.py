"""Logging: a line per event, as JSON for machines or text for people, with the request's id where there is one."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from service.settings import CommonSettings

_request_id: ContextVar[str] = ContextVar("request_id", default="")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


@contextmanager
def request_context(request_id: str) -> Iterator[None]:
    """Add this request's id to log lines."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


def current_request_id() -> str:
    """Id of the request that this code runs for; empty outside of requests."""
    return _request_id.get()


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object; ``extra`` fields of the call become fields of the object."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


class TextFormatter(logging.Formatter):
    """Formats a record for people: time, level, message, then ``extra`` fields as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line, with its traceback below, if it has one."""
        extra = "".join(f" {name}={_on_one_line(value)}" for name, value in _extra(record).items())
        return f"{super().format(record)}{extra}"


def _on_one_line(value: object) -> str:
    """Escape a value that would move the cursor: a path that a client chose could forge a log line."""
    text = str(value)
    return text if text.isprintable() else repr(text)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    request_id = _request_id.get()
    return {"request_id": request_id, **extra} if request_id else extra


def set_up_logging(settings: CommonSettings) -> None:
    """Send all logs of this process to stderr, those of uvicorn too."""
    handler = logging.StreamHandler(sys.stderr)
    text = TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else text)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
