"""Whether a multipart body is whole: the parser takes one that stops within a part, and drops that part silently."""

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers


class FormEnd:
    """Looks for the closing delimiter in bytes that come piece by piece; anything may follow it (RFC 2046, 5.1.1)."""

    def __init__(self, headers: Headers) -> None:
        """Other bodies than forms with a boundary have no such end, and count as whole."""
        kind, options = parse_options_header(headers.get("content-type", "").encode("latin-1"))
        boundary = options.get(b"boundary")
        self.is_missing = kind == b"multipart/form-data" and boundary is not None
        self._delimiter = b"\r\n--" + (boundary or b"") + b"--"
        self._tail = b"\r\n"  # the first delimiter needs no line break before it

    def see(self, data: bytes) -> None:
        """The next piece."""
        if self.is_missing:
            seen = self._tail + data
            self.is_missing = self._delimiter not in seen
            self._tail = seen[1 - len(self._delimiter) :]
