"""The deliverer as Celery starts it: `celery -A worker.webhooks.app worker`."""

from __future__ import annotations

import threading
from typing import Any

import httpx
from celery import Celery, bootsteps, signals

from shared import broker
from shared.settings import Settings
from shared.startup import check_servers
from shared.store.connection import connect
from shared.store.webhooks.deliveries import DeliveryStore
from worker.logs import log_as
from worker.metrics_server import MetricsEndpoint
from worker.preflight import preflight
from worker.webhooks.delivery_worker import DeliveryWorker
from worker.webhooks.resolver import Resolver
from worker.webhooks.sender import Sender


class RunDeliveryWorker(bootsteps.StartStopStep):
    """Looks for due deliveries as long as the worker takes messages."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._over = threading.Event()

    def start(self, worker: Any) -> None:
        """With the worker."""
        threading.Thread(
            target=worker.app.delivery_worker.run, args=(self._over,), name="deliveries", daemon=True
        ).start()

    def close(self, _worker: Any) -> None:
        """Before anything stops: what is under way is finished, no new delivery is started."""
        self._over.set()


class DeliveryCelery(Celery):
    """A Celery app with a delivery worker."""

    delivery_worker: DeliveryWorker


def create_app(settings: Settings) -> DeliveryCelery:
    """A Celery app with the one task of delivering. Connects to nothing until a worker starts."""
    app = DeliveryCelery("troupe-webhooks", set_as_current=False)
    app.conf.update(broker.webhook_options(settings))
    # httpx's context: the roots of certifi, or those that SSL_CERT_FILE names.
    post = Sender(
        destinations=settings.webhook_destinations,
        tls=httpx.create_ssl_context(),
        timeout_s=settings.webhook_timeout_s,
        resolve=Resolver(settings.webhook_slots),
    )
    metrics_endpoint = MetricsEndpoint(settings)
    app.delivery_worker = DeliveryWorker(app, DeliveryStore(connect(settings), settings), settings, post)
    app.steps["worker"].add(RunDeliveryWorker)

    @app.task(name=broker.DELIVER, lazy=False, shared=False)
    def deliver(delivery_id: str) -> None:
        app.delivery_worker.deliver(delivery_id)

    def look(**_: object) -> None:
        preflight(lambda: check_servers(settings, None))

    def open_metrics(**_: object) -> None:
        metrics_endpoint.open(with_executor=False)

    def close_metrics(**_: object) -> None:
        metrics_endpoint.close()

    log_as("webhooks", settings)
    signals.worker_init.connect(look, weak=False)
    signals.celeryd_init.connect(open_metrics, weak=False)
    signals.worker_shutdown.connect(close_metrics, weak=False)
    return app


def __getattr__(name: str) -> Celery:
    """`app`, made when `celery -A worker.webhooks.app` asks for it: importing this module reads no settings."""
    if name != "app":
        raise AttributeError(name)
    return create_app(Settings.read_or_exit())
