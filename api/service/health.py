"""Health checks: whether the process is alive, and whether a job that is submitted now can run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, Request, Response

from api.auth.middleware import is_authenticated
from api.context import Context, context_of
from api.service.openapi import ALIVE_ANSWERS, READY_ANSWERS
from api.service.schemas import CheckView, ReadyView
from shared.errors import TroupeError
from shared.startup import Startup
from shared.store.queue.values import WorkerStatus

router = APIRouter(tags=["health"])

_CHECK_S = 3.0
_ROLES = ("detection", "generation")


@router.get("/healthz", responses=ALIVE_ANSWERS, summary="Check that the process is alive")
async def check_health(_: Request) -> Response:
    """Responds while the process is alive, without checking any dependency."""
    return Response(b'{"ok":true,"service":"troupe"}', media_type="application/json")


@router.get("/readyz", responses=READY_ANSWERS, summary="Check that jobs can be served")
async def check_readiness(request: Request) -> Response:
    """200 if Redis and S3 answer and every role has a ready worker, else 503. The body lists the checks.

    Details name hosts, so callers without a key do not get them while authentication is on.
    """
    context = context_of(request)
    redis, s3, workers = await asyncio.gather(
        _check("redis", context.jobs.ping()),
        _check("s3", asyncio.to_thread(context.blobs.ensure_bucket)),
        _check_workers(context),
    )
    checks = (redis, s3, *workers)
    startup: Startup = request.app.state.startup
    warnings = tuple(problem.words for problem in startup.problems)
    if context.owner.last is not None and not context.owner.last.owned:
        warnings += (context.owner.last.words,)
    if not is_authenticated(request):
        checks = tuple(CheckView(name=one.name, ok=one.ok, detail=_outline(one)) for one in checks)
        warnings = ()
    view = ReadyView(ready=all(check.ok for check in checks), checks=checks, warnings=warnings)
    headers = None if view.ready else {"Retry-After": "2"}
    return Response(view.model_dump_json(), 200 if view.ready else 503, headers, "application/json")


def _outline(check: CheckView) -> str:
    return "ready" if check.ok else "not ready"


async def _check(name: str, answer: Awaitable[None]) -> CheckView:
    try:
        async with asyncio.timeout(_CHECK_S):
            await answer
    except TroupeError as error:
        return CheckView(name=name, ok=False, detail=error.message)
    except TimeoutError:
        return CheckView(name=name, ok=False, detail=f"no answer within {_CHECK_S:g} s")
    return CheckView(name=name, ok=True, detail="answers")


async def _check_workers(context: Context) -> list[CheckView]:
    try:
        async with asyncio.timeout(_CHECK_S):
            facts = await context.jobs.workers()
    except (TroupeError, TimeoutError):
        return [CheckView(name=role, ok=False, detail="unknown: Redis does not answer") for role in _ROLES]
    return [role_check(role, facts, context.settings.bundle) for role in _ROLES]


def role_check(role: str, facts: list[WorkerStatus], bundle: str) -> CheckView:
    """Whether a worker of this role is ready with the API's bundle, and if not, why."""
    of_role = [worker for worker in facts if worker.role in (role, "all")]
    serving = [worker for worker in of_role if worker.ready and not worker.draining and worker.bundle == bundle]
    if serving:
        return CheckView(name=role, ok=True, detail=f"{len(serving)} ready: {', '.join(w.name for w in serving)}")
    if not of_role:
        return CheckView(name=role, ok=False, detail="no worker is alive")
    return CheckView(name=role, ok=False, detail="; ".join(_why_not(worker, bundle) for worker in of_role))


def _why_not(worker: WorkerStatus, bundle: str) -> str:
    if worker.bundle != bundle:
        return f"{worker.name} has the bundle {worker.bundle}, the API {bundle}"
    if worker.draining:
        return f"{worker.name} is shutting down"
    return f"{worker.name}: {worker.reason or 'loading'}"
