"""``create_app``: puts the API's endpoints, middleware and connections together.

This process never decodes pixels and never imports torch, so it is small and scales by replicas.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from service import VERSION
from service.http.context import make_context
from service.http.middleware import add_middleware
from service.http.middleware.errors import add_problem_handlers
from service.http.openapi import DESCRIPTION, TAGS, complete_openapi
from service.http.responses.problems import problem_statuses
from service.http.routes import catalog, health, jobs, pages, styles, stylize
from service.model_choice import warn_of_default
from service.settings import Settings

ROUTERS = (stylize.router, jobs.router, styles.router, catalog.router, health.router, pages.router)


def create_app(settings: Settings) -> FastAPI:
    """Make the application.

    Raises:
        CatalogError: The folder of checkpoints does not exist.
        ValueError: ``settings.redis_url`` is missing or malformed.
    """
    context = make_context(settings)
    warn_of_default(context.watch.now(), settings.default_model)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await context.dispatcher.start()
        try:
            yield
        finally:
            await context.close()

    app = FastAPI(
        title="Stylize",
        version=VERSION,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_tags=TAGS,
        responses=problem_statuses(401, 403, 500),
        lifespan=lifespan,
        docs_url=None,  # it is in ``routes.pages``
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,  # stable; a generated client's name
    )
    app.state.context = context
    for router in ROUTERS:
        app.include_router(router)
    complete_openapi(app, settings)
    add_problem_handlers(app)
    add_middleware(app, context)
    return app
