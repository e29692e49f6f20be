"""The state of the queue and of the workers over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from api.auth.middleware import tenant_of
from api.context import context_of
from api.service.openapi import QUEUE_ANSWERS, WORKERS_ANSWERS
from api.service.queue_metrics import state_of
from api.service.schemas import LaneView, QueueView, WorkersView, WorkerView, WorkView
from shared.store.queue.state import LaneState
from shared.store.queue.values import WorkerStatus
from shared.store.queue.workers import Work

router = APIRouter(tags=["queue"])


@router.get("/v1/queue", responses=QUEUE_ANSWERS, summary="Get the state of the queue")
async def get_queue(request: Request) -> Response:
    """The tenant's waiting and running jobs in each lane, and the backlog of all tenants in seconds."""
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


@router.get("/v1/workers", responses=WORKERS_ANSWERS, summary="List workers")
async def list_workers(request: Request) -> Response:
    """All live workers. A job of another tenant appears only as `busy`."""
    context, tenant = context_of(request), tenant_of(request)
    busy = {work.worker: work for work in await context.worker_registry.running()}
    workers = sorted(await context.jobs.workers(), key=lambda one: (one.role, one.name))
    view = WorkersView(workers=tuple(_worker(one, busy, tenant) for one in workers))
    return Response(view.model_dump_json(), headers={"Cache-Control": "no-store"}, media_type="application/json")


def _worker(status: WorkerStatus, busy: Mapping[str, Work], tenant: str) -> WorkerView:
    work = busy.get(status.name)
    own = work if work is not None and work.tenant == tenant else None
    # Worker names have the form celery@HOST.PID.
    host = status.name.rpartition("@")[2].rpartition(".")[0]
    more = {"host": host, "state": state_of(status), "busy": work is not None, "job": own and _work(own)}
    return WorkerView.model_validate({**status.model_dump(), **more})


def _work(work: Work) -> WorkView:
    return WorkView(id=work.job_id, stage=work.stage, step=work.progress.step, steps=work.progress.steps)
