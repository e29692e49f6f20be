from __future__ import annotations

import pytest

from shared.errors import RecordsUnavailable
from worker.queue.executor import retry_until_recorded, worker_name


def test_two_workers_of_one_machine_have_names_of_their_own() -> None:
    assert worker_name("celery@host", 1) != worker_name("celery@host", 2)


def test_what_redis_did_not_hear_is_said_again() -> None:
    calls: list[None] = []

    def tell() -> str:
        calls.append(None)
        if len(calls) == 1:
            message = "away"
            raise RecordsUnavailable(message)
        return "heard"

    assert retry_until_recorded(tell, for_s=30.0) == "heard"


def test_nobody_is_told_for_ever() -> None:
    def tell() -> None:
        message = "away"
        raise RecordsUnavailable(message)

    with pytest.raises(RecordsUnavailable):
        retry_until_recorded(tell, for_s=0.0)
