"""``Client``: the service's synchronous Python client."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


class Client:
    """Client of a running service. Threads may share one; ``close`` it, or use it in a ``with`` statement.

    Methods raise a ``StylizeError``: ``ProblemError`` if the service refuses a request, ``Unreachable`` if no response
    comes. Temporary errors are retried within the limits of ``retries``.
    """

    def __init__(
        self,
        base_url: str = BASE_URL,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
    ) -> None:
        """Prepare the client; nothing is sent yet.

        Args:
            base_url: Address of the service.
            api_key: Sent as ``Authorization: Bearer``.
            timeout_s: Timeout of a response, from the request's last byte.
            retries: Limits of retries; ``Retries(attempts=1)`` sends each request once.

        Raises:
            ValueError: The address or the key is invalid, or the environment names a proxy or certificates that cannot
                be used.
        """
        self._http = httpx.Client(**client_settings(base_url, api_key, timeout_s))
        self._retries = retries or Retries()

    def stylize(self, content: ImageSource, **options: Unpack[StylizeOptions]) -> StylizedImage:
        """Stylize a content image, and wait for the output.

        Raises:
            TypeError: An option's name is unknown, or an argument is not an image.
            ValueError: An image file is empty.
            OSError: An image file cannot be read.
        """
        return self._do(calls.stylize(content, options))

    def submit(self, content: ImageSource, **options: Unpack[JobOptions]) -> "Job":
        """Submit a job, without waiting for it; ``method="gatys"`` takes minutes and is always a job."""
        return Job(self, self._do(calls.submit(content, options)))

    def job(self, job_id: str) -> "Job":
        """Get a job that was submitted before."""
        return Job(self, self._do(calls.job(job_id)))

    def styles(self, kind: str | None = None, model: str | None = None) -> Iterator[Style]:
        """Iterate over all styles with an id, or those of one kind or one network; pages are fetched when needed."""
        path: str | None = calls.styles_path(kind, model)
        while path is not None:
            page, path = self._do(calls.style_page(path))
            yield from page

    def style(self, style_id: str) -> Style:
        """Get one style."""
        return self._do(calls.style(style_id))

    def style_image(self, style_id: str) -> bytes:
        """Get the image that a style was made from, a WebP or JPEG file; a 404 if ``Style.image`` is ``None``."""
        return self._do(calls.style_image(style_id))

    def register_style(self, image: ImageSource, title: str, **facts: Unpack[StyleFacts]) -> Style:
        """Register an image as a style with an id."""
        return self._do(calls.register_style(image, title, facts))

    def delete_style(self, style_id: str) -> None:
        """Delete a registered style."""
        self._do(calls.delete_style(style_id))

    def models(self) -> list[Model]:
        """List all networks."""
        return self._do(calls.models())

    def ready(self) -> Readiness:
        """Get the service's readiness, without retries."""
        return self._run(outcome(calls.ready(), NO_RETRIES))

    def metrics(self) -> str:
        """Get the service's metrics in Prometheus' text format, without retries."""
        return self._run(outcome(calls.metrics(), NO_RETRIES))

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        self.close()

    def _do(self, operation: Operation[T]) -> T:
        return self._run(outcome(operation, self._retries))

    def _run(self, flow: Flow[T]) -> T:
        """Send a flow's requests, after its pauses, until it returns."""
        try:
            attempt = next(flow)
            while True:
                time.sleep(attempt.after_s)
                try:
                    answer = self._send(attempt.call)
                except Unreachable as err:
                    attempt = flow.throw(err)
                else:
                    attempt = flow.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    def _send(self, call: Call) -> Response:
        with httpx_errors(self._http.base_url):
            response = self._http.request(**arguments(call))
        return response_of(response, response.content)

    @contextmanager
    def _stream(self, call: Call) -> Iterator[httpx.Response]:
        with httpx_errors(self._http.base_url), self._http.stream(**arguments(call)) as response:
            yield response


class Job:
    """A job of the service; ``status`` is the last status that was received."""

    def __init__(self, client: Client, status: JobStatus) -> None:
        """Store the client and the job's status."""
        self._client = client
        self.id = status.id
        self.status = status

    def refresh(self) -> JobStatus:
        """Get the job's current status."""
        self.status = self._client._do(calls.job(self.id))
        return self.status

    def wait(self, timeout_s: float | None = None, on_progress: Callable[[JobStatus], None] | None = None) -> JobStatus:
        """Wait until the job has ended, with or without success.

        Args:
            timeout_s: Longest wait; ``None`` for no limit.
            on_progress: Called with the job's status whenever that has changed.

        Raises:
            WaitedTooLong: It has not ended within this time; it continues.
        """
        self.status = self._client._run(ended(self.id, self._client._retries, timeout_s, on_progress))
        return self.status

    def events(self) -> Iterator[Event]:
        """Iterate over the job's events until it ends: its status, progress and previews, as they change."""
        stream = EventStream(self.id, self._client._retries)
        while not stream.is_over:
            time.sleep(stream.pause_s)
            try:
                with self._client._stream(stream.call) as response:
                    if response.status_code != 200:
                        stream.refused(response_of(response, response.read()))
                        continue
                    for line in response.iter_lines():
                        if (event := stream.take(line)) is not None:
                            self.status = event if isinstance(event, JobStatus) else self.status
                            yield event
                    stream.end()
            except Unreachable as err:
                stream.lost(err)

    def result(self) -> StylizedImage:
        """Get the output of a job that has succeeded.

        Raises:
            ProblemError: There is no output, because the job failed or has not ended.
        """
        if (problem := problem_of(self.refresh())) is not None:
            raise problem
        return self._client._do(calls.job_result(self.id))

    def preview(self) -> bytes | None:
        """Get the image so far as a small JPEG file, while a long job runs."""
        return self._client._do(calls.job_preview(self.id))

    def cancel(self) -> None:
        """Cancel the job."""
        self._client._do(calls.cancel_job(self.id))
