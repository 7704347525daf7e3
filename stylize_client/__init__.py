"""A client of the service, for Python: ``Client``, and ``AsyncClient`` for asyncio. It needs httpx and nothing else.

from stylize_client import Client

with Client("http://127.0.0.1:8000") as client:
    client.stylize("photo.jpg", style_ids="hokusai-great-wave").save("painted.jpg")
"""

from stylize_client.aio import AsyncClient, AsyncJob
from stylize_client.calls import ImageSource, JobOptions, PictureOptions, StyleFacts
from stylize_client.errors import ProblemError, StylizeError, UnexpectedAnswer, Unreachable, WaitedTooLong
from stylize_client.retries import Retries
from stylize_client.sync import Client, Job
from stylize_client.values import (
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
