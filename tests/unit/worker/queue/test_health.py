from __future__ import annotations

import pytest

from shared.settings import Settings
from shared.store.queue.values import WorkerStatus
from worker.queue.health import host_of, state_of

SETTINGS = Settings(role="generation")


def worker(name: str, *, ready: bool = True, draining: bool = False, reason: str = "") -> WorkerStatus:
    role = name.partition("@")[0]
    return WorkerStatus(name=name, role=role, slots=1, bundle="mini", ready=ready, draining=draining, reason=reason)


def test_a_host_name_may_have_dots() -> None:
    assert host_of("generation@gpu1.example.org.17") == "gpu1.example.org"


def test_only_a_ready_worker_of_this_role_and_host_is_health() -> None:
    others = [worker("generation@gpu2.7"), worker("detection@gpu1.8")]
    assert state_of([*others, worker("generation@gpu1.9")], "gpu1", SETTINGS) == (True, "ready: generation@gpu1.9")
    assert state_of(others, "gpu1", SETTINGS)[0] is False


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (worker("generation@gpu1.9", ready=False), "loading"),
        (worker("generation@gpu1.9", ready=False, reason="unet is missing"), "unet is missing"),
        (worker("generation@gpu1.9", draining=True), "draining"),
    ],
)
def test_why_a_worker_takes_no_jobs_is_said(facts: WorkerStatus, words: str) -> None:
    assert state_of([facts], "gpu1", SETTINGS) == (False, f"generation@gpu1.9: {words}")
