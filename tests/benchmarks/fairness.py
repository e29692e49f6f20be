"""`python -m tests.benchmarks.fairness [--json FILE]`: who waits for whom.

First a person's interactive jobs behind 100,000 batch jobs of one other tenant, as in the benchmark `backlog`: a wait
is counted in stages. Then tenants that all have more jobs than is served, with real workers whose stages do nothing: of
the first 300 jobs that began, two tenants of weights 2 and 1 are to have 2:1 of the units; of three tenants the one of
a very small weight is to be served too, and between two of its jobs at most so many of the others as its weight says.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from shared.settings import Settings
from shared.store.connection import connect, connect_async
from shared.store.jobs import record
from shared.store.jobs.store import AsyncJobStore
from shared.store.tenants.limits import Tenants
from shared.tenant import TenantLimits
from tests.benchmarks import backlog
from tests.benchmarks.queue import workers
from tests.support.queue_records import spec_of
from tests.support.servers import redis_server

_JOBS = 100_000
_TRIES = 12
_SERVED = 300
_STEPS = (10, 20, 40)
_PATIENCE_S = 180.0
_TWO = {"heavy": 2.0, "light": 1.0}
_THREE = {"large": 2.0, "usual": 1.0, "tiny": 0.05}
_TOLERANCE = 0.1


@dataclass(frozen=True, kw_only=True)
class Start:
    """A job that began: whose it is, and its size."""

    tenant: str
    units: float


async def starts(
    settings: Settings, folder: Path, weights: Mapping[str, float], steps: tuple[int, ...], seed: int
) -> list[Start]:
    """The first jobs that began, in their order, of tenants that all still had jobs waiting."""
    rng = random.Random(seed)
    with connect(settings) as redis:
        for tenant, weight in weights.items():
            Tenants(redis, settings).limit(tenant, TenantLimits(weight=weight))
    client = connect_async(settings)
    store = AsyncJobStore(client, settings)
    await store.start()
    ids: list[str] = []
    for _ in range(_SERVED):
        for tenant in weights:
            ids.append(uuid.uuid4().hex)
            await store.submit(ids[-1], spec_of("a beach", lane="batch", steps=rng.choice(steps)), tenant=tenant)
    with workers(settings, folder, bare=False):
        async with asyncio.timeout(_PATIENCE_S):
            began: list[tuple[float, Start]] = []
            while len(began) < _SERVED + 10:
                await asyncio.sleep(0.5)
                jobs = [job for job_id in ids if (job := await store.get(job_id))]
                began = [
                    (job.started_at, Start(tenant=job.tenant, units=record.units(job.spec)))
                    for job in jobs
                    if job.started_at is not None
                ]
    await store.stop()
    await client.aclose()
    return [start for _, start in sorted(began, key=lambda one: one[0])][:_SERVED]


def two_figures(found: list[Start]) -> dict[str, float]:
    """How the units were shared, and how far from the weights."""
    given: Counter[str] = Counter()
    for start in found:
        given[start.tenant] += start.units  # type: ignore[assignment]  # a Counter adds floats as well
    ratio, wanted = given["heavy"] / given["light"], _TWO["heavy"] / _TWO["light"]
    return {
        "fairness_units_ratio": ratio,
        "fairness_units_ratio_error": abs(ratio / wanted - 1),
        "fairness_jobs": float(len(found)),
    }


def three_figures(found: list[Start]) -> dict[str, float]:
    """How often the smallest was served, and the longest run of others' jobs before one of it."""
    places = [-1, *(place for place, start in enumerate(found) if start.tenant == "tiny"), len(found)]
    others = sum(weight for tenant, weight in _THREE.items() if tenant != "tiny")
    return {
        "fairness_tiny_jobs": float(len(places) - 2),
        "fairness_tiny_share": (len(places) - 2) / len(found),
        "fairness_tiny_weight_share": _THREE["tiny"] / (_THREE["tiny"] + others),
        "fairness_tiny_wait_jobs": float(max(after - before - 1 for before, after in pairwise(places))),
        # For each job it gets, each of the others gets its weight over the smallest, and one more by the granularity.
        "fairness_tiny_wait_jobs_bound": math.ceil(others / _THREE["tiny"]) + len(_THREE) - 1,
    }


async def measure(url: str, folder: Path, *, jobs: int, tries: int) -> dict[str, float]:
    """All figures."""
    behind = await backlog.measure(
        Settings(redis_url=url, key_prefix="bench"), folder / "behind", jobs=jobs, tries=tries, tenants=1
    )
    found = {
        "fairness_wait_stages": behind["interactive_wait_stages"],
        "fairness_wait_p50_ms": behind["interactive_wait_p50_ms"],
        "fairness_wait_worst_ms": behind["interactive_wait_worst_ms"],
        "fairness_stage_ms": behind["backlog_stage_ms"],
        "fairness_backlog_jobs": behind["backlog_jobs"],
    }
    two = Settings(redis_url=url, key_prefix="two")
    found |= two_figures(await starts(two, folder / "two", _TWO, _STEPS, seed=1))
    three = Settings(redis_url=url, key_prefix="three")
    return found | three_figures(await starts(three, folder / "three", _THREE, _STEPS[:1], seed=2))


def kept(found: Mapping[str, float]) -> dict[str, bool]:
    """What is promised, and whether it held."""
    return {
        "an interactive job waits for at most one running stage": found["fairness_wait_stages"] <= 1,
        "weights 2:1 give 2:1 of the units within 10 %": found["fairness_units_ratio_error"] <= _TOLERANCE,
        "nobody starves": found["fairness_tiny_wait_jobs"] <= found["fairness_tiny_wait_jobs_bound"],
    }


def main() -> int:
    """Measures, prints the figures, writes flat JSON if asked to. 1 when a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    parser.add_argument("--jobs", type=int, default=_JOBS)
    parser.add_argument("--tries", type=int, default=_TRIES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
        found = asyncio.run(measure(server.url, Path(folder), jobs=options.jobs, tries=options.tries))
    for name, figure in found.items():
        print(f"{name:32}{figure:12.3f}")
    for promise, held in kept(found).items():
        print(f"{promise:60}{'kept' if held else 'NOT KEPT'}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(not all(kept(found).values()))


if __name__ == "__main__":
    sys.exit(main())
