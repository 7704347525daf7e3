"""Python client of the service: ``Client``, and ``AsyncClient`` for asyncio. It needs httpx and nothing else.

from stylize_client import Client

with Client("http://127.0.0.1:8000") as client:
    client.stylize("photo.jpg", style_ids="hokusai-great-wave").save("painted.jpg")
"""

from stylize_client.aio import AsyncClient, AsyncJob
from stylize_client.errors import ProblemError, StylizeError, UnexpectedResponse, Unreachable, WaitedTooLong
from stylize_client.image_sources import ImageSource
from stylize_client.options import JobOptions, StyleFacts, StylizeOptions
from stylize_client.retries import Retries
from stylize_client.sync import Client, Job
from stylize_client.values import (
    Event,
    FieldProblem,
    JobPreview,
    JobProgress,
    JobStatus,
    Model,
    Readiness,
    Style,
    StylizedImage,
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
    "ProblemError",
    "Readiness",
    "Retries",
    "Style",
    "StyleFacts",
    "StylizeError",
    "StylizeOptions",
    "StylizedImage",
    "UnexpectedResponse",
    "Unreachable",
    "WaitedTooLong",
]
