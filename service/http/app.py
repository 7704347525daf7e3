"""``create_app``: puts the API's endpoints, middleware and connections together.

This process never decodes pixels and never imports torch, so it is small and scales by replicas.
"""

import os
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata
from threading import Event

from fastapi import FastAPI

from model_store.catalog import default_folder
from model_store.catalog_watch import CatalogWatch
from service.http.context import Context
from service.http.metrics import Metrics
from service.http.middleware import add_middleware
from service.http.middleware.errors import add_problem_handlers
from service.http.openapi import TAGS, complete_openapi, operation_id
from service.http.responses.job_events import Listeners
from service.http.responses.problems import problem_statuses
from service.http.routes import catalog, health, jobs, pages, styles, stylize
from service.model_choice import warn_of_default
from service.queue.answer_store import AnswerStore
from service.queue.limits import RunningRequests
from service.queue.queue import JobQueue
from service.queue.records import JobRecords
from service.queue.replies import Dispatcher
from service.queue.styles import StyleStore
from service.settings import Settings

DESCRIPTION = """Post a photo and a painting, or the id of a style, and get the photo back, painted in that style.

Where the service asks for an API key, send it as `Authorization: Bearer KEY`. Errors are `application/problem+json`
(RFC 9457): they say what was got, what is allowed and what to do. Every path supports OPTIONS, and HEAD if it supports
GET."""


def create_app(settings: Settings) -> FastAPI:
    """Make the application.

    Raises:
        CatalogError: The folder of checkpoints does not exist.
        ValueError: ``settings.redis_url`` is missing or malformed.
    """
    if settings.redis_url is None:
        raise ValueError("STYLIZE_REDIS_URL is not set: the API needs a queue; `serve` brings its own")
    queue = JobQueue(settings.redis_url, settings, f"{platform.node()}-{os.getpid()}-{os.urandom(3).hex()}")
    records = JobRecords(queue.redis, settings)
    dispatcher = Dispatcher(queue, records, settings)
    watch = CatalogWatch(settings.checkpoints or default_folder())
    warn_of_default(watch.now(), settings.default_model)
    metrics = Metrics()
    running = RunningRequests(queue.redis, settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await dispatcher.start()
        try:
            yield
        finally:
            await dispatcher.stop()
            await running.stop()
            await queue.close()

    app = FastAPI(
        title="Stylize",
        version=metadata.version("stylize"),
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_tags=TAGS,
        responses=problem_statuses(401, 500),
        lifespan=lifespan,
        docs_url=None,  # routes.pages has ours
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    app.state.context = Context(
        settings=settings,
        watch=watch,
        dispatcher=dispatcher,
        records=records,
        styles=StyleStore(queue.redis, settings),
        answers=AnswerStore(queue.redis, settings),
        listeners=Listeners(settings.max_event_streams),
        metrics=metrics,
        stopping=Event(),
    )
    add_problem_handlers(app)
    for router in (stylize.router, jobs.router, styles.router, catalog.router, health.router, pages.router):
        app.include_router(router)
    complete_openapi(app, settings)
    add_middleware(app, settings, metrics, running)
    return app
