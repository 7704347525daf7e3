"""A connection on which a test may send what no HTTP client would."""

import http.client
import io
import socket
from dataclasses import dataclass

PART = b'--b\r\nContent-Disposition: form-data; name="content"; filename="a.jpg"\r\n\r\n'
MULTIPART = "Content-Type: multipart/form-data; boundary=b"


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Answers(io.BufferedReader):
    """Bytes that come from a service: it outlives an answer, since it may hold the begin of the next one."""

    def makefile(self, _mode: str) -> "Answers":
        """Be the socket that ``HTTPResponse`` asks for its file."""
        return self

    def close(self) -> None:
        """Do nothing: each answer closes its file."""

    def end(self) -> None:
        super().close()


class Connection:
    """To a running service; use as a context."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self.host = f"{host}:{port}"
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self._answers = Answers(self.socket.makefile("rb", buffering=0))

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.end()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, line: str, *headers: str, body: bytes = b"") -> None:
        """The request line and the header, and as much of a body as there is."""
        self.send("\r\n".join([f"{line} HTTP/1.1", f"Host: {self.host}", *headers, "", ""]).encode("latin-1") + body)

    def answer(self, method: str = "GET") -> Answer:
        """The next answer, with as much of a body as its header says."""
        response = http.client.HTTPResponse(self._answers, method=method)
        response.begin()
        return Answer(response.status, response.headers, response.read())

    def is_closed(self) -> bool:
        """Whether the other end closes within the time limit of the connection."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
