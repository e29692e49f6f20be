"""What a process counts of its own work, for Prometheus.

The state of the whole queue is not counted but read: see `shared/store/queue/totals.py`.

prometheus-client is imported when something is counted for the first time. By then a worker's parent has said where its
pool child is to count, too (worker/metrics_server.py): the library looks for that once, when it is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

# A stage that is found takes milliseconds; drawing a large picture on a small device takes minutes.
_STAGE_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
_DELIVERY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class Meters:
    """Everything that a process may count; what it never does stays at nothing."""

    redis_errors: Counter
    s3_errors: Counter
    attempts: Counter
    stage_seconds: Histogram
    steps: Counter
    children_lost: Counter
    deliveries: Counter
    delivery_seconds: Histogram


# Two threads that count for the first time at the same moment must not both make the meters: the second one would fail.
_making = Lock()


def meters() -> Meters:
    """The meters of this process."""
    with _making:
        return _meters()


@cache
def _meters() -> Meters:
    from prometheus_client import Counter, Histogram, disable_created_metrics  # noqa: PLC0415 - see above

    # Twice the series, and nobody asks when a count began.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    return Meters(
        redis_errors=Counter("troupe_redis_errors", "Calls that Redis did not answer"),
        s3_errors=Counter("troupe_s3_errors", "Calls that the S3 server did not answer or refused", ["verb"]),
        attempts=Counter("troupe_attempts", "Attempts at a stage, by how they ended", ["stage", "ending"]),
        stage_seconds=Histogram(
            "troupe_stage_seconds",
            "How long a stage took that was done; reused: its result was found and not made",
            ["stage", "reused"],
            buckets=_STAGE_BUCKETS_S,
        ),
        steps=Counter("troupe_steps", "Steps of stages: of render and personalize, denoising steps", ["stage"]),
        children_lost=Counter("troupe_children_lost", "Pool children that died under a job"),
        deliveries=Counter("troupe_webhook_deliveries", "Attempts to deliver a message, by outcome", ["outcome"]),
        delivery_seconds=Histogram(
            "troupe_webhook_delivery_seconds", "How long such an attempt took", buckets=_DELIVERY_BUCKETS_S
        ),
    )
