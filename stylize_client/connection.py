"""Settings, requests, responses and errors of httpx, for both clients."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from stylize_client.calls import Call, Response
from stylize_client.environment import environment_options
from stylize_client.errors import Unreachable

BASE_URL = "http://127.0.0.1:8000"
TIMEOUT_S = 90.0
"""Timeout of a response: longer than the service's own deadline for a request."""

CONNECT_TIMEOUT_S = 10.0

VALID_API_KEY = re.compile(r"[\x21-\x7e]+")


def client_settings(base_url: str, api_key: str | None, timeout_s: float) -> dict[str, Any]:
    """Return the arguments of an httpx client.

    Raises:
        ValueError: ``base_url`` is not the address of a server, a header cannot hold ``api_key``, or the environment
            names a proxy or certificates that cannot be used.
    """
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as err:
        raise ValueError(f"got {base_url!r} as the service's address: {err}") from err
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"got {base_url!r} as the service's address: it should look like {BASE_URL}")
    if api_key and (not isinstance(api_key, str) or not VALID_API_KEY.fullmatch(api_key)):
        raise ValueError(
            "the api_key is not valid: a string of printable ASCII without spaces is allowed"
        )  # without its text, which is secret
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return {
        "base_url": url,
        "headers": headers,
        "timeout": httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
        **environment_options(url),
    }


def arguments(call: Call) -> dict[str, Any]:
    """Return the arguments of httpx' ``request`` and ``stream``."""
    return {
        "method": call.method,
        "url": call.path,
        "headers": dict(call.headers),
        "data": call.data,
        "files": call.files,
    }


def response_of(response: httpx.Response, body: bytes) -> Response:
    """Convert a response; its headers' names become lower case."""
    return Response(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


@contextmanager
def httpx_errors(url: httpx.URL) -> Iterator[None]:
    """Convert errors of httpx.

    Raises:
        Unreachable: No response came.
        ValueError: The request cannot be sent at all.
    """
    try:
        yield
    except httpx.LocalProtocolError as err:
        raise ValueError(f"this request is not allowed by HTTP: {err}") from err
    except httpx.RequestError as err:
        reason = str(err) or type(err).__name__
        raise Unreachable(f"no response from {url}: {reason}") from err
