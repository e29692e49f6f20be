"""The figures of a worker: of its supervisor and of its executors, including those that were killed."""

from __future__ import annotations

import os
import signal

from compose.servers import HOST, free_port
from shared.stages import Stage
from tests.support.queue_harness import QueueHarness
from tests.support.scrape import scrape


def test_supervisor_and_executors_are_counted_together_and_a_killed_executor_loses_no_count(
    harness: QueueHarness,
) -> None:
    port = free_port()
    worker = harness.start_worker(metrics_port=port)
    harness.until("a ready worker", harness.ready)
    harness.wait_until_done(harness.submit("share=one"))
    harness.wait_until_done(harness.submit("share=one"))
    harness.wait_until_done(harness.submit("detect=no_face"))
    dies = harness.submit("personalize=wait")
    os.kill(harness.wait_for_run(dies, Stage.PERSONALIZE).pid, signal.SIGKILL)
    harness.unblock(dies)
    harness.check_one_picture(dies)

    figures = scrape(f"http://{HOST}:{port}")
    assert figures.of("troupe_attempts_total", stage="personalize", outcome="done") == 3
    assert figures.of("troupe_attempts_total", stage="detect", outcome="failed") == 1
    assert figures.of("troupe_stage_seconds_count", stage="render", reused="false") == 3
    assert figures.of("troupe_stage_seconds_count", stage="render", reused="true") == 1
    assert figures.of("troupe_steps_total", stage="verify") == 6
    assert figures.of("troupe_executors_lost_total") == 1
    harness.stop_worker(worker)


def test_a_port_that_is_taken_is_told_and_stops_no_work(harness: QueueHarness) -> None:
    port = free_port()
    harness.start_worker(metrics_port=port)
    harness.start_worker(metrics_port=port)
    harness.until("two ready workers", lambda: len(harness.ready()) == 2)
    [line] = [line for line in harness.log_lines() if line["event"] == "metrics_not_served"]
    assert line["port"] == port
