"""A picture that no live worker has room for is refused at submit; what may be served is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.errors import NoWorkerForSize
from shared.gauge import Gauge
from shared.job_store import Receipt, WorkerFacts
from shared.settings import Settings
from tests.integration.queue_records import Records

SMALL, LARGE = {"width_px": 512, "height_px": 512}, {"width_px": 1024, "height_px": 512}
ROOM = 512 * 512


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    found = Records(settings=settings)
    yield found
    found.close()


def worker(records: Records, name: str, *, max_pixels: int = ROOM, role: str = "all", draining: bool = False) -> None:
    """A worker that is ready, and forgets what was found out about the workers before."""
    records.fleet.beat(WorkerFacts(name=name, role=role, slots=1, bundle="mini", draining=draining))
    records.fleet.say_ready(name, ready=True, gauge=Gauge(max_pixels=max_pixels))
    records.redis.delete(f"{records.settings.key_prefix}:largest")


def test_a_job_larger_than_every_worker_is_refused_and_leaves_nothing(records: Records) -> None:
    worker(records, "one")
    worker(records, "two", max_pixels=ROOM // 2)
    with pytest.raises(NoWorkerForSize, match=str(ROOM)):
        records.submit(sampling=LARGE)
    assert records.where(records.submit(sampling=SMALL)) == ["ready"]
    assert len(list(records.redis.scan_iter(f"{records.settings.key_prefix}:job:*"))) == 1


def test_a_refused_job_costs_no_units(records: Records) -> None:
    worker(records, "one")
    records.limit("default", daily_units=100.0)
    with pytest.raises(NoWorkerForSize):
        records.submit(sampling=LARGE)
    receipt = Receipt()
    records.ask(lambda store: store.admit("default", receipt))
    assert [one.left for one in receipt.allowances] == [100]


def test_a_dry_run_says_so_too(records: Records) -> None:
    worker(records, "one")
    with pytest.raises(NoWorkerForSize):
        records.ask(lambda store: store.admit("default", Receipt(), pixels=ROOM + 1))
    records.ask(lambda store: store.admit("default", Receipt(), pixels=ROOM))


def test_without_a_worker_every_job_waits(records: Records) -> None:
    assert records.where(records.submit(sampling=LARGE)) == ["ready"]


def test_workers_that_draw_nothing_or_go_away_do_not_count(records: Records) -> None:
    worker(records, "looks", role="detection", max_pixels=0)
    worker(records, "leaves", draining=True)
    assert records.where(records.submit(sampling=LARGE)) == ["ready"]
    worker(records, "one")
    with pytest.raises(NoWorkerForSize):
        records.submit(sampling=LARGE)


def test_a_worker_that_still_loads_may_turn_out_to_be_large_enough(records: Records) -> None:
    worker(records, "one")
    records.fleet.beat(WorkerFacts(name="two", role="generation", slots=1, bundle="mini"))
    records.fleet.say_ready("two", ready=False, reason="loading")
    assert records.where(records.submit(sampling=LARGE)) == ["ready"]


def test_the_workers_are_looked_at_once_a_second(records: Records) -> None:
    worker(records, "one")
    records.submit(sampling=SMALL)
    assert 0 < records.redis.pttl(f"{records.settings.key_prefix}:largest") <= 1000
