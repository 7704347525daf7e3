"""``BodyLimit``: limits the size and the pauses of bodies, and closes the connection of a request that was not read.

A body that is too long gets 413 as soon as that is known: by its header, or while it arrives. One that stops arriving
gets 408, so that no client occupies a connection with a header alone. These and any other response that comes before
the body's end, such as 401, have ``Connection: close``: otherwise the rest of the body, however long, would have to be
read to find where the next request begins.

The close waits a little. If a server closes while bytes arrive, TCP resets the connection, and a client that is still
sending may lose the response. So the response is sent, then the rest of the body is read and discarded until the client
closes or ``LINGER_S`` is over; only then is the connection closed.

A form that ends before its closing delimiter gets 400: the parser would silently drop its last part.

All bodies that a process holds share a ``Budget``: one that does not fit in gets 503 before it is read. It counts until
its request is answered, since a job's files are kept so long. A response counts, too, and is sent in pieces, each when
the client has read most of those before.
"""

import asyncio
import contextlib
from time import monotonic

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import NoRoom

LINGER_S = 2.0

PIECE_BYTES = 2**16
"""A response is sent in pieces of so many bytes."""

LEAST_BYTES_PER_S = 1000
LONGEST_PAUSES = 4
"""A body must come so fast once it has taken so many times as long as its longest pause may be."""


class EndsEarly(HTTPException):
    """400, as the type that FastAPI's parsing of a body lets pass."""

    def __init__(self) -> None:
        """Make the error with its public text."""
        super().__init__(
            400,
            "the body ends early, before its last boundary: send multipart/form-data, with the boundary that its header"
            " names, to the end",
        )


class Budget:
    """Bytes of bodies and responses that one process holds, and the most that it may hold."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.held_bytes = 0

    def refusal(self, count: int) -> NoRoom | None:
        """Refuse more than half of the room that is left, so that small bodies find some; the first is not refused."""
        if not self.held_bytes or 2 * count <= self._most_bytes - self.held_bytes:
            return None
        return NoRoom(f"other requests hold {self.held_bytes} bytes, {count} more are too many: try again later")


class BodyLimit:
    """Stops reading bodies that are too long or do not arrive, and closes connections whose body was not read."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, idle_s: float, most_bytes: int) -> None:
        """Wrap ``app``; ``idle_s`` is the longest pause within a body, ``most_bytes`` is for all bodies together."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._idle_s = idle_s
        self._budget = Budget(most_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(Headers(scope=scope), self._max_body_bytes, self._idle_s, self._budget, receive, send)
        is_read = scope["method"] not in ("GET", "HEAD")  # else who receives waits for the client to leave
        try:
            await self._app(scope, body.receive if is_read else receive, body.send)
        finally:
            self._budget.held_bytes -= body.counted_bytes
            await body.finish()


class _Body:
    """A request's body, and its response."""

    def __init__(
        self, headers: Headers, max_bytes: int, idle_s: float, budget: Budget, receive: Receive, send: Send
    ) -> None:
        declared = headers.get("content-length", "0")
        self._declared_bytes = int(declared) if declared.isdecimal() else 0
        self._has_ended = self._declared_bytes == 0 and "transfer-encoding" not in headers
        self._end = FormEnd(headers)
        self._ends_early = False
        self._received_bytes = 0
        self._waited_s = 0.0
        self._max_bytes = max_bytes
        self._idle_s = idle_s
        self._budget = budget
        self.counted_bytes = 0
        self._receive = receive
        self._send = send
        self._closes = False
        self._is_answered = False

    async def receive(self) -> Message:
        """Receive a part of the body.

        Raises:
            HTTPException: 400, 408, 413, 503, or 499 if the client left before the body's end; FastAPI's parsing of a
                body lets this type pass.
        """
        if self._ends_early:
            self._ends_early = False
            raise EndsEarly
        if self._has_ended:
            return await self._receive()  # a disconnect
        if self._declared_bytes > self._max_bytes:
            raise self._too_long(f"{self._declared_bytes} bytes")
        if not self.counted_bytes:
            count = self._declared_bytes or self._max_bytes
            if (refusal := self._budget.refusal(count)) is not None:
                raise HTTPException(refusal.status, refusal.detail, refusal.headers)
            self._count(count)
        started = monotonic()
        try:
            async with asyncio.timeout(self._idle_s):
                message = await self._receive()
        except TimeoutError as err:
            detail = f"no byte of the body came for {self._idle_s:g} s, after {self._received_bytes}: send it again"
            raise HTTPException(408, detail) from err
        if message["type"] == "http.disconnect":
            raise HTTPException(499, "the client closed its connection within the body")
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > self._max_bytes:
            raise self._too_long(f"more than {self._max_bytes} bytes")
        self._waited_s += monotonic() - started
        self._check_rate()
        self._end.see(message.get("body", b""))
        if not message.get("more_body", False):
            self._has_ended = True
            self._count(self._received_bytes - self.counted_bytes)
            self._ends_early = message["more_body"] = self._end.is_missing
        return message

    def _check_rate(self) -> None:
        if self._waited_s > LONGEST_PAUSES * self._idle_s and self._received_bytes < LEAST_BYTES_PER_S * self._waited_s:
            raise HTTPException(
                408,
                f"the body came at less than {LEAST_BYTES_PER_S} bytes a second, {self._received_bytes} in"
                f" {self._waited_s:.0f} s: send it faster",
            )

    async def send(self, message: Message) -> None:
        """Send a part of the response, but not its end if the connection is to be closed.

        Raises:
            NoRoom: The request had no body, and its response is too long at the moment.
        """
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if (length := int(headers.get("content-length", "0"))) > PIECE_BYTES:
                refusal = self._budget.refusal(length)
                if refusal is not None and not self._received_bytes:
                    raise refusal
                self._count(length)
            if not self._has_ended:
                self._closes = True
                headers["Connection"] = "close"
        if self._closes and message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_answered = True
            message["more_body"] = True  # the server closes after the last message, which ``finish`` sends
        body = message.get("body", b"")
        last = (len(body) - 1) // PIECE_BYTES * PIECE_BYTES
        for at in range(0, last, PIECE_BYTES):
            await self._send({"type": message["type"], "body": body[at : at + PIECE_BYTES], "more_body": True})
        await self._send({**message, "body": body[last:]} if body else message)

    def _count(self, more: int) -> None:
        self._budget.held_bytes += more
        self.counted_bytes += more

    async def finish(self) -> None:
        """Discard the rest of the body, and close the connection, if the response asked for it."""
        if not self._is_answered:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while (await self._receive()).get("more_body", False):
                    pass
        await self._send({"type": "http.response.body"})

    def _too_long(self, got: str) -> HTTPException:
        detail = f"the request has {got}, at most {self._max_bytes} bytes are allowed: send smaller images"
        return HTTPException(413, detail)


class FormEnd:
    """Searches a form's bytes, as they arrive, for the closing delimiter; anything may follow it (RFC 2046, 5.1.1)."""

    def __init__(self, headers: Headers) -> None:
        """Read the boundary; bodies that are no forms have none, and count as whole."""
        kind, options = parse_options_header(headers.get("content-type", "").encode("latin-1"))
        boundary = options.get(b"boundary")
        self.is_missing = kind == b"multipart/form-data" and boundary is not None
        self._delimiter = b"\r\n--" + (boundary or b"") + b"--"
        self._tail = b"\r\n"  # the first delimiter needs no line break before it

    def see(self, data: bytes) -> None:
        """Search the next piece."""
        if self.is_missing:
            seen = self._tail + data
            self.is_missing = self._delimiter not in seen
            self._tail = seen[1 - len(self._delimiter) :]
