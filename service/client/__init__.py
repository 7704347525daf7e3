"""A client of the service, for Python: ``Client``, and ``AsyncClient`` for asyncio. It needs httpx and nothing else.

from service.client import Client

with Client("http://127.0.0.1:8000") as client:
    client.stylize("photo.jpg", style_ids="hokusai-great-wave").save("painted.jpg")
"""

from service.client.aio import AsyncClient, AsyncJob
from service.client.calls import ImageSource, JobOptions, PictureOptions, StyleFacts
from service.client.errors import ProblemError, StylizeError, UnexpectedAnswer, Unreachable, WaitedTooLong
from service.client.retries import Retries
from service.client.sync import Client, Job
from service.client.values import (
    Event,
    FieldProblem,
    JobPreview,
    JobProgress,
    JobStatus,
    Model,
    Picture,
    Readiness,
    Style,
)

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "Client",
    "Event",
    "FieldProblem",
    "ImageSource",
    "Job",
    "JobOptions",
    "JobPreview",
    "JobProgress",
    "JobStatus",
    "Model",
    "Picture",
    "PictureOptions",
    "ProblemError",
    "Readiness",
    "Retries",
    "Style",
    "StyleFacts",
    "StylizeError",
    "UnexpectedAnswer",
    "Unreachable",
    "WaitedTooLong",
]
