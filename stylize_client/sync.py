"""``Client``: the service as a Python object."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


class Client:
    """A running service. Threads may share one; ``close`` it, or use it in a ``with`` statement.

    Every method raises a ``StylizeError``: ``ProblemError`` where the service says no, ``Unreachable`` where it says
    nothing. What passes is tried again as ``retries`` says.
    """

    def __init__(
        self,
        base_url: str = BASE_URL,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            base_url: Where the service is.
            api_key: Sent as ``Authorization: Bearer``.
            timeout_s: How long an answer may take, from the request's last byte.
            retries: How patient to be; ``Retries(attempts=1)`` tries once.
        """
        self._http = httpx.Client(**settings(base_url, api_key, timeout_s))
        self._retries = retries or Retries()

    def stylize(self, content: ImageSource, **options: Unpack[PictureOptions]) -> Picture:
        """Paint a photo, and wait for the picture."""
        return self._do(calls.stylize(content, options))

    def submit(self, content: ImageSource, **options: Unpack[JobOptions]) -> "Job":
        """Have a photo painted as a job, and do not wait; ``method="gatys"`` takes minutes and is a job always."""
        return Job(self, self._do(calls.submit(content, options)))

    def job(self, job_id: str) -> "Job":
        """A job that was submitted before."""
        return Job(self, self._do(calls.job(job_id)))

    def styles(self, kind: str | None = None, model: str | None = None) -> Iterator[Style]:
        """All styles that have an id, of one kind or for one network if so wished; pages are fetched when needed."""
        path: str | None = calls.styles_path(kind, model)
        while path is not None:
            page, path = self._do(calls.style_page(path))
            yield from page

    def style(self, style_id: str) -> Style:
        """One style."""
        return self._do(calls.style(style_id))

    def style_image(self, style_id: str) -> bytes:
        """The painting that a style was made from, a WebP or JPEG file; a 404 where ``Style.image`` is ``None``."""
        return self._do(calls.style_image(style_id))

    def register_style(self, image: ImageSource, title: str, **facts: Unpack[StyleFacts]) -> Style:
        """Keep a painting as a style with an id."""
        return self._do(calls.register_style(image, title, facts))

    def delete_style(self, style_id: str) -> None:
        """Forget a registered style."""
        self._do(calls.delete_style(style_id))

    def models(self) -> list[Model]:
        """All networks."""
        return self._do(calls.models())

    def ready(self) -> Readiness:
        """Whether requests will be answered; asked once."""
        return self._run(outcome(calls.ready(), NO_RETRIES))

    def metrics(self) -> str:
        """What the service counts, in Prometheus' text format; asked once."""
        return self._run(outcome(calls.metrics(), NO_RETRIES))

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _do(self, operation: Operation[T]) -> T:
        return self._run(outcome(operation, self._retries))

    def _run(self, flow: Flow[T]) -> T:
        """Send what a flow asks for, when it asks for it, until it returns."""
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

    def _send(self, call: Call) -> Answer:
        with translated(self._http.base_url):
            response = self._http.request(**arguments(call))
        return answer_of(response, response.content)

    @contextmanager
    def _stream(self, call: Call) -> Iterator[httpx.Response]:
        with translated(self._http.base_url), self._http.stream(**arguments(call)) as response:
            yield response


class Job:
    """A job of the service; ``status`` is what was last heard of it."""

    def __init__(self, client: Client, status: JobStatus) -> None:
        """``client`` will ask about it."""
        self._client = client
        self.id = status.id
        self.status = status

    def refresh(self) -> JobStatus:
        """How it is doing now."""
        self.status = self._client._do(calls.job(self.id))
        return self.status

    def wait(self, timeout_s: float | None = None, on_progress: Callable[[JobStatus], None] | None = None) -> JobStatus:
        """Until it has ended, well or badly.

        Args:
            timeout_s: How long at most.
            on_progress: Called with the job's status whenever that has changed.

        Raises:
            WaitedTooLong: It has not ended within this time; it goes on.
        """
        self.status = self._client._run(ended(self.id, self._client._retries, timeout_s, on_progress))
        return self.status

    def events(self) -> Iterator[Event]:
        """What happens to it, until it ends: its status, its progress and its picture so far, as they change."""
        listening = Listening(self.id, self._client._retries)
        while not listening.is_over:
            time.sleep(listening.pause_s)
            try:
                with self._client._stream(listening.call) as response:
                    if response.status_code != 200:
                        listening.refused(answer_of(response, response.read()))
                        continue
                    for line in response.iter_lines():
                        if (event := listening.take(line)) is not None:
                            self.status = event if isinstance(event, JobStatus) else self.status
                            yield event
                    listening.end()
            except Unreachable as err:
                listening.lost(err)

    def result(self) -> Picture:
        """Its picture, once it has succeeded.

        Raises:
            ProblemError: There is none: why it failed, or that it has not ended.
        """
        if (problem := problem_of(self.refresh())) is not None:
            raise problem
        return self._client._do(calls.job_result(self.id))

    def preview(self) -> bytes | None:
        """The picture so far as a small JPEG file, while a long job runs."""
        return self._client._do(calls.job_preview(self.id))

    def cancel(self) -> None:
        """End it."""
        self._client._do(calls.cancel_job(self.id))
