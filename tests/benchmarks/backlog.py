"""`python -m tests.benchmarks.backlog [--json FILE]`: 100,000 jobs wait, and a person asks for one picture.

The batch is submitted as the API submits: specs of several sizes, completed with the bundle's values, through
AsyncJobStore. Then one worker a role works on it with stages that only take time, and interactive jobs come at random
moments. A wait is counted in stages: the one that runs when the job comes, and every other that begins before it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import redis
from celery import Celery

from api.jobs.intake import complete_spec
from compose.processes import Processes, Program
from shared.broker import WORKER_ARGS
from shared.job import Concept, Job, JobSpec, Lane, Sampling
from shared.limits import SDXL_LIMITS
from shared.settings import Role, Settings
from shared.stages import STAGES, Stage
from shared.store.connection import connect, connect_async
from shared.store.jobs.store import AsyncJobStore
from tests.support.api_server import environment_of
from tests.support.servers import redis_server
from tests.support.unshared_stages import unshared
from worker.app import create_app
from worker.runner.assignment import Loaded, OnStep, StageOutput

_JOBS = 100_000
# Fewer than the client has connections: a request that waits for one while the others never pause waits long.
_AT_ONCE = 48
_TENANTS = 20
_TRIES = 12
_STAGE_S = 0.5
_STEPS = 10
_PATIENCE_S = 180.0
_ROLES: tuple[Role, ...] = ("detection", "generation")
_MOST = {"redis_bytes_per_job": 1500.0, "interactive_wait_stages": 1.0}

_SCENES = (
    "a quiet beach at dusk",
    "a market in the rain",
    "the deck of a sailing boat",
    "a kitchen full of morning light",
)
_LOOKS = ("photograph, 35 mm, soft light", "oil painting, thick strokes", "film still, grain, muted colours")
_PHRASES = ("the man on the left", "the woman in the red coat", "the old man with a hat", "the girl on the right")


@dataclass(frozen=True, kw_only=True)
class Began:
    """A stage that began. at_s: seconds since the epoch."""

    job_id: str
    queue: str
    at_s: float


def take_time(stage: Stage, client: redis.Redis, key: str, job: Job, on_step: OnStep) -> StageOutput:
    """A stage that notes when it began and takes half a second."""
    client.rpush(key, f"{job.id} {stage.info.queue} {time.time()}")
    for step in range(_STEPS):
        on_step(step, _STEPS)
        time.sleep(_STAGE_S / _STEPS)
    return StageOutput(digest=f"{stage.value}-{job.id}", picture=f"jobs/{job.id}/picture.png")


def load_stages(settings: Settings, role: Role) -> Loaded:
    """The stages of a role, without models."""
    client = connect(settings)
    stages = {
        stage: unshared(partial(take_time, stage, client, _began_key(settings)))
        for stage in STAGES
        if role in ("all", stage.info.queue)
    }
    return Loaded(stages=stages)


def __getattr__(name: str) -> Celery:
    """`app`, for `celery -A tests.benchmarks.backlog worker`."""
    if name != "app":
        raise AttributeError(name)
    return create_app(Settings(), load_stages)


def draw_spec(rng: random.Random, lane: Lane) -> JobSpec:
    """A request as people send them: two people mostly, one photo each mostly, a prompt of a sentence or two."""
    people = [
        Concept(
            phrase=rng.choice(_PHRASES),
            photos=tuple(f"{rng.getrandbits(256):064x}" for _ in range(rng.choice((1, 1, 1, 2)))),
        )
        for _ in range(rng.choice((1, 2, 2, 3)))
    ]
    prompt = f"{' and '.join(one.phrase for one in people)} at {rng.choice(_SCENES)}, {rng.choice(_LOOKS)}"
    spec = JobSpec(
        prompt=f"{prompt}, take {rng.randrange(1000)}",
        negative_prompt="blurry, deformed, extra fingers, watermark, text",
        concepts=tuple(people),
        sampling=Sampling(seed=rng.getrandbits(32), mask=rng.choice(("ellipse", "box"))),
        lane=lane,
    )
    return complete_spec(spec, SDXL_LIMITS)


async def fill(store: AsyncJobStore, client: Any, jobs: int, tenants: int = _TENANTS) -> dict[str, float]:
    """Submits the batch of so many tenants; gives its rate and what a job takes of Redis's memory."""
    rng = random.Random(0)
    # The spec is drawn before, and parsed by the API in any case: neither is the queue's.
    specs = [draw_spec(rng, "batch") for _ in range(2000)]
    before = await _memory_bytes(client)
    left = iter(range(jobs))

    async def submit() -> None:
        for number in left:
            await store.submit(uuid.uuid4().hex, specs[number % len(specs)], tenant=f"tenant-{number % tenants}")

    started_s = time.perf_counter()
    await asyncio.gather(*(submit() for _ in range(_AT_ONCE)))
    seconds = time.perf_counter() - started_s
    return {
        "backlog_jobs": float(jobs),
        "backlog_submit_per_s": jobs / seconds,
        "redis_bytes_per_job": (await _memory_bytes(client) - before) / jobs,
    }


async def interrupt(store: AsyncJobStore, client: Any, settings: Settings, tries: int) -> dict[str, float]:
    """Submits interactive jobs while the batch runs; gives how long each waited for its first stage."""
    rng = random.Random(1)
    waits_ms, stages = [], []
    await _until_busy(client, settings)
    for _ in range(tries):
        # Any moment of a running stage.
        await asyncio.sleep(rng.uniform(0, _STAGE_S))
        job: Job | None = await store.submit(uuid.uuid4().hex, draw_spec(rng, "interactive"))
        # To its end, so that no interactive job waits for another one.
        while job is not None and not job.done:
            job = await store.wait(job.id, after=job.sequence, timeout_s=_PATIENCE_S)
        if job is None or job.started_at is None:
            message = "an interactive job went away"
            raise RuntimeError(message)
        began = [_began(line) for line in await client.lrange(_began_key(settings), 0, -1)]
        queue = STAGES[0].info.queue
        others = [one for one in began if one.queue == queue and job.created_at <= one.at_s < job.started_at]
        running = any(one.queue == queue and job.created_at - _STAGE_S < one.at_s < job.created_at for one in began)
        stages.append(len(others) + int(running))
        waits_ms.append((job.started_at - job.created_at) * 1000)
    return {
        "interactive_wait_stages": float(max(stages)),
        "interactive_wait_p50_ms": statistics.median(waits_ms),
        "interactive_wait_worst_ms": max(waits_ms),
        "backlog_stage_ms": _STAGE_S * 1000,
    }


async def measure(
    settings: Settings, folder: Path, *, jobs: int, tries: int, tenants: int = _TENANTS
) -> dict[str, float]:
    """All figures."""
    client: Any = connect_async(settings)
    store = AsyncJobStore(client, settings)
    await store.start()
    found = await fill(store, client, jobs, tenants)
    with Processes(folder) as processes:
        for role in _ROLES:
            command = [sys.executable, "-m", "celery", "-A", "tests.benchmarks.backlog", "worker", *WORKER_ARGS]
            environment = {**environment_of(settings), "TROUPE_ROLE": role}
            processes.start(Program(name=role, command=command, environment=environment))
        found |= await interrupt(store, client, settings, tries)
    await store.stop()
    await client.aclose()
    return found


async def _memory_bytes(client: Any) -> int:
    return int((await client.info("memory"))["used_memory"])


async def _until_busy(client: Any, settings: Settings) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while int(await client.llen(_began_key(settings))) < 2 * len(_ROLES):
        if time.monotonic() > deadline_s:
            message = f"the workers did not begin within {_PATIENCE_S:.0f} s"
            raise TimeoutError(message)
        await asyncio.sleep(0.05)


def _began_key(settings: Settings) -> str:
    return f"{settings.key_prefix}:bench:began"


def _began(line: str) -> Began:
    job_id, queue, at_s = line.split()
    return Began(job_id=job_id, queue=queue, at_s=float(at_s))


def main() -> int:
    """Measures, prints a table, writes flat JSON if asked to. 1 when a figure is above what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    parser.add_argument("--jobs", type=int, default=_JOBS)
    parser.add_argument("--tries", type=int, default=_TRIES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
        settings = Settings(redis_url=server.url, key_prefix="bench")
        found = asyncio.run(measure(settings, Path(folder) / "workers", jobs=options.jobs, tries=options.tries))
    for name, figure in found.items():
        most = f"at most {_MOST[name]:.0f}" if name in _MOST else ""
        print(f"{name:28}{figure:12.0f}  {most}".rstrip())
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(any(found[name] > most for name, most in _MOST.items()))


if __name__ == "__main__":
    sys.exit(main())
