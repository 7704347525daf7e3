"""What ``GET /jobs/{id}`` shows of a job."""

from datetime import UTC, datetime

from pydantic import Field

from service.http.middleware.problems import problem_of
from service.http.schemas import Frozen, Problem
from service.queue.job_status import JobStatus, State


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
