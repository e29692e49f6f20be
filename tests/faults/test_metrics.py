"""The figures of a worker: of its parent and of its pool children, also of those that were killed."""

from __future__ import annotations

import os
import signal

from compose.servers import HOST, free_port
from shared.stages import Stage
from tests.support.queue_rig import Rig
from tests.support.scrape import scrape


def test_parent_and_children_are_told_together_and_a_killed_child_takes_nothing_with_it(stand: Rig) -> None:
    port = free_port()
    worker = stand.start_worker(metrics_port=port)
    stand.until("a ready worker", stand.ready)
    stand.wait_until_done(stand.submit("share=one"))
    stand.wait_until_done(stand.submit("share=one"))
    stand.wait_until_done(stand.submit("detect=no_face"))
    dies = stand.submit("personalize=wait")
    os.kill(stand.wait_for_run(dies, Stage.PERSONALIZE).pid, signal.SIGKILL)
    stand.let_go(dies)
    stand.check_one_picture(dies)

    figures = scrape(f"http://{HOST}:{port}")
    assert figures.of("troupe_attempts_total", stage="personalize", outcome="done") == 3
    assert figures.of("troupe_attempts_total", stage="detect", outcome="failed") == 1
    assert figures.of("troupe_stage_seconds_count", stage="render", reused="false") == 3
    assert figures.of("troupe_stage_seconds_count", stage="render", reused="true") == 1
    assert figures.of("troupe_steps_total", stage="verify") == 6
    assert figures.of("troupe_executors_lost_total") == 1
    stand.stop_worker(worker)


def test_a_port_that_is_taken_is_told_and_stops_no_work(stand: Rig) -> None:
    port = free_port()
    stand.start_worker(metrics_port=port)
    stand.start_worker(metrics_port=port)
    stand.until("two ready workers", lambda: len(stand.ready()) == 2)
    [line] = [line for line in stand.log_lines() if line["event"] == "metrics_not_served"]
    assert line["port"] == port
