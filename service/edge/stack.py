"""The edge: what every request goes through before an endpoint sees it, and every answer on its way out.

    BodyLimit            413, 408; an unread body ends its connection, later than the request
    └ RequestScope       id, log line, metrics
      └ SecurityHeaders
        └ Cors           if other origins are allowed
          └ Problems     what is raised below, as problem+json that a page of another origin can read, too
            └ KeyGuard         401
              └ SlotLimit      429
                └ Methods      HEAD, OPTIONS
                  └ endpoints

Each is pure ASGI, and knows of the others only what its docstring says.
"""

from fastapi import FastAPI

from service.edge.api_keys import KeyRing
from service.edge.cors import Cors
from service.edge.key_guard import KeyGuard
from service.edge.methods import Methods
from service.edge.problems import Problems
from service.edge.request_body import BodyLimit
from service.edge.request_scope import RequestScope
from service.edge.security_headers import SecurityHeaders
from service.edge.slot_limit import SlotLimit
from service.metrics import Metrics
from service.settings import Settings
from service.stores.slots import Slots


def add_edge(app: FastAPI, settings: Settings, metrics: Metrics, slots: Slots) -> None:
    """Wrap ``app``; the last one added is the outermost."""
    app.add_middleware(Methods)
    app.add_middleware(SlotLimit, slots=slots, most=settings.max_requests_per_key)
    app.add_middleware(KeyGuard, keys=KeyRing(settings.api_keys))
    app.add_middleware(Problems, metrics=metrics)
    if settings.cors_origins:
        app.add_middleware(Cors, origins=settings.cors_origins)
    app.add_middleware(SecurityHeaders, is_shared=bool(settings.cors_origins))
    app.add_middleware(RequestScope, metrics=metrics)
    app.add_middleware(BodyLimit, max_body_bytes=settings.max_body_bytes, idle_s=settings.body_idle_s)
