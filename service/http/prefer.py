"""The request header ``Prefer: respond-async`` (RFC 7240): answer at once, with a job instead of a result."""

from fastapi import Response

from service.http.responses.caching import NO_STORE
from service.http.responses.job_view import JobView, job_path

RESPOND_ASYNC = "respond-async"
JSON = "application/json"

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
