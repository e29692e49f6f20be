"""The broker is away while the records are there: nothing stops, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from shared.settings import Settings
from shared.stages import Stage
from shared.store.queue.values import WorkerStatus
from tests.support.fakes import no_stages
from tests.support.queue_records import Records
from worker.app import create_app
from worker.queue.dispatcher import Dispatcher
from worker.queue.reaper import Reaper

# Nobody listens there.
NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    made = Records(settings=settings.model_copy(update={"broker_url": NOBODY}))
    yield made
    made.close()


def test_a_job_whose_message_could_not_be_published_waits_for_the_reaper(records: Records) -> None:
    records.queue_store.report_readiness("worker", ready=True)
    records.queue_store.heartbeat(WorkerStatus(name="worker", role="all", slots=1, bundle="mini"))
    job_id = records.submit()
    app = create_app(records.settings, no_stages)
    Dispatcher(app, records.queue_store, records.settings, "me").tick(threading.Event())
    assert records.where(job_id) == ["dispatched"]


def test_leases_are_looked_after(records: Records) -> None:
    claim = records.claimed()
    records.run_out(claim.job.id)
    Reaper(create_app(records.settings, no_stages), records.queue_store, records.settings).sweep()
    job = records.jobs.get(claim.job.id)
    assert (job.status, job.stage) == ("queued", Stage.IDENTIFY)
