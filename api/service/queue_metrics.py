"""The state of the queue as Prometheus metrics, from one read of Redis at every scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from shared.job import Lane, Status
from shared.stages import Stage
from shared.store.owner import Ownership
from shared.store.queue.totals import TENANT_CLASSES, LaneTotals, Totals
from shared.store.queue.values import WorkerStatus

Rows = Sequence[tuple[Sequence[str], float]]

LANES: tuple[Lane, ...] = ("interactive", "batch")
ROLES = ("detection", "generation", "all")
# Error codes that no job causes. They are exported from the start, so that an alert sees the first one.
OWN_FAULTS = (
    "internal",
    "worker_lost",
    "out_of_memory",
    "blobs_unavailable",
    "blobs_refused",
    "blob_damaged",
    "records_unavailable",
)
WorkerState = Literal["ready", "loading", "broken", "draining"]
_STATES: tuple[WorkerState, ...] = ("ready", "loading", "broken", "draining")
# Reasons that an executor reports while it starts (worker/queue/executor.py).
_UNDER_WAY = frozenset({"", "loading", "warming up"})


def state_of(worker: WorkerStatus) -> WorkerState:
    """The state of a worker."""
    if worker.draining:
        return "draining"
    if worker.ready:
        return "ready"
    return "loading" if worker.reason in _UNDER_WAY else "broken"


def families(totals: Totals | None, workers: list[WorkerStatus]) -> Iterator[Metric]:
    """All metric families; without totals (Redis did not answer) only `troupe_redis_up`."""
    yield _gauge("troupe_redis_up", "Whether Redis answered the scrape", [], [([], totals is not None)])
    if totals is None:
        return
    memory = [(["used"], totals.memory.used), (["max"], totals.memory.max)]
    yield _gauge("troupe_redis_memory_bytes", "Memory of Redis; max is 0 without a limit", ["kind"], memory)
    yield from _workers(workers)
    yield from _lanes(totals, workers)
    yield _gauge("troupe_jobs_delayed", "Jobs that pause before a retry", [], [([], totals.delayed)])
    yield _gauge("troupe_batches", "Batches in progress", [], [([], totals.batches)])
    words = "Age of the oldest webhook delivery that is due and not taken"
    yield _gauge("troupe_webhook_late_seconds", words, [], [([], totals.late_s)])
    yield _gauge("troupe_speed_units", "Units a second of one generation worker, as measured", [], [([], totals.speed)])
    yield from _counts(totals)


def owner_family(ownership: Ownership | None) -> Metric:
    """Whether the bucket is this installation's; without a sample until this process has looked."""
    words = "Whether the bucket belongs to this installation; only then orphaned blobs are deleted"
    return _gauge("troupe_bucket_owned", words, [], [] if ownership is None else [([], ownership.owned)])


def _lanes(totals: Totals, workers: list[WorkerStatus]) -> Iterator[Metric]:
    lanes = totals.lanes
    waiting = [(lane, kind, lanes[lane].ready[kind]) for lane in LANES for kind in TENANT_CLASSES]
    labels = ["lane", "tenant_class"]
    jobs = [([lane, kind], one.jobs) for lane, kind, one in waiting]
    yield _gauge("troupe_jobs_ready", "Jobs to dispatch, by their tenant's weight", labels, jobs)
    ages = [([lane, kind], one.oldest_s) for lane, kind, one in waiting]
    yield _gauge("troupe_jobs_ready_oldest_seconds", "Age of the oldest of them", labels, ages)
    slots = max(1, sum(one.slots for one in workers if one.ready and one.role != "detection"))
    units_per_s = totals.speed * slots

    def of_lanes(name: str, words: str, number: str) -> Metric:
        return _gauge(name, words, ["lane"], [([lane], _number(lanes[lane], number)) for lane in LANES])

    yield of_lanes("troupe_jobs_waiting", "Jobs that wait for a result of another job", "waiting")
    yield of_lanes("troupe_batch_lines_queued", "Batch lines that have no job yet", "lines")
    yield of_lanes("troupe_jobs_dispatched", "Jobs sent to Celery and not yet claimed", "dispatched")
    yield of_lanes("troupe_leases", "Jobs that a worker has claimed", "leases")
    yield of_lanes("troupe_backlog_units", "Units of all queued work", "units")
    if totals.speed:
        words = "Seconds that the ready workers need for all queued work"
        seconds = [([lane], lanes[lane].units / units_per_s) for lane in LANES]
        yield _gauge("troupe_backlog_seconds", words, ["lane"], seconds)


def _workers(workers: list[WorkerStatus]) -> Iterator[Metric]:
    found = Counter((worker.role, state_of(worker)) for worker in workers)
    rows = [([role, state], found[role, state]) for role in ROLES for state in _STATES]
    yield _gauge("troupe_workers", "Live workers", ["role", "state"], rows)
    # One series for each live worker.
    memory = [
        ([worker.name, kind], megabytes * 1e6)
        for worker in workers
        if worker.memory_mb
        for kind, megabytes in (("total", worker.memory_mb), ("free", worker.free_mb))
    ]
    yield _gauge("troupe_gpu_memory_bytes", "Memory of a worker's device", ["worker", "kind"], memory)
    paces = [([worker.name], worker.steps_per_s) for worker in workers if worker.steps_per_s]
    words = "Denoising steps a second in a worker's last stages"
    yield _gauge("troupe_steps_per_second", words, ["worker"], paces)


def _counts(totals: Totals) -> Iterator[Metric]:
    ended = totals.counted("ended")
    over = [status.value for status in Status if status not in {Status.QUEUED, Status.RUNNING}]
    rows = [([lane, status], ended.get((lane, status), 0)) for lane in LANES for status in over]
    yield _counter("troupe_jobs_ended", "Jobs that have ended", ["lane", "status"], rows)
    codes = {**dict.fromkeys(OWN_FAULTS, 0), **{code: number for (code,), number in totals.counted("failed").items()}}
    failed = [([code], number) for code, number in codes.items()]
    yield _counter("troupe_jobs_failed", "Failed jobs by error code", ["code"], failed)
    done = totals.counted("done")
    rows = [([stage.value, how], done.get((stage.value, how), 0)) for stage in Stage for how in ("made", "reused")]
    yield _counter(
        "troupe_stages_done",
        "Finished stages; reused: an equal result existed or was waited for",
        ["stage", "how"],
        rows,
    )
    lost = totals.counted("lost")
    rows = [([stage.value], lost.get((stage.value,), 0)) for stage in Stage]
    yield _counter("troupe_leases_lost", "Leases that ended because the worker died or went silent", ["stage"], rows)


def _number(lane: LaneTotals, name: str) -> float:
    number: float = getattr(lane, name)
    return number


def _gauge(name: str, words: str, labels: list[str], rows: Rows) -> Metric:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _counter(name: str, words: str, labels: list[str], rows: Rows) -> Metric:
    family = CounterMetricFamily(name, words, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family
