"""Another Redis server takes over while workers work: none ends, and the next jobs are done."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from compose.servers import HOST
from shared.errors import RecordsUnavailable
from shared.stages import Stage
from tests.faults.conftest import quick
from tests.support.queue_harness import QueueHarness, queue_harness
from tests.support.replication import port_of, redis_pair, redis_sentinel
from tests.support.servers import fresh_settings
from tests.support.switch import tcp_switch

_BACK_S = 30.0


def submit_when_it_goes(harness: QueueHarness) -> str:
    """A job that is submitted as soon as Redis takes it."""
    deadline_s, pause = time.monotonic() + _BACK_S, threading.Event()
    while True:
        try:
            return harness.submit()
        except RecordsUnavailable:
            assert time.monotonic() < deadline_s, "no write was taken after the promotion"
            pause.wait(0.1)


def check_workers_lived(harness: QueueHarness) -> None:
    assert all(worker.process.poll() is None for worker in harness.workers)
    assert not any("Unrecoverable error" in log.read_text() for log in harness.logs)


def test_workers_go_on_at_the_server_that_took_over(s3_url: str, tmp_path: Path) -> None:
    with (
        redis_pair(tmp_path) as pair,
        tcp_switch(port_of(pair.primary)) as switch,
        queue_harness(quick(fresh_settings(switch.url, s3_url)), tmp_path) as harness,
    ):
        harness.start_workers("all")
        running = harness.submit("render=wait")
        harness.wait_for_run(running, Stage.RENDER)
        pair.promote()
        switch.target = port_of(pair.primary)
        job_id = submit_when_it_goes(harness)
        harness.unblock(running)
        harness.check_one_picture(running)
        harness.check_one_picture(job_id)
        check_workers_lived(harness)


def test_a_sentinel_leads_records_and_broker_to_the_server_that_took_over(s3_url: str, tmp_path: Path) -> None:
    with (
        redis_pair(tmp_path) as pair,
        redis_sentinel(tmp_path / "sentinel", "troupe", pair) as port,
        # The first Sentinel is away.
        queue_harness(
            quick(fresh_settings(f"sentinel://{HOST}:1,{HOST}:{port}/troupe/0", s3_url)), tmp_path
        ) as harness,
    ):
        harness.start_workers("all")
        harness.check_one_picture(harness.submit())
        pair.primary.kill()
        job_id = submit_when_it_goes(harness)
        harness.check_one_picture(job_id)
        check_workers_lived(harness)
