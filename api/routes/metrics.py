"""`/metrics`: what Prometheus reads."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from api.context import context_of
from api.document.jobs import METRICS_ANSWERS
from api.exposition import Exposition

router = APIRouter(tags=["health"])


@router.get("/metrics", responses=METRICS_ANSWERS, summary="Figures for Prometheus")
async def metrics(request: Request) -> Response:
    """The queue, the workers and this process in figures. They name no tenant, but belong inside the network."""
    exposition: Exposition = request.app.state.exposition
    text = await exposition.text(context_of(request))
    return Response(text, headers={"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
