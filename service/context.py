"""What the endpoints of one API process work with."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from model_store.catalog_watch import CatalogWatch
from service.dispatch import Dispatcher
from service.metrics import Metrics
from service.settings import Settings


@dataclass(frozen=True)
class Context:
    """Made once by ``create_app``."""

    settings: Settings
    watch: CatalogWatch
    dispatcher: Dispatcher
    metrics: Metrics


def _context(request: Request) -> Context:
    return request.app.state.context  # type: ignore[no-any-return]


ContextOfProcess = Annotated[Context, Depends(_context)]
"""An endpoint's parameter of this type gets the process's context."""
