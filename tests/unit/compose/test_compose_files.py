"""The compose files are valid, resolve from env.example, guard every service, and say what the code understands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from compose.processes import ROOT
from shared.environment import check_names
from shared.settings import Settings
from tests.support.stack_files import (
    MAIN,
    OVERRIDES,
    Unresolved,
    compose_file,
    env_example,
    ours,
    resolved,
    services,
)

OURS = {"setup", "api", "detection", "generation", "webhooks", "flower"}
ONE_SHOTS = {"setup", "fetch"}
SERVICES = services()
SCHEMA = json.loads((Path(__file__).parent / "compose-spec.json").read_text())


@pytest.mark.parametrize("name", [MAIN, *OVERRIDES])
def test_a_file_fits_the_schema_of_the_compose_specification(name: str) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(compose_file(name))


def test_every_variable_has_a_default_or_a_value_in_the_example() -> None:
    assert resolved(compose_file(MAIN), {})["name"] == "troupe"
    assert resolved(compose_file("compose/cpu.yml"), env_example())


@pytest.mark.parametrize(
    ("name", "missing"), [("compose/api-host.yml", "BIND_ADDRESS"), ("compose/gpu-host.yml", "TROUPE_REDIS_URL")]
)
def test_what_only_the_operator_knows_is_asked_for_by_name(name: str, missing: str) -> None:
    with pytest.raises(Unresolved, match=missing):
        resolved(compose_file(name), {})


def test_the_services_are_those_of_the_readme() -> None:
    assert set(SERVICES) == OURS | {"redis", "s3", "fetch", "prometheus", "grafana"}
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert profiles == {"fetch": ["fetch"], "prometheus": ["metrics"], "grafana": ["metrics"]}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_not_root_writes_only_in_volumes_and_has_limits(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert service["logging"]["options"] == {"max-size": "20m", "max-file": "5"}
    assert "privileged" not in service
    # Our own images say it themselves: see the Dockerfiles' USER.
    assert service.get("user", "10001") not in {"root", "0", "0:0"}
    assert "user" in service or ours(service)


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOTS))
def test_a_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_foreign_image_is_pinned_to_a_release(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].partition(":")
    assert ours(SERVICES[name]) or re.fullmatch(r"v?\d+(\.\d+)+(-alpine)?", tag), image


def test_one_service_builds_an_image_and_the_others_do_not_look_for_it_elsewhere() -> None:
    images: dict[str, list[dict[str, Any]]] = {}
    for service in SERVICES.values():
        if ours(service):
            images.setdefault(service["image"], []).append(service)
    assert set(images) == {f"troupe-{name}:local" for name in ("api", "worker", "webhooks", "flower")}
    for sharing in images.values():
        assert len([service for service in sharing if "build" in service]) == 1
        assert all(service["pull_policy"] == "never" for service in sharing if "build" not in service)


def test_everybody_waits_for_the_setup_and_the_setup_for_healthy_servers() -> None:
    for name in OURS - {"setup"}:
        assert SERVICES[name]["depends_on"] == {"setup": {"condition": "service_completed_successfully"}}
    healthy = {"condition": "service_healthy"}
    assert SERVICES["setup"]["depends_on"] == {"redis": healthy, "s3": healthy}


def test_what_is_secret_is_in_files_and_nowhere_else() -> None:
    document = compose_file(MAIN)
    used = {
        secret["source"] if isinstance(secret, dict) else secret
        for service in SERVICES.values()
        for secret in service.get("secrets", [])
    }
    assert used == set(document["secrets"])
    assert all(list(secret) == ["file"] for secret in document["secrets"].values())
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            assert not re.search("SECRET|PASSWORD|KEY", name) or name.endswith(("_FILE", "ACCESS_KEY", "C2PA_KEY")), (
                name
            )
    assert not re.search("SECRET|PASSWORD", " ".join(env_example()))


def test_redis_and_the_workers_are_on_a_network_without_a_way_out() -> None:
    assert compose_file(MAIN)["networks"]["inside"] == {"internal": True}
    assert [name for name in SERVICES if SERVICES[name]["networks"] == ["inside"]] == [
        "redis", "setup", "detection", "generation",
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in SERVICES if "ports" in SERVICES[name]])
def test_a_port_is_published_to_this_machine_alone_unless_the_operator_says_otherwise(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in services({})[name]["ports"])


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_settings_of_a_service_exist_and_are_valid(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = {key: str(value) for key, value in SERVICES[name]["environment"].items()}
    # .env reaches our containers as a whole.
    given = {**{key: value for key, value in env_example().items() if key.startswith("TROUPE_")}, **given}
    check_names(given, Settings.model_fields)
    for key, value in given.items():
        if key.endswith("_FILE"):
            assert value.removeprefix("/run/secrets/") in SERVICES[name]["secrets"]
            (tmp_path / key).write_text("hush")
        monkeypatch.setenv(key, str(tmp_path / key) if key.endswith("_FILE") else value)
    settings = Settings.read()
    assert settings.s3_secret_key.get_secret_value() == "hush"
    assert settings.broker_address == settings.redis_address
    assert settings.redis_address.full_url == "redis://:hush@redis:6379/0"


@pytest.mark.parametrize("name", [*OVERRIDES, "compose/env.example"])
def test_a_setting_that_another_file_names_exists(name: str) -> None:
    named = set(re.findall(r"TROUPE_[A-Z0-9_]+", (ROOT / name).read_text()))
    check_names(dict.fromkeys(named, ""), Settings.model_fields)


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_a_person_sets_reaches_our_services(name: str) -> None:
    service = compose_file(MAIN)["services"][name]
    assert service["env_file"] == [{"path": ".env", "required": False}]
    # What the file itself sets wins over .env, so it must leave room for it.
    environment = service["environment"]
    fixed = {setting for setting, value in environment.items() if f"${{{setting}" not in value}
    differs = {"BUNDLE_FOLDER", "ROLE", "DEVICE", "GPU_FOLDER", "API_HOST", "API_PORT", "METRICS_HOST", "METRICS_PORT"}
    secret = {"REDIS_PASSWORD_FILE", "S3_SECRET_KEY_FILE", "C2PA_CERTIFICATE", "C2PA_KEY"}
    assert fixed <= {f"TROUPE_{end}" for end in differs | secret}


def test_redis_forgets_nothing() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    limit = SERVICES["redis"]["deploy"]["resources"]["limits"]["memory"]
    assert (env_example()["REDIS_MEMORY"], limit) == ("1536mb", "3g")


def test_without_a_gpu_none_is_asked_for_and_the_small_checkpoints_run() -> None:
    generation = compose_file("compose/cpu.yml")["services"]["generation"]
    assert generation["deploy"]["resources"]["reservations"]["devices"] == []
    assert generation["environment"] == {"TROUPE_BUNDLE": "mini", "TROUPE_DEVICE": "cpu"}


def test_detection_moves_to_the_first_gpu_or_the_named_one_when_it_is_asked_to() -> None:
    document = compose_file("compose/gpu-detection.yml")
    assert SERVICES["detection"]["environment"]["TROUPE_DEVICE"] == "cpu"
    for environment, device in (({}, "cuda"), ({"DETECTION_DEVICE": "cuda:1"}, "cuda:1")):
        detection = resolved(document, environment)["services"]["detection"]
        assert Settings(device=detection["environment"]["TROUPE_DEVICE"]).device == device
        assert detection["deploy"] == {
            "resources": {"reservations": SERVICES["generation"]["deploy"]["resources"]["reservations"]}
        }


def test_a_gpu_host_starts_workers_and_nothing_else() -> None:
    document: dict[str, Any] = compose_file("compose/gpu-host.yml")["services"]
    elsewhere = {name for name, service in document.items() if service.get("profiles") == ["elsewhere"]}
    assert set(document) - elsewhere == {"detection", "generation"}
    # What has no profile of its own would start, too.
    assert {name for name in SERVICES if "profiles" not in SERVICES[name]} == set(document)
    for name in ("detection", "generation"):
        assert (document[name]["depends_on"], document[name]["networks"]) == ([], ["outside"])
