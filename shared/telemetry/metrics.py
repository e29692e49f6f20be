"""Counters and histograms of a process, for Prometheus.

The state of the whole queue is read from Redis at a scrape: see `shared/store/queue/totals.py`.

prometheus-client is imported when something is counted for the first time. By then a worker's supervisor has set where
its executor counts, too (worker/metrics_server.py): the library reads that once, when it is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

# A stage whose result is reused takes milliseconds; drawing a large picture on a small device takes minutes.
_STAGE_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
_DELIVERY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class Meters:
    """All counters and histograms of a process; those of work that it never does stay at 0."""

    redis_errors: Counter
    s3_errors: Counter
    attempts: Counter
    stage_seconds: Histogram
    steps: Counter
    executors_lost: Counter
    deliveries: Counter
    delivery_seconds: Histogram


# Two threads that count first at the same moment must not both create the meters: the second one would fail.
_making = Lock()


def meters() -> Meters:
    """The meters of this process."""
    with _making:
        return _meters()


@cache
def _meters() -> Meters:
    from prometheus_client import Counter, Histogram, disable_created_metrics  # noqa: PLC0415 - see above

    # They double the series, and no dashboard shows when a counter began.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    return Meters(
        redis_errors=Counter("troupe_redis_errors", "Failed calls to Redis"),
        s3_errors=Counter("troupe_s3_errors", "Failed calls to the S3 server", ["verb"]),
        attempts=Counter("troupe_attempts", "Attempts at a stage, by outcome", ["stage", "outcome"]),
        stage_seconds=Histogram(
            "troupe_stage_seconds",
            "Duration of finished stages; reused: the result existed already",
            ["stage", "reused"],
            buckets=_STAGE_BUCKETS_S,
        ),
        steps=Counter("troupe_steps", "Steps of stages; denoising steps for render and personalize", ["stage"]),
        executors_lost=Counter("troupe_executors_lost", "Executors that died while they ran a job"),
        deliveries=Counter("troupe_webhook_deliveries", "Webhook delivery attempts, by outcome", ["outcome"]),
        delivery_seconds=Histogram(
            "troupe_webhook_delivery_seconds", "Duration of webhook delivery attempts", buckets=_DELIVERY_BUCKETS_S
        ),
    )
