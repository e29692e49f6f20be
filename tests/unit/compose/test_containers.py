"""The container files speak of the settings, commands and versions that exist."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from typing import Any

import pytest
import yaml

from compose.processes import ROOT
from shared.broker import WORKER_ARGS
from shared.settings import Settings

COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
DOCKERFILES = {path.name: path.read_text() for path in (ROOT / "compose").glob("*.Dockerfile")}
KNOWN = {f"TROUPE_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("file", ["docker-compose.yml", "compose/env.example", *(f"compose/{n}" for n in DOCKERFILES)])
def test_every_setting_that_a_file_names_exists(file: str) -> None:
    named = set(re.findall(r"TROUPE_[A-Z0-9_]+", (ROOT / file).read_text()))
    assert named <= KNOWN


def test_the_values_given_to_the_services_are_valid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in SERVICES.values():
        with monkeypatch.context() as patch:
            for name, value in service.get("environment", {}).items():
                patch.setenv(name, re.sub(r"\$\{\w+(?::-|:\?)?([^}]*)\}", r"\1", value))
            Settings()


def test_there_is_one_worker_service_a_role_and_an_api() -> None:
    roles = {
        name: service["environment"].get("TROUPE_ROLE")
        for name, service in SERVICES.items()
        if "worker" in service.get("image", "")
    }
    assert roles == {"detection": "detection", "generation": "generation"}
    assert set(SERVICES) == {"redis", "s3", "api", "detection", "generation", "webhooks", "flower"}


def test_the_worker_starts_as_in_the_embedded_stack() -> None:
    command = re.search(r"^CMD (\[.*\])$", DOCKERFILES["worker.Dockerfile"], re.MULTILINE)
    assert command is not None
    assert yaml.safe_load(command[1]) == ["python", "-m", "celery", "-A", "worker.app", "worker", *WORKER_ARGS]


def test_the_deliverer_starts_as_in_the_embedded_stack() -> None:
    stages = re.split(r"^FROM ", DOCKERFILES["api.Dockerfile"], flags=re.MULTILINE)
    stage = next(stage for stage in stages if stage.startswith("base AS webhooks"))
    command = re.search(r"^CMD (\[.*\])$", stage, re.MULTILINE)
    assert command is not None
    assert yaml.safe_load(command[1]) == ["python", "-m", "celery", "-A", "worker.webhooks.app", "worker", *WORKER_ARGS]


@pytest.mark.parametrize("name", ["api", "detection", "generation", "webhooks", "flower"])
def test_what_a_person_sets_reaches_our_services(name: str) -> None:
    service = SERVICES[name]
    assert service["env_file"] == [{"path": ".env", "required": False}]
    # What the file itself sets wins over .env, so it must leave room for it.
    fixed = {setting for setting, value in service["environment"].items() if f"${{{setting}" not in value}
    assert fixed <= {"TROUPE_BUNDLE_FOLDER", "TROUPE_ROLE", "TROUPE_DEVICE", "TROUPE_API_HOST", "TROUPE_API_PORT"}


@pytest.mark.parametrize("module", ["api.__main__", "worker.app", "worker.webhooks.app"])
def test_the_modules_that_containers_start_exist(module: str) -> None:
    assert importlib.util.find_spec(module) is not None


def test_flower_can_look_but_not_touch() -> None:
    assert "--read_only=True" in SERVICES["flower"]["command"]
    assert SERVICES["flower"]["ports"] == ["127.0.0.1:5555:5555"]


def test_redis_forgets_nothing() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_installs_from_the_lock_with_the_locked_uv(name: str) -> None:
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    version = next(package["version"] for package in locked if package["name"] == "uv")
    text = DOCKERFILES[name]
    assert f"ghcr.io/astral-sh/uv:{version} " in text
    assert all("--frozen" in line for line in text.splitlines() if "uv sync" in line)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_an_image_copies_exists_and_reaches_the_build(name: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILES[name], re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored
