"""The API as an ASGI app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from api.auth.middleware import OPEN_PATHS, READ_METHODS, AccessMiddleware
from api.batches import downloads
from api.batches import events as batch_events
from api.batches import openapi as batches_openapi
from api.batches import routes as batches
from api.context import open_context
from api.http.cors import with_cors
from api.http.fast_routes import make_fast
from api.http.openapi import complete, description
from api.http.problems import add_problem_handlers
from api.http.proxies import Proxies
from api.http.reference import add_reference
from api.idempotency import Idempotency
from api.jobs import events, listing, pictures
from api.jobs import openapi as jobs_openapi
from api.jobs import routes as jobs
from api.page.routes import add_page
from api.photos import openapi as photos_openapi
from api.photos import routes as photos
from api.photos import upload_routes
from api.service import health, metrics, queue
from api.service.http_metrics import MetricsMiddleware
from api.service.metrics import MetricsEndpoint
from api.tenants import audit
from api.tenants import routes as tenants
from api.tenants.audit_schemas import audit_example
from api.webhooks import deliveries
from api.webhooks import openapi as webhooks_openapi
from api.webhooks import routes as webhooks
from api.webhooks.messages import message_schemas, messages
from shared.blob_store import BlobStore
from shared.settings import Settings
from shared.startup import Startup, check_servers

VERSION = "1"


def create_app(settings: Settings) -> FastAPI:
    """The API for these settings. Opens no connection before the app starts."""
    spans = None
    if settings.traces_url:
        from api.http.tracing import TracingMiddleware  # noqa: PLC0415 - costs nothing where traces are off
        from shared.telemetry.spans import Spans  # noqa: PLC0415

        spans = Spans(settings, service="api")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_context(settings) as context:
            app.state.context = context
            async with app.state.metrics_endpoint.own_port(context):
                yield
        if spans is not None:
            await asyncio.to_thread(spans.close)

    app = FastAPI(
        title="Troupe",
        version=VERSION,
        description=description(),
        lifespan=lifespan,
        # A trailing slash is an unknown path: a redirect would be built from the caller's Host header.
        redirect_slashes=False,
        # FastAPI's own pages load scripts from a foreign host.
        docs_url=None,
        redoc_url=None,
    )
    app.state.startup = Startup(lambda: check_servers(settings, BlobStore(settings)))
    app.state.metrics_endpoint = MetricsEndpoint()
    here = settings.metrics and not settings.metrics_port
    for subject in (
        jobs,
        listing,
        events,
        pictures,
        photos,
        upload_routes,
        batches,
        downloads,
        batch_events,
        tenants,
        audit,
        webhooks,
        deliveries,
        queue,
        health,
        *([metrics] if here else []),
    ):
        # Not include_router: every request would pass through a router for each subject.
        app.router.routes.extend(subject.router.routes)
    # At the end, so that matching a GET never tries them.
    app.router.routes.extend(_heads(app.routes))
    for route in app.routes:
        if isinstance(route, APIRoute):
            make_fast(route)
            # The name of the endpoint is the name of the operation, for generated clients as well.
            route.operation_id = route.name
            if "POST" in (route.methods or ()):
                route.app = Idempotency(route.app)
    add_reference(app)
    add_page(app, settings)
    add_problem_handlers(app)
    app.add_middleware(AccessMiddleware)
    if spans is not None:
        app.add_middleware(TracingMiddleware, spans)
    _wrap(app, settings)
    # FastAPI's own way to extend its document.
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _wrap(app: FastAPI, settings: Settings) -> None:
    """Puts around the app what concerns the answers to errors as well."""
    if settings.public_url or settings.proxy_networks:
        app.add_middleware(Proxies, public_url=settings.public_url, networks=settings.trusted_proxies)
    inside = app.build_middleware_stack

    def build() -> ASGIApp:
        stack = with_cors(inside(), settings.allowed_origins) if settings.cors_origins else inside()
        return MetricsMiddleware(stack, app.state.metrics_endpoint.requests) if settings.metrics else stack

    app.build_middleware_stack = build  # type: ignore[method-assign]


def _heads(routes: Iterable[BaseRoute]) -> list[APIRoute]:
    """HEAD for every GET route (RFC 9110, section 9.1), which FastAPI does not add. The server drops the body."""
    return [
        APIRoute(route.path, route.endpoint, methods=["HEAD"], status_code=route.status_code, include_in_schema=False)
        for route in routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ())
    ]


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        subjects = (jobs_openapi, photos_openapi, batches_openapi, webhooks_openapi)
        schemas = document["components"]["schemas"]
        schemas |= {name: schema for subject in subjects for name, schema in subject.COMPONENTS.items()}
        schemas |= message_schemas()
        schemas["JobView"]["examples"] = [jobs_openapi.job_example()]
        schemas["BatchView"]["examples"] = [batches_openapi.batch_example()]
        schemas["AuditPageView"]["examples"] = [audit_example()]
        complete(document, app.routes, open_paths=OPEN_PATHS, reads=READ_METHODS)
        document["webhooks"] = messages()
        app.openapi_schema = document
    return app.openapi_schema
