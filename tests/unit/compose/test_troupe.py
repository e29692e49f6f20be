from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from api.client.connection import URL
from compose.direct import without_proxy
from compose.local import settings_here
from compose.stack import hold
from compose.troupe import url_here
from shared.settings import Settings

API = "http://10.1.2.3:8004"
HERE = "redis://127.0.0.1:6390/0"


def running(folder: Path) -> None:
    (folder / "state.json").write_text(json.dumps({"api": API, "redis": HERE, "s3": ""}))


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


def test_the_command_talks_to_the_stack_that_runs_here_whichever_port_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.setenv("no_proxy", "")
    running(tmp_path)
    assert url_here(tmp_path) == URL
    with hold(tmp_path):
        assert url_here(tmp_path) == API
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "example.org,127.0.0.1,localhost,::1,10.1.2.3"
    assert without_proxy({}) == dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost,::1")
