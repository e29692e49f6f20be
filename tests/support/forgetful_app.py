"""A worker as tests/support/fault_app.py has it, with Celery's own pool: it forgets what it has read of an answer."""

from __future__ import annotations

from celery import Celery

from tests.support import fault_app as usual


def __getattr__(name: str) -> Celery:
    if name != "app":
        raise AttributeError(name)
    made: Celery = usual.app
    made.conf.worker_pool = "prefork"
    return made
