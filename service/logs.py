"""Logging: one line per event, as JSON for machines or text for people, with the request's id where there is one."""

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
    """Log lines within carry this request's id."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


def current_request_id() -> str:
    """Of the request that this code runs for."""
    return _request_id.get()


class JsonFormatter(logging.Formatter):
    """A JSON object per line; ``extra`` fields of the call become fields of the object."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
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
    """For people: time, level, message, then ``extra`` fields as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, and its traceback below, if it has one."""
        extra = "".join(f" {name}={_on_one_line(value)}" for name, value in _extra(record).items())
        return f"{super().format(record)}{extra}"


def _on_one_line(value: object) -> str:
    """A value as it is, unless it would move the cursor: a path that a client chose could forge a line of its own."""
    text = str(value)
    return text if text.isprintable() else repr(text)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    request_id = _request_id.get()
    return {"request_id": request_id, **extra} if request_id else extra


def set_up_logging(settings: CommonSettings) -> None:
    """Send all logs of this process to stderr, uvicorn's too."""
    handler = logging.StreamHandler(sys.stderr)
    text = TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else text)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
