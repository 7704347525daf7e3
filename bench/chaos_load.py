"""Clients of the chaos benchmark: requests whose outputs are known, and a verdict on what becomes of each."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from time import monotonic
from uuid import uuid4

import httpx
from PIL import Image, ImageChops

from bench.load import LoadError
from bench.pictures import Ask, photo
from model_store.catalog import Catalog

KNOWN = 16
"""Different requests, each with a photo and a shape of its own."""

TOLERANCE = 2
"""Most by which a channel of an output may differ from the known one, of 255: batches round differently."""

KINDS = {"plain": 55, "keyed": 20, "job": 15, "leaver": 10}
"""Share of each kind among the requests, in per cent."""

REFUSED = (409, 429, 503)
PAUSE_S = 0.3


@dataclass(frozen=True)
class Known:
    """A request and its output, computed before anything was killed."""

    ask: Ask
    output: Image.Image

    def is_right(self, file: bytes) -> bool:
        """Compare an output with the known one."""
        output = Image.open(BytesIO(file)).convert("RGB")
        if output.size != self.output.size:
            return False
        difference = ImageChops.difference(output, self.output).getextrema()
        return max(high for _, high in difference) <= TOLERANCE  # type: ignore[misc]


@dataclass(frozen=True)
class Outcome:
    """End of a request.

    Attributes:
        verdict: ``right``, ``refused`` (503 and the like), ``late`` (504), ``left``, ``broken`` (a connection that its
            server did not outlive, of a request without a key), or what must not be: ``wrong``, ``double`` (a second
            output for a key), ``lost`` (accepted and forgotten), ``stuck`` (without an end in time), ``failed``.
    """

    kind: str
    verdict: str
    ended_s: float


def known_asks(catalog: Catalog) -> list[Ask]:
    """Requests of several small shapes and styles."""
    asks = []
    for index in range(KNOWN):
        width, height, file = 64 + 16 * (index % 4), 64, BytesIO()
        photo(2 * width, 2 * height, index).save(file, "PNG")
        style = catalog.styles[index % min(4, len(catalog.styles))].id
        asks.append(Ask(width, height, 1.0, file.getvalue(), style_id=style))
    return asks


class Clients:
    """Clients that send until they are told to stop; ``outcomes`` are those of all of them."""

    def __init__(self, url: str, patience_s: float) -> None:
        """``patience_s`` is the time in which every request must have an end."""
        self.outcomes: list[Outcome] = []
        self.known: list[Known] = []
        self._patience_s = patience_s
        self._began = monotonic()
        self._http = httpx.AsyncClient(
            base_url=url, timeout=patience_s, limits=httpx.Limits(max_connections=None), trust_env=False
        )

    async def learn(self, asks: Sequence[Ask]) -> None:
        """Have the outputs computed that are expected later."""
        for ask in asks:
            response = await self._post(ask)
            if response.status_code != 200:
                raise LoadError(f"got {response.status_code}: {response.text[:300]}")
            self.known.append(Known(ask, Image.open(BytesIO(response.content)).convert("RGB")))

    async def run(self, count: int, over: asyncio.Event) -> None:
        """Send with so many clients at once, until told to stop and every request has ended."""
        self._began = monotonic()
        await asyncio.gather(*(self._client(random.Random(number), over) for number in range(count)))
        await self._http.aclose()

    async def _client(self, dice: random.Random, over: asyncio.Event) -> None:
        serve = {"plain": self._plain, "keyed": self._keyed, "job": self._job, "leaver": self._leaver}
        while not over.is_set():
            (kind,) = dice.choices(list(KINDS), list(KINDS.values()))
            try:
                verdict = await serve[kind](dice.choice(self.known))
            except httpx.TimeoutException:
                verdict = "stuck"
            except httpx.TransportError:
                verdict = "broken"
            self.outcomes.append(Outcome(kind, verdict, monotonic() - self._began))
            if verdict in ("broken", "refused"):
                await asyncio.sleep(PAUSE_S)

    async def _plain(self, known: Known) -> str:
        return _verdict(known, await self._post(known.ask))

    async def _keyed(self, known: Known) -> str:
        """Send with a key until there is an output, then once more: the same bytes must come."""
        key, deadline = {"Idempotency-Key": uuid4().hex}, monotonic() + self._patience_s
        while (first := await self._answered(known, key)) is None:
            if monotonic() > deadline:
                return "lost"
            await asyncio.sleep(PAUSE_S)
        verdict = _verdict(known, first)
        if verdict == "right" and (second := await self._answered(known, key)) is not None:
            is_same = second.status_code == 200 and second.content == first.content
            return "right" if is_same else "double"
        return verdict

    async def _answered(self, known: Known, headers: dict[str, str]) -> httpx.Response | None:
        """Send once; ``None`` if it is to be sent again."""
        try:
            response = await self._post(known.ask, headers)
        except httpx.TransportError:
            return None
        return None if response.status_code in REFUSED else response

    async def _job(self, known: Known) -> str:
        """Send an asynchronous request, wait for its end, and fetch its output twice."""
        accepted = await self._post(known.ask, {"Prefer": "respond-async"})
        if accepted.status_code != 202:
            return _verdict(known, accepted)
        path, deadline = accepted.headers["Location"], monotonic() + self._patience_s
        while monotonic() < deadline:
            view = await self._get(path)
            if view is not None and view.status_code == 404:
                return "lost"
            state = view.json()["state"] if view is not None else ""
            if state == "succeeded":
                results = [await self._get(f"{path}/result") for _ in range(2)]
                verdicts = {_verdict(known, result) for result in results if result is not None}
                return "wrong" if "wrong" in verdicts else "right"
            if state in ("failed", "cancelled", "expired"):
                return "late" if state == "expired" else "failed"
            await asyncio.sleep(PAUSE_S)
        return "stuck"

    async def _leaver(self, known: Known) -> str:
        """Leave while the request is sent or waits."""
        try:
            async with asyncio.timeout(random.uniform(0, 0.2)):
                return _verdict(known, await self._post(known.ask))
        except TimeoutError:
            return "left"

    async def _get(self, path: str) -> httpx.Response | None:
        """Ask for a job; ``None`` if there is no response this time."""
        try:
            response = await self._http.get(path)
        except httpx.TransportError:
            return None
        return None if response.status_code == 503 else response

    async def _post(self, ask: Ask, headers: dict[str, str] | None = None) -> httpx.Response:
        data = {**ask.fields(), "format": "png"}
        return await self._http.post("/stylize", data=data, files=ask.files(), headers=headers)


def _verdict(known: Known, response: httpx.Response) -> str:
    if response.status_code == 200:
        return "right" if known.is_right(response.content) else "wrong"
    return "refused" if response.status_code in REFUSED else "late" if response.status_code == 504 else "failed"
