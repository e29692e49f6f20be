"""The peer of the queue benchmark: a bare Celery chain of four tasks that do nothing, with Celery's own defaults.

It has no records, no leases and no order; a worker that dies takes its job along. Workers: `celery -A
tests.benchmarks.bare_queue worker`, with TROUPE_REDIS_URL and TROUPE_KEY_PREFIX as the benchmark sets them.
"""

from __future__ import annotations

from functools import cache

import redis
from celery import Celery, chain
from kombu import Queue

from shared.settings import Settings
from shared.stages import STAGES


def create_app(settings: Settings) -> Celery:
    """Four tasks on the same two queues as Troupe's; the last one says that the chain is over."""
    app = Celery("bare", broker=settings.redis_url, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_queues=[Queue(name) for name in sorted({stage.info.queue for stage in STAGES})],
        broker_transport_options={"global_keyprefix": f"{settings.key_prefix}:bare:"},
        broker_connection_retry_on_startup=True,
        worker_concurrency=1,
    )

    @cache
    def client() -> redis.Redis:
        return redis.Redis.from_url(settings.redis_url)

    def step(job_id: str) -> None:
        """Nothing."""

    def last(job_id: str) -> None:
        client().lpush(over_key(settings, job_id), 1)

    for stage in STAGES:
        app.task(name=f"bare.{stage.value}", shared=False)(last if stage is STAGES[-1] else step)
    return app


def submit(app: Celery, job_id: str) -> None:
    """Publishes the chain of one job."""
    signatures = [
        app.signature(f"bare.{stage.value}", args=(job_id,), immutable=True, options={"queue": stage.info.queue})
        for stage in STAGES
    ]
    chain(*signatures).apply_async()


def over_key(settings: Settings, job_id: str) -> str:
    """List that gets an item when the job's chain is over."""
    return f"{settings.key_prefix}:bare:over:{job_id}"


def __getattr__(name: str) -> Celery:
    if name != "app":
        raise AttributeError(name)
    return create_app(Settings())
