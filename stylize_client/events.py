"""A job's server-sent events, read line by line, across lost connections without missing any."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from stylize_client.calls import Call, Response, job_events
from stylize_client.errors import ProblemError, Unreachable
from stylize_client.retries import LATER, Retries
from stylize_client.values import Event, JobPreview, JobProgress, JobStatus, from_document

READERS: Mapping[str, Callable[[Mapping[str, Any]], Event]] = {
    "state": JobStatus.from_json,
    "progress": lambda document: from_document(JobProgress, document),
    "preview": JobPreview.from_json,
}


class EventStream:
    """State of a job's events from one connection to the next.

    Attributes:
        is_over: True when the event of the job's end has come.
        pause_s: Seconds to wait before the next connection.
    """

    def __init__(self, job_id: str, retries: Retries) -> None:
        """Start before the first event."""
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

    def refused(self, response: Response) -> None:
        """Handle a response without events.

        Raises:
            ProblemError: The error is permanent, or occurred too often.
        """
        if response.status == 204:
            self.is_over = True
        else:
            self._failed(ProblemError.from_answer(response.status, response.headers, response.body), response)

    def end(self) -> None:
        """Handle the end of a connection.

        Raises:
            Unreachable: The job has not ended; the service may be restarting.
        """
        if not self.is_over:
            raise Unreachable(f"the events of the job {self._job_id} broke off")

    def lost(self, error: Unreachable) -> None:
        """Handle a lost or failed connection.

        Raises:
            Unreachable: It happened too often without an event in between.
        """
        self._failed(error)

    def take(self, line: str) -> Event | None:
        """Read a line; returns the event that ends with it, if one does."""
        if line:
            name, _, value = line.partition(":")
            self._event[name] = value.removeprefix(" ")
            return None
        fields, self._event = self._event, {}
        read = READERS.get(fields.get("event", ""))
        if read is None:
            return None
        self._seen, self._failures = fields.get("id", ""), 0
        event = read(json.loads(fields["data"]))
        self.is_over = isinstance(event, JobStatus) and event.has_ended
        return event

    def _failed(self, error: ProblemError | Unreachable, response: Response | None = None) -> None:
        self._event = {}
        self._failures += 1
        if self._failures >= self._retries.attempts or (response is not None and response.status not in LATER):
            raise error
        self.pause_s = self._retries.pause_s(self._failures, response)
