"""A job's server-sent events, read line by line; who loses the connection comes back and misses nothing."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from stylize_client.calls import Answer, Call, job_events
from stylize_client.errors import ProblemError, Unreachable
from stylize_client.retries import LATER, Retries
from stylize_client.values import Event, JobPreview, JobProgress, JobStatus, known

READERS: Mapping[str, Callable[[Mapping[str, Any]], Event]] = {
    "state": JobStatus.from_json,
    "progress": lambda document: known(JobProgress, document),
    "preview": JobPreview.from_json,
}


class Listening:
    """What is to be remembered from one connection to the next.

    Attributes:
        is_over: Whether the job has ended, and its end was heard.
        pause_s: How long to wait before the next connection.
    """

    def __init__(self, job_id: str, retries: Retries) -> None:
        """Nothing has been heard yet."""
        self._job_id = job_id
        self._retries = retries
        self._seen = ""
        self._failures = 0
        self._event: dict[str, str] = {}
        self.is_over = False
        self.pause_s = 0.0

    @property
    def call(self) -> Call:
        """The request of the next connection."""
        return job_events(self._job_id, self._seen)

    def refused(self, answer: Answer) -> None:
        """There will be no events on this connection.

        Raises:
            ProblemError: Because of an error that does not pass, or did not too often.
        """
        if answer.status == 204:
            self.is_over = True
        else:
            self._failed(ProblemError.from_answer(answer.status, answer.headers, answer.body), answer)

    def end(self) -> None:
        """A connection was closed.

        Raises:
            Unreachable: Before the job ended, as by a service that is restarted.
        """
        if not self.is_over:
            raise Unreachable(f"the events of the job {self._job_id} broke off")

    def lost(self, error: Unreachable) -> None:
        """A connection was lost, or there was none.

        Raises:
            Unreachable: That has happened too often without any news.
        """
        self._failed(error)

    def take(self, line: str) -> Event | None:
        """The event that ends with this line, if one does."""
        if line:
            name, _, value = line.partition(":")
            self._event[name] = value.removeprefix(" ")
            return None
        told, self._event = self._event, {}
        read = READERS.get(told.get("event", ""))
        if read is None:
            return None
        self._seen, self._failures = told.get("id", ""), 0
        event = read(json.loads(told["data"]))
        self.is_over = isinstance(event, JobStatus) and event.has_ended
        return event

    def _failed(self, error: ProblemError | Unreachable, answer: Answer | None = None) -> None:
        self._event = {}
        self._failures += 1
        if self._failures >= self._retries.attempts or (answer is not None and answer.status not in LATER):
            raise error
        self.pause_s = self._retries.pause_s(self._failures, answer)
