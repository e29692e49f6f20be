"""A worker with the stages of the tests: `celery -A tests.support.fault_app worker`."""

from __future__ import annotations

from celery import Celery

from shared.settings import Settings
from tests.support.fault_stages import load_stages
from worker.app import create_app


def __getattr__(name: str) -> Celery:
    if name != "app":
        raise AttributeError(name)
    return create_app(Settings(), load_stages)
