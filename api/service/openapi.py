"""What the OpenAPI document says about the queue, the workers, health and metrics."""

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

QUEUE_ANSWERS = with_problems({200: {"model": QueueView, "description": "As it is"}}, tree.RecordsUnavailable)


WORKERS_ANSWERS = with_problems({200: {"model": WorkersView, "description": "As they are"}}, tree.RecordsUnavailable)


ALIVE_ANSWERS: Answers = {200: {"model": AliveView, "description": "Alive"}}


METRICS_ANSWERS: Answers = {
    200: {
        "description": "Prometheus's text format",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": 'troupe_leases{lane="interactive"} 2.0\n'}},
    }
}


READY_ANSWERS: Answers = {
    200: {"model": ReadyView, "description": "Ready"},
    503: {"model": ReadyView, "description": "Not ready; the body says why", "headers": RETRY_AFTER},
}
