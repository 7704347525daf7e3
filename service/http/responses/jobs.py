"""Jobs as clients see them, and the preference ``respond-async`` (RFC 7240): a job instead of an image."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from fastapi import Response
from pydantic import Field

from service.http.responses.files import NO_STORE, TEXT
from service.http.responses.problems import problem_of
from service.http.schemas import Frozen, Problem
from service.queue.records import JobStatus, State

RESPOND_ASYNC = "respond-async"
JSON = "application/json"


class JobLinks(Frozen):
    """Paths of what belongs to a job; those that lead nowhere at the moment are null."""

    self: str
    events: str
    result: str | None = Field(description="The painted photo, once the job has succeeded.")
    preview: str | None = Field(description="The image so far, while a long job runs.")


class JobView(Frozen):
    """A job that was accepted with `Prefer: respond-async`."""

    example: ClassVar[dict[str, Any]] = {
        "id": "0f8fad5bd9cb469fa16570867728950e",
        "state": "running",
        "progress": 0.36,
        "position": None,
        "created": "2026-05-04T09:30:00Z",
        "links": {
            "self": "/jobs/0f8fad5bd9cb469fa16570867728950e",
            "events": "/jobs/0f8fad5bd9cb469fa16570867728950e/events",
            "result": None,
            "preview": "/jobs/0f8fad5bd9cb469fa16570867728950e/preview",
        },
        "problem": None,
    }

    id: str
    state: State = Field(
        description="`expired`: it was not done before its deadline (then there is a `problem`), or its image is not"
        " kept any more."
    )
    progress: float = Field(ge=0, le=1, description="Share of the work that is done.")
    position: int | None = Field(description="Among the jobs that wait, from 1 for the next; null if it does not wait.")
    created: datetime
    links: JobLinks
    problem: Problem | None = Field(description="Why there will be no image.")

    @classmethod
    def of(cls, status: JobStatus) -> "JobView":
        """Make the view of a job's status."""
        path = job_path(status.id)
        return cls(
            id=status.id,
            state=status.state,
            progress=round(status.share, 4),
            position=status.position,
            created=datetime.fromtimestamp(status.accepted.created_s, UTC),
            links=JobLinks(
                self=path,
                events=f"{path}/events",
                result=f"{path}/result" if status.state == "succeeded" else None,
                preview=f"{path}/preview" if status.has_preview else None,
            ),
            problem=None if status.error is None else problem_of(status.error, status.accepted.request_id),
        )


ACCEPTED = {
    "model": JobView,
    "description": "Accepted as a job, as `Prefer: respond-async` asked for",
    "headers": {
        **NO_STORE,
        "Location": {"schema": TEXT, "description": "Path of the job: `/jobs/{id}`"},
        "Preference-Applied": {"schema": TEXT, "description": "`respond-async`"},
    },
}
"""Documentation of a response with a job."""


def job_path(job_id: str) -> str:
    """Path of a job."""
    return f"/jobs/{job_id}"


def prefers_async(prefer: str | None) -> bool:
    """Tell whether the header ``Prefer`` asks for a job, perhaps among other preferences."""
    preferences = (prefer or "").split(",")
    return any(preference.partition(";")[0].strip().lower() == RESPOND_ASYNC for preference in preferences)


def accept_of_output(accept: str | None, prefer: str | None) -> str | None:
    """The part of ``Accept`` about the output: a client that prefers a job lists JSON for the 202, not as a format."""
    if accept is None or not prefers_async(prefer):
        return accept
    return ",".join(part for part in accept.split(",") if part.partition(";")[0].strip().lower() != JSON)


def accepted_response(view: JobView) -> Response:
    """Respond 202 with the job."""
    headers = {"Location": job_path(view.id), "Preference-Applied": RESPOND_ASYNC, "Cache-Control": "no-store"}
    return Response(view.model_dump_json(), 202, headers, JSON)
