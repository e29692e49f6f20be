from __future__ import annotations

import json
from pathlib import Path

import pytest

from compose.local import settings_here
from compose.stack import hold
from shared.settings import Settings

HERE = "redis://127.0.0.1:6390/0"


def running(folder: Path) -> None:
    (folder / "state.json").write_text(json.dumps({"api": "http://127.0.0.1:8000", "redis": HERE, "s3": ""}))


def test_keys_are_made_on_the_stack_that_runs_here(tmp_path: Path) -> None:
    running(tmp_path)
    with hold(tmp_path):
        assert settings_here(tmp_path).redis_url == HERE


def test_a_redis_that_the_environment_names_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUPE_REDIS_URL", "redis://elsewhere:6379/0")
    running(tmp_path)
    with hold(tmp_path):
        assert settings_here(tmp_path).redis_url == "redis://elsewhere:6379/0"


def test_without_a_stack_the_settings_hold(tmp_path: Path) -> None:
    running(tmp_path)
    assert settings_here(tmp_path) == Settings()
