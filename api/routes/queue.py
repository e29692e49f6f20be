"""How busy the service is."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.access import tenant_of
from api.context import context_of
from api.document.jobs import QUEUE_ANSWERS
from api.service_views import LaneView, QueueView
from shared.job_store import LaneState

router = APIRouter(tags=["queue"])


@router.get("/v1/queue", responses=QUEUE_ANSWERS, summary="How busy it is")
async def queue(request: Request) -> Response:
    """What of yours waits and runs in each lane, and how long everybody's backlog takes."""
    states = await context_of(request).queue.of(tenant_of(request))
    view = QueueView(lanes={state.lane: _lane(state) for state in states}, backlog_s=_together(states))
    return Response(view.model_dump_json(), headers={"Cache-Control": "no-store"}, media_type="application/json")


def _lane(state: LaneState) -> LaneView:
    return LaneView(
        depth=state.depth,
        running=state.running,
        pictures_per_min=state.pictures_per_min,
        eta_s=_rounded(state.eta_s),
        backlog_s=_rounded(state.backlog_s),
    )


def _together(states: list[LaneState]) -> float | None:
    backlogs = [state.backlog_s for state in states]
    return None if None in backlogs else _rounded(sum(backlog or 0.0 for backlog in backlogs))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
