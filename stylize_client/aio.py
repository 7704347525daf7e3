"""``AsyncClient``: what ``Client`` is, for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from stylize_client import calls
from stylize_client.calls import Answer, Call, ImageSource, JobOptions, Operation, PictureOptions, StyleFacts
from stylize_client.connection import BASE_URL, TIMEOUT_S, answer_of, arguments, settings, translated
from stylize_client.errors import Unreachable
from stylize_client.events import Listening
from stylize_client.retries import NO_RETRIES, Flow, Retries, ended, outcome, problem_of
from stylize_client.values import Event, JobStatus, Model, Picture, Readiness, Style

T = TypeVar("T")


class AsyncClient:
    """A running service. Many requests may run at once; ``aclose`` it, or use it in an ``async with`` statement."""

    def __init__(
        self,
        base_url: str = BASE_URL,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
    ) -> None:
        """As ``Client``."""
        self._http = httpx.AsyncClient(**settings(base_url, api_key, timeout_s))
        self._retries = retries or Retries()

    async def stylize(self, content: ImageSource, **options: Unpack[PictureOptions]) -> Picture:
        """Paint a photo, and wait for the picture."""
        return await self._do(calls.stylize(content, options))

    async def submit(self, content: ImageSource, **options: Unpack[JobOptions]) -> "AsyncJob":
        """Have a photo painted as a job, and do not wait; ``method="gatys"`` takes minutes and is a job always."""
        return AsyncJob(self, await self._do(calls.submit(content, options)))

    async def job(self, job_id: str) -> "AsyncJob":
        """A job that was submitted before."""
        return AsyncJob(self, await self._do(calls.job(job_id)))

    async def styles(self, kind: str | None = None, model: str | None = None) -> AsyncIterator[Style]:
        """All styles that have an id, of one kind or for one network if so wished; pages are fetched when needed."""
        path: str | None = calls.styles_path(kind, model)
        while path is not None:
            page, path = await self._do(calls.style_page(path))
            for style in page:
                yield style

    async def style(self, style_id: str) -> Style:
        """One style."""
        return await self._do(calls.style(style_id))

    async def style_image(self, style_id: str) -> bytes:
        """The painting that a style was made from, as ``Client.style_image``."""
        return await self._do(calls.style_image(style_id))

    async def register_style(self, image: ImageSource, title: str, **facts: Unpack[StyleFacts]) -> Style:
        """Keep a painting as a style with an id."""
        return await self._do(calls.register_style(image, title, facts))

    async def delete_style(self, style_id: str) -> None:
        """Forget a registered style."""
        await self._do(calls.delete_style(style_id))

    async def models(self) -> list[Model]:
        """All networks."""
        return await self._do(calls.models())

    async def ready(self) -> Readiness:
        """Whether requests will be answered; asked once."""
        return await self._run(outcome(calls.ready(), NO_RETRIES))

    async def metrics(self) -> str:
        """What the service counts, in Prometheus' text format; asked once."""
        return await self._run(outcome(calls.metrics(), NO_RETRIES))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.aclose()

    async def _do(self, operation: Operation[T]) -> T:
        return await self._run(outcome(operation, self._retries))

    async def _run(self, flow: Flow[T]) -> T:
        """Send what a flow asks for, when it asks for it, until it returns."""
        try:
            attempt = next(flow)
            while True:
                await asyncio.sleep(attempt.after_s)
                try:
                    answer = await self._send(attempt.call)
                except Unreachable as err:
                    attempt = flow.throw(err)
                else:
                    attempt = flow.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _send(self, call: Call) -> Answer:
        with translated(self._http.base_url):
            response = await self._http.request(**arguments(call))
        return answer_of(response, response.content)

    @asynccontextmanager
    async def _stream(self, call: Call) -> AsyncIterator[httpx.Response]:
        with translated(self._http.base_url):
            async with self._http.stream(**arguments(call)) as response:
                yield response


class AsyncJob:
    """A job of the service; ``status`` is what was last heard of it."""

    def __init__(self, client: AsyncClient, status: JobStatus) -> None:
        """``client`` will ask about it."""
        self._client = client
        self.id = status.id
        self.status = status

    async def refresh(self) -> JobStatus:
        """How it is doing now."""
        self.status = await self._client._do(calls.job(self.id))
        return self.status

    async def wait(
        self, timeout_s: float | None = None, on_progress: Callable[[JobStatus], None] | None = None
    ) -> JobStatus:
        """Until it has ended, as ``Job.wait``."""
        self.status = await self._client._run(ended(self.id, self._client._retries, timeout_s, on_progress))
        return self.status

    async def events(self) -> AsyncIterator[Event]:
        """What happens to it, until it ends: its status, its progress and its picture so far, as they change."""
        listening = Listening(self.id, self._client._retries)
        while not listening.is_over:
            await asyncio.sleep(listening.pause_s)
            try:
                async with self._client._stream(listening.call) as response:
                    if response.status_code != 200:
                        listening.refused(answer_of(response, await response.aread()))
                        continue
                    async for line in response.aiter_lines():
                        if (event := listening.take(line)) is not None:
                            self.status = event if isinstance(event, JobStatus) else self.status
                            yield event
                    listening.end()
            except Unreachable as err:
                listening.lost(err)

    async def result(self) -> Picture:
        """Its picture, once it has succeeded, as ``Job.result``."""
        if (problem := problem_of(await self.refresh())) is not None:
            raise problem
        return await self._client._do(calls.job_result(self.id))

    async def preview(self) -> bytes | None:
        """The picture so far as a small JPEG file, while a long job runs."""
        return await self._client._do(calls.job_preview(self.id))

    async def cancel(self) -> None:
        """End it."""
        await self._client._do(calls.cancel_job(self.id))
