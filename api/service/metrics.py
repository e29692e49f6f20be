"""`/metrics` of the API: its own counters, and the state of the queue at the time of the scrape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from api.context import Context, context_of
from api.service.http_metrics import Requests
from api.service.openapi import METRICS_ANSWERS
from api.service.queue_metrics import families, owner_family
from shared.errors import RecordsUnavailable
from shared.telemetry.log import get_logger
from shared.telemetry.metrics import meters

# Prometheus gives up after ten seconds and then gets no metric at all.
_READ_S = 3.0
_AGE_S = 1.0

log = get_logger(__name__)
router = APIRouter(tags=["health"])


class MetricsEndpoint:
    """The metrics of this process. requests: counts of responses."""

    def __init__(self) -> None:
        self.requests = Requests()
        self._reading = asyncio.Lock()
        self._read: tuple[float, list[Metric]] = (float("-inf"), [])
        # Counters must exist from the start, so that the first increment is visible.
        meters()

    async def text(self, context: Context) -> bytes:
        """All metrics in the text format of Prometheus."""
        found = _Found([*self.requests.collect(), *await self._queue(context)])
        return generate_latest(REGISTRY) + generate_latest(found)

    async def _queue(self, context: Context) -> list[Metric]:
        """The queue as of at most a second ago: frequent requests must not keep Redis busy."""
        async with self._reading:
            now_s = asyncio.get_running_loop().time()
            if now_s - self._read[0] > _AGE_S:
                self._read = (now_s, await _read(context))
            return self._read[1]

    @asynccontextmanager
    async def own_port(self, context: Context) -> AsyncIterator[None]:
        """Serves the metrics on their own port, if the settings name one. Raises OSError if the port is in use."""
        settings = context.settings
        if not settings.metrics or not settings.metrics_port:
            yield
            return
        loop = asyncio.get_running_loop()

        class Now(Collector):
            """Collects through the event loop, from the thread of the metrics server."""

            def collect(inside) -> Iterable[Metric]:  # noqa: N805 - self is the endpoint here
                yield from REGISTRY.collect()
                yield from self.requests.collect()
                yield from asyncio.run_coroutine_threadsafe(self._queue(context), loop).result(2 * _READ_S)

        registry = CollectorRegistry()
        registry.register(Now())
        server, thread = start_http_server(settings.metrics_port, settings.metrics_host, registry)
        try:
            yield
        finally:
            await asyncio.to_thread(server.shutdown)
            server.server_close()
            thread.join()


class _Found(CollectorRegistry):
    """Metrics that are already collected."""

    def __init__(self, metrics: list[Metric]) -> None:
        super().__init__()
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        return iter(self._metrics)


async def _read(context: Context) -> list[Metric]:
    try:
        async with asyncio.timeout(_READ_S):
            return [
                owner_family(context.owner.last),
                *families(await context.totals.read(), await context.jobs.workers()),
            ]
    except (RecordsUnavailable, TimeoutError) as error:
        log.warning("queue_read_failed", error=str(error))
        return [owner_family(context.owner.last), *families(None, [])]


@router.get("/metrics", responses=METRICS_ANSWERS, summary="Get metrics for Prometheus")
async def get_metrics(request: Request) -> Response:
    """Metrics of the queue, the workers and this process. They name no tenant, but must stay inside the network."""
    metrics_endpoint: MetricsEndpoint = request.app.state.metrics_endpoint
    text = await metrics_endpoint.text(context_of(request))
    return Response(text, headers={"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
