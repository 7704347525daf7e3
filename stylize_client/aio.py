"""``AsyncClient``: the service's Python client for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from stylize_client import calls
from stylize_client.calls import Call, Operation, Response
from stylize_client.connection import BASE_URL, TIMEOUT_S, arguments, client_settings, httpx_errors, response_of
from stylize_client.errors import Unreachable
from stylize_client.events import EventStream
from stylize_client.image_sources import ImageSource
from stylize_client.options import JobOptions, StyleFacts, StylizeOptions
from stylize_client.retries import NO_RETRIES, Flow, Retries, ended, outcome, problem_of
from stylize_client.values import Event, JobStatus, Model, Readiness, Style, StylizedImage

T = TypeVar("T")


class AsyncClient:
    """Like ``Client``. Many requests may run at once; ``aclose`` it, or use it in an ``async with`` statement."""

    def __init__(
        self,
        base_url: str = BASE_URL,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
    ) -> None:
        """Prepare the client, like ``Client``."""
        self._http = httpx.AsyncClient(**client_settings(base_url, api_key, timeout_s))
        self._retries = retries or Retries()

    async def stylize(self, content: ImageSource, **options: Unpack[StylizeOptions]) -> StylizedImage:
        """Stylize a content image, and wait for the output, like ``Client.stylize``."""
        return await self._do(calls.stylize(content, options))

    async def submit(self, content: ImageSource, **options: Unpack[JobOptions]) -> "AsyncJob":
        """Submit a job, without waiting for it; ``method="gatys"`` takes minutes and is always a job."""
        return AsyncJob(self, await self._do(calls.submit(content, options)))

    async def job(self, job_id: str) -> "AsyncJob":
        """Get a job that was submitted before."""
        return AsyncJob(self, await self._do(calls.job(job_id)))

    async def styles(self, kind: str | None = None, model: str | None = None) -> AsyncIterator[Style]:
        """Iterate over all styles with an id, or those of one kind or one network; pages are fetched when needed."""
        path: str | None = calls.styles_path(kind, model)
        while path is not None:
            page, path = await self._do(calls.style_page(path))
            for style in page:
                yield style

    async def style(self, style_id: str) -> Style:
        """Get one style."""
        return await self._do(calls.style(style_id))

    async def style_image(self, style_id: str) -> bytes:
        """Get the image that a style was made from, like ``Client.style_image``."""
        return await self._do(calls.style_image(style_id))

    async def register_style(self, image: ImageSource, title: str, **facts: Unpack[StyleFacts]) -> Style:
        """Register an image as a style with an id."""
        return await self._do(calls.register_style(image, title, facts))

    async def delete_style(self, style_id: str) -> None:
        """Delete a registered style."""
        await self._do(calls.delete_style(style_id))

    async def models(self) -> list[Model]:
        """List all networks."""
        return await self._do(calls.models())

    async def ready(self) -> Readiness:
        """Get the service's readiness, without retries."""
        return await self._run(outcome(calls.ready(), NO_RETRIES))

    async def metrics(self) -> str:
        """Get the service's metrics in Prometheus' text format, without retries."""
        return await self._run(outcome(calls.metrics(), NO_RETRIES))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        await self.aclose()

    async def _do(self, operation: Operation[T]) -> T:
        return await self._run(outcome(operation, self._retries))

    async def _run(self, flow: Flow[T]) -> T:
        """Send a flow's requests, after its pauses, until it returns."""
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

    async def _send(self, call: Call) -> Response:
        with httpx_errors(self._http.base_url):
            response = await self._http.request(**arguments(call))
        return response_of(response, response.content)

    @asynccontextmanager
    async def _stream(self, call: Call) -> AsyncIterator[httpx.Response]:
        with httpx_errors(self._http.base_url):
            async with self._http.stream(**arguments(call)) as response:
                yield response


class AsyncJob:
    """A job of the service; ``status`` is the last status that was received."""

    def __init__(self, client: AsyncClient, status: JobStatus) -> None:
        """Store the client and the job's status."""
        self._client = client
        self.id = status.id
        self.status = status

    async def refresh(self) -> JobStatus:
        """Get the job's current status."""
        self.status = await self._client._do(calls.job(self.id))
        return self.status

    async def wait(
        self, timeout_s: float | None = None, on_progress: Callable[[JobStatus], None] | None = None
    ) -> JobStatus:
        """Wait until the job has ended, like ``Job.wait``."""
        self.status = await self._client._run(ended(self.id, self._client._retries, timeout_s, on_progress))
        return self.status

    async def events(self) -> AsyncIterator[Event]:
        """Iterate over the job's events until it ends: its status, progress and previews, as they change."""
        stream = EventStream(self.id, self._client._retries)
        while not stream.is_over:
            await asyncio.sleep(stream.pause_s)
            try:
                async with self._client._stream(stream.call) as response:
                    if response.status_code != 200:
                        stream.refused(response_of(response, await response.aread()))
                        continue
                    async for line in response.aiter_lines():
                        if (event := stream.take(line)) is not None:
                            self.status = event if isinstance(event, JobStatus) else self.status
                            yield event
                    stream.end()
            except Unreachable as err:
                stream.lost(err)

    async def result(self) -> StylizedImage:
        """Get the output of a job that has succeeded, like ``Job.result``."""
        if (problem := problem_of(await self.refresh())) is not None:
            raise problem
        return await self._client._do(calls.job_result(self.id))

    async def preview(self) -> bytes | None:
        """Get the image so far as a small JPEG file, while a long job runs."""
        return await self._client._do(calls.job_preview(self.id))

    async def cancel(self) -> None:
        """Cancel the job."""
        await self._client._do(calls.cancel_job(self.id))
