"""`python -m tests.benchmarks.queue [--json FILE]`: submit to succeeded, when stages do nothing, against bare Celery.

Both have one worker a role, each `prefork -c 1`, on the same Redis; one client measures them in turns, a job at a time,
so that whatever else the machine does falls on both. Both are timed from the client: from before the submit until it
has heard that the job is over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import redis
from celery import Celery

from compose.processes import Processes, Program
from shared.broker import WORKER_ARGS
from shared.job import Job
from shared.settings import Role, Settings
from shared.stages import STAGES, Stage
from shared.store.connection import connect, connect_async
from shared.store.jobs.store import AsyncJobStore
from shared.store.queue.dispatch import QueueStore
from tests.benchmarks import bare_queue
from tests.support.api_server import environment_of
from tests.support.queue_records import spec_of
from tests.support.servers import redis_server
from tests.support.unshared_stages import unshared
from worker.app import create_app
from worker.runner.assignment import Loaded, OnStep, StageOutput

ROLES = ("detection", "generation")
_JOBS = 200
_WARM_UP = 20
_START_S = 120.0
_PATIENCE_S = 60.0
_MOST = {"overhead_ratio": 3.0, "overhead_p50_ms": 100.0}


def do_nothing(stage: Stage, job: Job, on_step: OnStep) -> StageOutput:
    """A stage that has its result at once."""
    on_step(0, 1)
    return StageOutput(digest=f"{stage.value}-{job.id}", picture=f"jobs/{job.id}/picture.png")


def load_stages(settings: Settings, role: Role) -> Loaded:
    """The stages of a role, without models."""
    stages = {stage: unshared(partial(do_nothing, stage)) for stage in STAGES if role in ("all", stage.info.queue)}
    return Loaded(stages=stages)


def __getattr__(name: str) -> Celery:
    """`app`, for `celery -A tests.benchmarks.queue worker`."""
    if name != "app":
        raise AttributeError(name)
    return create_app(Settings(), load_stages)


@contextmanager
def workers(settings: Settings, folder: Path, *, bare: bool) -> Iterator[Processes]:
    """One worker a role, and if wanted as many bare ones; all can take jobs."""
    celery = [sys.executable, "-m", "celery"]
    with Processes(folder) as processes, connect(settings) as client:
        for role in ROLES:
            command = [*celery, "-A", "tests.benchmarks.queue", "worker", *WORKER_ARGS]
            environment = {**environment_of(settings), "TROUPE_ROLE": role}
            processes.start(Program(name=role, command=command, environment=environment))
            if bare:
                words = ["-A", "tests.benchmarks.bare_queue", "worker", "-Q", role, "-P", "prefork", "-c", "1"]
                command = [*celery, *words, *WORKER_ARGS, "-n", f"bare-{role}@%h"]
                processes.start(Program(name=f"bare-{role}", command=command, environment=environment))
        queue_store = QueueStore(client, settings)
        processes.wait_until("workers", lambda: queue_store.ready_slots() == len(ROLES), timeout_s=_START_S)
        yield processes


async def time_ours(store: AsyncJobStore) -> float:
    """Seconds from submit to succeeded."""
    job_id, spec = uuid.uuid4().hex, spec_of("a man and a woman on the beach", steps=20)
    start = time.perf_counter()
    await store.submit(job_id, spec)
    # No sequence is above this one: only the end is news.
    job = await store.wait(job_id, after=sys.maxsize, timeout_s=_PATIENCE_S)
    if job is None or job.status != "succeeded":
        message = f"job {job_id} did not succeed: {job}"
        raise RuntimeError(message)
    return time.perf_counter() - start


def time_bare(app: Celery, client: redis.Redis, settings: Settings) -> float:
    """Seconds from the publishing of a chain to the word of its last task."""
    job_id = uuid.uuid4().hex
    start = time.perf_counter()
    bare_queue.submit(app, job_id)
    if client.blpop([bare_queue.over_key(settings, job_id)], timeout=_PATIENCE_S) is None:
        message = f"the bare chain of {job_id} did not end"
        raise RuntimeError(message)
    return time.perf_counter() - start


async def compare(settings: Settings, jobs: int) -> dict[str, float]:
    """Figures of both over jobs in turns; the first ones are not counted."""
    app, client = bare_queue.create_app(settings), connect_async(settings)
    store = AsyncJobStore(client, settings)
    await store.start()
    ours, bare = [], []
    with connect(settings) as blocking:
        # The bare workers are ready when a chain has gone through them.
        time_bare(app, blocking, settings)
        for turn in range(_WARM_UP + jobs):
            pair = []
            for which in ("ours", "bare") if turn % 2 else ("bare", "ours"):
                seconds = await time_ours(store) if which == "ours" else time_bare(app, blocking, settings)
                pair.append((which, seconds))
            if turn >= _WARM_UP:
                ours.append(dict(pair)["ours"] * 1000)
                bare.append(dict(pair)["bare"] * 1000)
    await store.stop()
    await client.aclose()
    return figures(ours, bare)


def figures(ours_ms: Sequence[float], bare_ms: Sequence[float]) -> dict[str, float]:
    """Medians and tails, a job and a stage hop; the ratio is of the medians."""
    ours, bare = statistics.median(ours_ms), statistics.median(bare_ms)
    return {
        "overhead_p50_ms": ours,
        "overhead_p95_ms": statistics.quantiles(ours_ms, n=20)[-1],
        "overhead_hop_p50_ms": ours / len(STAGES),
        "bare_p50_ms": bare,
        "bare_p95_ms": statistics.quantiles(bare_ms, n=20)[-1],
        "bare_hop_p50_ms": bare / len(STAGES),
        "overhead_ratio": ours / bare,
        "overhead_jobs": float(len(ours_ms)),
    }


def main() -> int:
    """Measures, prints a table, writes flat JSON if asked to. 1 when a figure is above what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    parser.add_argument("--jobs", type=int, default=_JOBS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
        settings = Settings(redis_url=server.url, key_prefix="bench")
        with workers(settings, Path(folder) / "workers", bare=True):
            found = asyncio.run(compare(settings, options.jobs))
    print(f"{'':24}{'Troupe':>10}{'bare':>10}{'ratio':>9}{'at most':>10}")
    for name, words in (("p50", "a job, p50 ms"), ("p95", "a job, p95 ms"), ("hop_p50", "a stage hop, p50 ms")):
        ours, bare = found[f"overhead_{name}_ms"], found[f"bare_{name}_ms"]
        most = f"{_MOST['overhead_p50_ms']:.0f} ms" if name == "p50" else ""
        print(f"{words:24}{ours:10.1f}{bare:10.1f}{ours / bare:9.2f}{most:>10}")
    print(f"{'ratio of the medians':24}{'':20}{found['overhead_ratio']:9.2f}{_MOST['overhead_ratio']:>10.1f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(any(found[name] > most for name, most in _MOST.items()))


if __name__ == "__main__":
    sys.exit(main())
