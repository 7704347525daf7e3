"""Errors on their way from a worker to the API."""

import pytest

from service import errors
from service.errors import ServiceError, error_from_json


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidField("got a GIF", "style"),
        errors.NotFound("it was deleted", "style_id"),
        errors.ModelUnavailable("its checkpoint is damaged", "style"),
        errors.QueueUnreachable("Redis does not answer"),
        errors.DeadlinePassed("not done within 60 s"),
    ],
)
def test_what_a_worker_may_send_arrives_as_it_was(error: ServiceError) -> None:
    arrived = error_from_json(error.to_json())
    assert type(arrived) is type(error)
    assert (arrived.detail, arrived.field, arrived.headers) == (error.detail, error.field, error.headers)


def test_what_it_may_not_send_is_a_failure_of_the_job() -> None:
    arrived = error_from_json(errors.Unauthorized("who are you?").to_json())
    assert type(arrived) is errors.JobFailed and arrived.detail == "who are you?"
