"""A job as clients see it, and the preference ``respond-async`` (RFC 7240), which brings one instead of an image."""

from datetime import UTC, datetime

from fastapi import Response
from pydantic import Field

from service.http.responses.files import NO_STORE
from service.http.responses.problems import problem_of
from service.http.schemas import Frozen, Problem
from service.queue.records import JobStatus, State

RESPOND_ASYNC = "respond-async"
JSON = "application/json"


class JobLinks(Frozen):
    """Paths of what belongs to a job; those that lead nowhere at the moment are null."""

    self: str
    events: str
    result: str | None = Field(description="The picture, once the job has succeeded.")
    preview: str | None = Field(description="The picture so far, while a long job runs.")


class JobView(Frozen):
    """A job that was accepted with `Prefer: respond-async`."""

    id: str
    state: State = Field(
        description="`expired`: it was not done before its deadline (then there is a `problem`), or its picture is not"
        " kept any more."
    )
    progress: float = Field(ge=0, le=1, description="Share of the work that is done.")
    position: int | None = Field(description="Among the jobs that wait, from 1 for the next; null if it does not wait.")
    created: datetime
    links: JobLinks
    problem: Problem | None = Field(description="Why there will be no picture.")

    @classmethod
    def of(cls, status: JobStatus) -> "JobView":
        """The view of a job as it is."""
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


def job_path(job_id: str) -> str:
    """Where a job is found."""
    return f"/jobs/{job_id}"


ACCEPTED = {
    "model": JobView,
    "description": "Accepted as a job, as `Prefer: respond-async` asked for",
    "headers": {
        **NO_STORE,
        "Location": {"schema": {"type": "string"}, "description": "Where the job is found: `/jobs/{id}`"},
        "Preference-Applied": {"schema": {"type": "string"}, "description": "`respond-async`"},
    },
}
"""For the documentation of an endpoint that heeds it."""


def prefers_async(prefer: str | None) -> bool:
    """Whether the header asks for it, among other preferences perhaps."""
    preferences = (prefer or "").split(",")
    return any(preference.partition(";")[0].strip().lower() == RESPOND_ASYNC for preference in preferences)


def accept_of_picture(accept: str | None, prefer: str | None) -> str | None:
    """What ``Accept`` says of a picture's format: who prefers a job lists JSON for the 202, which is no format."""
    if accept is None or not prefers_async(prefer):
        return accept
    return ",".join(part for part in accept.split(",") if part.partition(";")[0].strip().lower() != JSON)


def accepted_response(view: JobView) -> Response:
    """202, with the job."""
    headers = {"Location": job_path(view.id), "Preference-Applied": RESPOND_ASYNC, "Cache-Control": "no-store"}
    return Response(view.model_dump_json(), 202, headers, JSON)
