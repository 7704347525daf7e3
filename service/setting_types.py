"""Types of settings: how the text of a variable becomes a value, and what is said of one that is not allowed."""

import logging
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from service.api_keys import ApiKey, parse_keys

DEFAULT_PORT = 8000
LINK = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
ORIGIN = re.compile(r"https?://[^/\s?#@]+|\*", re.IGNORECASE)
HOST_NAME = re.compile(r"[\w.-]+|\*")

log = logging.getLogger(__name__)


def _port(value: Any) -> Any:
    """Kubernetes sets ``STYLIZE_PORT=tcp://…`` in every pod beside a service of the name ``stylize``."""
    if not isinstance(value, str) or not LINK.fullmatch(value):
        return value
    log.warning("STYLIZE_PORT=%s is Kubernetes' link to a service and no port of ours: using %d", value, DEFAULT_PORT)
    return DEFAULT_PORT


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as err:
        raise ValueError(f"{err}: write the whole path") from err


def _keys(value: Any) -> Any:
    return parse_keys(value) if isinstance(value, str) else value


def _origins(value: Any) -> Any:
    return _listed(value, ORIGIN, "no origin: scheme, host and port alone, like https://app.example")


def _hosts(value: Any) -> Any:
    return _listed(value, HOST_NAME, "no name of a host: without scheme and port, like app.example")


def _listed(value: Any, entry: re.Pattern[str], other: str) -> Any:
    if not isinstance(value, str):
        return value
    entries = [part.strip() for part in value.split(",") if part.strip()]
    for part in entries:
        if not entry.fullmatch(part):
            raise ValueError(f"{part!r} is {other}, or *")
    return tuple(part.lower() for part in entries)


Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65535), BeforeValidator(_port)]
Folder = Annotated[Path, AfterValidator(_expanded)]
ApiKeys = Annotated[tuple[ApiKey, ...], NoDecode, BeforeValidator(_keys)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_hosts)]
