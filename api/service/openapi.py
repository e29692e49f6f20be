"""The queue, the workers, health checks and metrics in the OpenAPI document."""

from __future__ import annotations

from api.http.openapi import (
    RETRY_AFTER,
    Answers,
    with_problems,
)
from api.service.schemas import (
    AliveView,
    QueueView,
    ReadyView,
    WorkersView,
)
from shared import errors as tree

QUEUE_ANSWERS = with_problems({200: {"model": QueueView, "description": "The queue"}}, tree.RecordsUnavailable)


WORKERS_ANSWERS = with_problems({200: {"model": WorkersView, "description": "The workers"}}, tree.RecordsUnavailable)


ALIVE_ANSWERS: Answers = {200: {"model": AliveView, "description": "Alive"}}


METRICS_ANSWERS: Answers = {
    200: {
        "description": "Metrics in the text format of Prometheus",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": 'troupe_leases{lane="interactive"} 2.0\n'}},
    }
}


READY_ANSWERS: Answers = {
    200: {"model": ReadyView, "description": "Ready"},
    503: {"model": ReadyView, "description": "Not ready; the body says why", "headers": RETRY_AFTER},
}
