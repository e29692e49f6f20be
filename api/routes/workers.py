"""The workers, and what they do."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from api.access import tenant_of
from api.context import context_of
from api.document.jobs import WORKERS_ANSWERS
from api.gauges import state_of
from api.service_views import WorkersView, WorkerView, WorkView
from shared.job_store import Work, WorkerFacts

router = APIRouter(tags=["queue"])


@router.get("/v1/workers", responses=WORKERS_ANSWERS, summary="The workers, and what they do")
async def workers(request: Request) -> Response:
    """Every worker that gives signs of life. Of another tenant's job only that there is one."""
    context, tenant = context_of(request), tenant_of(request)
    busy = {work.worker: work for work in await context.crew.busy()}
    facts = sorted(await context.jobs.workers(), key=lambda one: (one.role, one.name))
    view = WorkersView(workers=tuple(_worker(one, busy, tenant) for one in facts))
    return Response(view.model_dump_json(), headers={"Cache-Control": "no-store"}, media_type="application/json")


def _worker(facts: WorkerFacts, busy: Mapping[str, Work], tenant: str) -> WorkerView:
    work = busy.get(facts.name)
    own = work if work is not None and work.tenant == tenant else None
    # Named by Celery, and by us: celery@HOST.PID.
    host = facts.name.rpartition("@")[2].rpartition(".")[0]
    more = {"host": host, "state": state_of(facts), "busy": work is not None, "job": own and _work(own)}
    return WorkerView.model_validate({**facts.model_dump(), **more})


def _work(work: Work) -> WorkView:
    return WorkView(id=work.job_id, stage=work.stage, step=work.progress.step, steps=work.progress.steps)
