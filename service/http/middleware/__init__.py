"""Middleware: each request passes it on its way to an endpoint, and each response on its way out.

    BodyLimit            413, 408, 503; the connection of an unread body is closed; responses are sent in pieces
    └ RequestScope       id, log line, metrics, headers for browsers
      └ Cors             if other origins are allowed
        └ Problems       errors raised below, as problem+json, which a page of another origin can read too
          └ CrossSiteGuard   403
            └ Clients        401, 429
              └ Admission    503, before a body is read
                └ Methods    HEAD, OPTIONS
                  └ endpoints

Each is pure ASGI, and depends on others only where its docstring says so. Starlette's ``BaseHTTPMiddleware`` would hide
from endpoints that a client left.
"""

from fastapi import FastAPI

from service.http.context import Context
from service.http.middleware.admission import Admission
from service.http.middleware.clients import Clients
from service.http.middleware.cors import Cors
from service.http.middleware.cross_site import CrossSiteGuard
from service.http.middleware.errors import Problems
from service.http.middleware.methods import Methods
from service.http.middleware.request_body import BodyLimit
from service.http.middleware.request_scope import RequestScope


def add_middleware(app: FastAPI, context: Context) -> None:
    """Wrap ``app``; the last one that is added is the outermost."""
    settings, metrics = context.settings, context.metrics
    app.add_middleware(Methods)
    app.add_middleware(Admission, dispatcher=context.dispatcher)
    app.add_middleware(Clients, keys=settings.api_keys, running=context.running, most=settings.max_requests_per_key)
    app.add_middleware(CrossSiteGuard, settings=settings)
    app.add_middleware(Problems, metrics=metrics)
    if settings.cors_origins:
        app.add_middleware(Cors, origins=settings.cors_origins)
    app.add_middleware(RequestScope, metrics=metrics, is_shared=bool(settings.cors_origins))
    app.add_middleware(
        BodyLimit,
        max_body_bytes=settings.max_body_bytes,
        idle_s=settings.body_idle_s,
        most_bytes=settings.bodies_mb * 2**20,
    )
