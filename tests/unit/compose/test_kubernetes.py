"""The manifests are valid, guard every pod, and say what the code understands. No cluster is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from api.service.schemas import QueueView
from compose.processes import ROOT
from shared.environment import check_names
from shared.settings import Settings
from tests.support.stack_files import MANIFESTS, manifests, pods

VERSION = "1.33"
OURS = [one for one in manifests() if not one["apiVersion"].startswith("keda.sh/")]
BY_KIND = {(one["kind"], one["metadata"]["name"]): one for one in manifests()}


def named(one: dict[str, Any]) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


@pytest.mark.parametrize("one", OURS, ids=named)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_object_fits_the_schema_of_its_kind(one: dict[str, Any]) -> None:
    kubernetes_validate.validate(one, VERSION, strict=True)


def test_the_kustomization_names_every_file_but_the_example() -> None:
    document = yaml.safe_load((ROOT / "compose" / "kubernetes" / "kustomization.yaml").read_text())
    assert set(document["resources"]) == {path.name for path in MANIFESTS} - {"secrets.example.yaml"}
    images = {one["image"] for pod in pods().values() for one in pod["containers"]}
    assert images == {image["name"] for image in document["images"]}


@pytest.mark.parametrize("name", pods())
def test_a_pod_is_nobody_and_writes_only_in_volumes(name: str) -> None:
    pod = pods()[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    # A service named troupe-api would put TROUPE_API_PORT into every pod.
    assert pod["enableServiceLinks"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= set(container["resources"])
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("name", [name for name in pods() if not name.startswith("fetch")])
def test_the_settings_of_a_pod_exist_and_are_valid(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (container,) = pods()[name]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "troupe"}}]
    given = dict(BY_KIND["ConfigMap", "troupe"]["data"])
    given |= {one["name"]: one["value"] for one in container.get("env", ())}
    check_names(given, Settings.model_fields)
    secrets = BY_KIND["Secret", "troupe"]["stringData"]
    for key, value in given.items():
        if key.endswith("_FILE"):
            assert value.removeprefix("/run/secrets/troupe/") in secrets
            (tmp_path / key).write_text("hush")
        monkeypatch.setenv(key, str(tmp_path / key) if key.endswith("_FILE") else value)
    assert Settings.read().auth is True


def test_generation_has_a_gpu_a_process_and_goes_one_by_one() -> None:
    (container,) = pods()["generation"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    update = BY_KIND["Deployment", "generation"]["spec"]["strategy"]["rollingUpdate"]
    assert (update["maxSurge"], update["maxUnavailable"]) == (0, 1)
    assert BY_KIND["PodDisruptionBudget", "generation"]["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("name", ["api", "generation"])
def test_a_disruption_budget_is_for_pods_that_exist(name: str) -> None:
    wanted = BY_KIND["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"]
    labels = BY_KIND["Deployment", name]["spec"]["template"]["metadata"]["labels"]
    assert wanted.items() <= labels.items()


def test_no_outage_of_redis_restarts_anything() -> None:
    for pod in pods().values():
        for container in pod["containers"]:
            assert container.get("livenessProbe", {}).get("httpGet", {"path": "/healthz"})["path"] == "/healthz"


def test_scaling_asks_the_api_for_the_backlog() -> None:
    # The parts of KEDA's ScaledObject (keda.sh/v1alpha1) that are used, by the names its documents give them.
    scaled = BY_KIND["ScaledObject", "generation"]
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    spec = scaled["spec"]
    assert set(spec) == {
        "scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval", "advanced", "triggers",
    }  # fmt: skip
    assert ("Deployment", spec["scaleTargetRef"]["name"]) in BY_KIND
    assert "replicas" not in BY_KIND["Deployment", "generation"]["spec"]
    (trigger,) = spec["triggers"]
    assert set(trigger) == {"type", "metricType", "metadata", "authenticationRef"}
    assert (trigger["type"], trigger["metricType"]) == ("metrics-api", "Value")
    asked = trigger["metadata"]
    assert set(asked) == {"url", "valueLocation", "targetValue", "authMode"}
    assert all(isinstance(value, str) for value in asked.values())
    assert asked["valueLocation"] in QueueView.model_fields
    service = BY_KIND["Service", "api"]
    address = re.fullmatch(r"http://(\w+)\.(\w+)\.svc:(\d+)(/v1/queue)", asked["url"])
    assert address is not None
    assert address[1] == service["metadata"]["name"]
    assert int(address[3]) == service["spec"]["ports"][0]["port"]
    assert ("Namespace", address[2]) in BY_KIND
    access = BY_KIND["TriggerAuthentication", trigger["authenticationRef"]["name"]]
    (secret,) = access["spec"]["secretTargetRef"]
    assert secret["parameter"] == "token"
    assert secret["key"] in BY_KIND["Secret", secret["name"]]["stringData"]
