"""``Connection``: uvicorn's HTTP/1.1 (httptools) with limits on what a client can make the process keep.

- An offer to upgrade (``h2c`` of Java's HttpClient and ``curl --http2``, ``websocket``) is not taken; the request is
  handled as HTTP/1.1 (RFC 9110, section 7.8). The parser would drop its body, so it sees the request without the offer.
- HTTP/1.0 gets no chunks: where a response has no length, the connection's end is its end.
- Headers are limited in size and time, a request has one ``Host``, and a response that is not read is given up.
- The number of connections is limited; one more closes the one that was idle for longest.
"""

import logging
import resource
from http import HTTPStatus
from time import monotonic
from typing import Any
from uuid import uuid4

import httptools
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.http.responses.problems import plain_problem_response
from service.settings import HttpSettings

MAX_HEADER_BYTES = 2**16
"""Limit of a header, and of what stands between the pieces of a body: chunk extensions and trailers."""

MAX_DESCRIPTORS = 65_536
OTHER_DESCRIPTORS = 128
"""Descriptors of the process besides its clients' connections."""

OFFER = frozenset({b"connection", b"upgrade", b"http2-settings"})
"""Header fields of an offer to upgrade."""

log = logging.getLogger(__name__)


class Connection(HttpToolsProtocol):
    """A client's connection."""

    settings: HttpSettings
    max_connections: int
    """Limit of the process; ``connection_class`` sets both attributes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._waits_for_header_since: float | None = None
        self._last_active = monotonic()
        self._header_bytes = 0
        self._in_header = False
        self._silent_bytes = 0
        self._offered = False
        self._refusal: tuple[HTTPStatus, str] | None = None
        self._sent_at = monotonic()
        self._running: RequestResponseCycle | None = None

    @property
    def is_idle(self) -> bool:
        """Tell whether no request is being handled."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: Any) -> None:
        """Take a connection; when there are too many, end one that is idle, or this one."""
        if len(self.connections) >= self.max_connections:
            idle = [one for one in self.connections if isinstance(one, Connection) and one.is_idle]
            if not idle:
                log.warning(
                    "refused a connection: as many as are allowed are busy", extra={"most": self.max_connections}
                )
                self.transport = transport
                transport.abort()
                return
            longest = min(idle, key=lambda one: one._last_active)
            self.connections.discard(longest)
            longest.transport.abort()
        super().connection_made(transport)
        self._waits_for_header_since = self._last_active = monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let what is still running know: ``cycle`` is that of the last request, which may wait behind it."""
        if self._running is not None:
            self._running.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes."""
        if self.transport is None or self.transport.is_closing():
            return
        self._last_active = monotonic()
        if self.is_idle and self._waits_for_header_since is None:
            self._waits_for_header_since = self._last_active
        self._silent_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(*(self._refusal or (HTTPStatus.BAD_REQUEST, "this is no valid HTTP/1.1 request")))
            return
        if self._silent_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(*_too_long())

    def _feed(self, data: bytes) -> None:
        """Parse received bytes; each request that offers an upgrade is parsed again without the offer."""
        while True:
            try:
                return self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as stop:
                if not self._offered:  # CONNECT, which is answered as any unknown method
                    return
                data = self._without_offer() + data[stop.args[0] :]

    def _without_offer(self) -> bytes:
        """Return the header that was just parsed, without the offer, and prepare a parser for it."""
        self._offered = False
        headers = [(name, value) for name, value in self.headers if name not in OFFER]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            headers.append((b"connection", b"close"))
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return line + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n"

    def on_message_begin(self) -> None:
        """Called by the parser at a request's first byte."""
        super().on_message_begin()
        self._in_header, self._header_bytes = True, 0

    def on_url(self, url: bytes) -> None:
        """Called by the parser with a piece of the target."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser with a field of the header, or of the trailer, which is ignored."""
        self._count(len(name) + len(value) + 4)
        if self._in_header:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Called by the parser at a header's end."""
        self._in_header, self._silent_bytes = False, 0
        if self.parser.should_upgrade() and any(name == b"upgrade" for name, _ in self.headers):
            self._offered = True
            return
        self._waits_for_header_since = None
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._refusal = HTTPStatus.BAD_REQUEST, f"got {hosts} Host header fields: send exactly one"
            raise ValueError("Host")
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """Called by the parser at the beginning of a chunk."""
        self._silent_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Called by the parser with a piece of a body."""
        self._silent_bytes = self._header_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser at a request's end."""
        self._silent_bytes = 0
        if not self._offered:
            super().on_message_complete()

    def resume_writing(self) -> None:
        """Called by the transport when most of what was written has been sent."""
        self._sent_at = monotonic()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Called when a response was handed to the transport."""
        self._last_active = monotonic()
        super().on_response_complete()

    def watch(self, now: float) -> None:
        """Close the connection if its client makes it wait for too long; called about every second."""
        if self.transport is None or (self.transport.is_closing() and not self.transport.get_write_buffer_size()):
            return
        unsent_bytes = self.transport.get_write_buffer_size()
        if not unsent_bytes:
            self._sent_at = now
        if now - self._sent_at > self.settings.unread_s:
            log.info("gave up a response that its client does not read", extra={"unsent_bytes": unsent_bytes})
            self.transport.abort()
        elif self._waits_for_header_since is not None and self.is_idle:
            if now - self._waits_for_header_since <= self.settings.header_within_s or self.transport.is_closing():
                return
            if self._in_header:
                detail = f"the header was not whole after {self.settings.header_within_s:g} s: send it at once"
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, detail)
            else:
                self.transport.close()

    def _count(self, length: int) -> None:
        self._header_bytes += length
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refusal = _too_long()
            raise ValueError("header")

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Respond to an incomplete or malformed request, and close the connection."""
        log.info("refused what is no request", extra={"status": int(status), "detail": detail})
        if self.is_idle or not self.cycle.response_started:
            response = plain_problem_response(status, status.phrase, detail, uuid4().hex)
            lines = [b"HTTP/1.1 %d %b" % (status, status.phrase.encode())]
            lines += [b"%b: %b" % header for header in (*self.server_state.default_headers, *response.raw_headers)]
            self.transport.write(b"\r\n".join([*lines, b"connection: close", b"", bytes(response.body)]))
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, _without_chunks(cycle, app) if cycle.scope["http_version"] == "1.0" else app)


def connection_class(settings: HttpSettings) -> type[Connection]:
    """Return the class of a process's connections, and let the process have as many descriptors as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    room = MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else max(1, soft - OTHER_DESCRIPTORS)
    limits = {"settings": settings, "max_connections": min(settings.max_connections, room)}
    return type("Connection", (Connection,), limits)


def _too_long() -> tuple[HTTPStatus, str]:
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    return status, f"got more than {MAX_HEADER_BYTES} bytes of header or trailer: send fewer and shorter fields"


def _without_chunks(cycle: RequestResponseCycle, app: ASGI3Application) -> ASGI3Application:
    """Wrap ``app`` for a client that knows no chunks: a response without a length ends with the connection."""
    has_length = True

    async def handle(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        async def send_whole(message: ASGISendEvent) -> None:
            nonlocal has_length
            if message["type"] == "http.response.start":
                has_length = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
                if not has_length:
                    cycle.chunked_encoding = False
            elif message["type"] == "http.response.body" and not has_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_whole)

    return handle
