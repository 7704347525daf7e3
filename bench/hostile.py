"""Requests made to be expensive, many at once: is ``/healthz`` answered meanwhile, and how much memory is taken?

Files of countless parts, bodies that together are larger than the memory, pictures of many pixels in few bytes, and
responses that are asked for and not read. The first row is the same service left alone.
"""

import asyncio
import contextlib
import re
import socket
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from urllib.parse import urlsplit

from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.pictures import photo
from bench.processes import child_pid, running, service_environment
from bench.remote import Remote
from model_store.catalog import read_catalog
from service.settings import Settings

SIZE_BYTES = 30 * 2**20
WIDE_PX = 8192
AT_ONCE = 40
ALONE_S = 2.0
POLL_EVERY_S = 0.01
TIMEOUT_S = 120.0
WANTED_MS = 250

BOUNDARY = b"d3adb33f"
FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}"


@dataclass(frozen=True)
class Attack:
    """Bodies of ``POST /stylize`` that are sent at once; or as many connections that read nothing."""

    name: str
    bodies: list[bytes] = field(default_factory=list)
    unread: int = 0


@dataclass(frozen=True)
class Endured:
    """An attack's outcome: statuses, waits for ``/healthz`` meanwhile, and the processes' peaks of resident memory."""

    name: str
    seconds: float
    statuses: Counter[str]
    waits_ms: Sequence[float]
    peaks_mb: dict[str, float]


def attacks(style_id: str, size_bytes: int, wide_px: int, at_once: int) -> list[Attack]:
    """Make the attacks; files are padded or repeated to ``size_bytes``."""
    jpeg, png = _saved(photo(300, 200), "JPEG"), _saved(photo(300, 200), "PNG")
    text = struct.pack(">I", 0) + b"tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))
    small = _saved(Image.new("RGB", (wide_px, wide_px), "teal"), "WEBP", lossless=True, quality=0, method=0)
    files = {
        "JPEG of empty segments": jpeg[:2] + b"\xff\xe5\0\2" * (size_bytes // 4) + jpeg[2:],
        "JPEG of fill bytes": jpeg[:2] + b"\xff" * size_bytes + jpeg[2:],
        "PNG of empty chunks": png[:33] + text * (size_bytes // 12) + png[33:],
        f"{wide_px}² px of {len(small)} B": small,
        f"photos of {size_bytes >> 20} MB": jpeg.ljust(size_bytes, b"\0"),
    }
    forms = {name: _form(file, style_id) for name, file in files.items()}
    *walks, pixels, photos = [Attack(name, [form]) for name, form in forms.items()]
    return [
        *walks,
        Attack(f"8 × {pixels.name}", pixels.bodies * 8),
        Attack(f"{at_once} × {photos.name}", photos.bodies * at_once),
        Attack(f"{at_once} do not read", unread=at_once),
    ]


def measure_hostile(
    settings: Settings,
    folder: Path,
    size_bytes: int = SIZE_BYTES,
    wide_px: int = WIDE_PX,
    at_once: int = AT_ONCE,
    alone_s: float = ALONE_S,
    say: Callable[[str], None] = lambda _text: None,
) -> list[Endured]:
    """Attack a running service in each way, and look at it meanwhile, for ``alone_s`` at least.

    Raises:
        StartError: The service did not become ready.
    """
    catalog = read_catalog(folder)
    endured = []
    with (
        running("serve", "/readyz?worker=1", service_environment(settings, folder)) as server,
        Remote(Attackers) as attackers,
    ):
        pids = {name: pid for name in ("api", "worker") if (pid := child_pid(server.pid, name)) is not None}
        for attack in [Attack("nothing"), *attacks(catalog.styles[0].id, size_bytes, wide_px, at_once)]:
            endured.append(_endure(urlsplit(server.url).netloc, attack, attackers, pids, alone_s))
            say(f"hostile: {attack.name}: /healthz {max(endured[-1].waits_ms):.0f} ms at most")
    return endured


def _endure(host: str, attack: Attack, attackers: Remote, pids: dict[str, int], alone_s: float) -> Endured:
    for pid in pids.values():
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
    waits_ms: list[float] = []
    with ThreadPoolExecutor(1) as pool, contextlib.ExitStack() as stack:
        for _ in range(attack.unread):
            stack.enter_context(_asking(host))
        started = perf_counter()
        answers = pool.submit(attackers.call, "post", host, attack.bodies)
        client = HTTPConnection(host, timeout=TIMEOUT_S)
        while not answers.done() or perf_counter() - started < alone_s:
            began = perf_counter()
            client.request("GET", "/healthz")
            client.getresponse().read()
            waits_ms.append((perf_counter() - began) * 1000)
            sleep(POLL_EVERY_S)
        client.close()
        statuses = Counter(answers.result())
    peaks_mb = {name: _peak_bytes(pid) / 1e6 for name, pid in pids.items()}
    return Endured(attack.name, perf_counter() - started, statuses, waits_ms, peaks_mb)


class Attackers:
    """Clients in a process of their own, and in one thread: they take no more than one processor from the service."""

    def post(self, host: str, bodies: list[bytes]) -> list[str]:
        """Send all forms at once, and return the statuses, or else names of errors."""

        async def all_at_once() -> list[str]:
            return await asyncio.gather(*(_post(host, body) for body in bodies))

        return asyncio.run(all_at_once())


async def _post(host: str, body: bytes) -> str:
    name, _, port = host.partition(":")
    head = f"POST /stylize HTTP/1.1\r\nHost: {host}\r\n{FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(name, int(port))
            writer.write(head.encode())
            writer.write(body)
            answer = await reader.readline()  # it may come while the body is being sent
            writer.close()
            return answer.split()[1].decode()
    except (OSError, IndexError) as err:
        return type(err).__name__


def _asking(host: str) -> socket.socket:
    """Ask for some megabytes, and do not read them."""
    client = HTTPConnection(host, timeout=TIMEOUT_S)
    client.request("GET", "/docs")
    script = re.search(r"docs/[^\"]*swagger-ui-bundle.js", client.getresponse().read().decode())
    client.close()
    path = "openapi.json" if script is None else script[0]
    name, _, port = host.partition(":")
    connection = socket.create_connection((name, int(port)), timeout=TIMEOUT_S)
    connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() * 8)
    return connection


def _peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _form(content: bytes, style_id: str) -> bytes:
    parts = [
        (b'name="style_id"', style_id.encode()),
        (b'name="size"', b"64"),
        (b'name="content"; filename="a"', content),
    ]
    lines = [
        b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (BOUNDARY, name, data) for name, data in parts
    ]
    return b"".join([*lines, b"--%b--\r\n" % BOUNDARY])


def _saved(image: Image.Image, format: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def print_hostile(endured: Sequence[Endured], console: Console) -> None:
    """Print a row for each attack."""
    table = Table(title="Requests made to be expensive", title_justify="left")
    table.add_column("attack")
    for column in ("s", "answers", "healthz, ms", "longest", *(f"{name}, MB" for name in endured[0].peaks_mb)):
        table.add_column(column, justify="right")
    for one in endured:
        answers = ", ".join(f"{count} × {status}" for status, count in sorted(one.statuses.items()))
        waits = (f"{median(one.waits_ms):.1f}", f"{max(one.waits_ms):.0f}")
        table.add_row(one.name, f"{one.seconds:.1f}", answers, *waits, *(f"{mb:.0f}" for mb in one.peaks_mb.values()))
    console.print(table)
    longest = max(max(one.waits_ms) for one in endured)
    console.print(f"/healthz wanted ≤ {WANTED_MS} ms: {'met' if longest <= WANTED_MS else 'missed'}", highlight=False)
