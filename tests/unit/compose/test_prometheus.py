"""Alert rules and the dashboard ask for figures that there are, and rules fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.service.http_metrics import Requests
from api.service.queue_metrics import OWN_FAULTS, families, owner_family
from compose.processes import ROOT
from shared.errors import RequestError, TroupeError
from shared.store.owner import Ownership
from shared.store.queue.totals import Totals
from shared.store.queue.values import WorkerStatus
from shared.telemetry.metrics import meters

PROMETHEUS = ROOT / "compose" / "prometheus"
DASHBOARD = ROOT / "compose" / "grafana" / "dashboards" / "troupe.json"
RULES = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())
# Prometheus tells these by itself.
GIVEN = {
    "up": {"job", "instance", "service"},
    "process_resident_memory_bytes": {"job"},
    "ALERTS": {"alertstate", "alertname"},
}
_NAME = re.compile(rf"\b(troupe_\w+|{'|'.join(GIVEN)})\b(\{{[^}}]*\}})?")


def told() -> dict[str, set[str]]:
    """Every sample that our processes tell, with the names of its labels."""
    requests = Requests()
    requests.note({"method": "GET"}, 200, 0.1)
    totals = Totals.model_validate(
        {
            "lanes": {
                lane: {
                    "ready": {kind: {"jobs": 1, "oldest_s": 1} for kind in ("light", "usual", "heavy")},
                    **dict.fromkeys(("waiting", "dispatched", "leases", "lines", "units"), 1),
                }
                for lane in ("interactive", "batch")
            },
            **dict.fromkeys(("delayed", "batches", "speed", "late_s"), 1),
            "counts": {},
            "memory": {"used": 1, "max": 2},
        }
    )
    workers = [
        WorkerStatus(
            name="worker", role="all", slots=1, bundle="mini", ready=True, memory_mb=2, free_mb=1, steps_per_s=3
        )
    ]
    found: dict[str, set[str]] = {name: set() for name in GIVEN}
    for family in (*requests.collect(), *families(totals, workers), owner_family(Ownership())):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    for meter in vars(meters()).values():
        for family in meter.collect():
            for suffix in _SUFFIXES[family.type]:
                found[family.name + suffix] = {*meter._labelnames, *(["le"] if suffix == "_bucket" else [])}
    return {**found, **GIVEN}


_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def expressions() -> Iterator[tuple[str, str]]:
    """Every question that the rules and the dashboard ask, and where."""
    for rule in RULES["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"]
    board = json.loads(DASHBOARD.read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for note in board["annotations"]["list"]:
        yield note["name"], note["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_figure_that_is_asked_for_is_told(where: str, expression: str) -> None:
    known = told()
    asked = _NAME.findall(expression)
    assert asked, f"{where} asks for nothing"
    for name, labels in asked:
        assert name in known, f"{where} asks for {name}"
        names = set(re.findall(r"(\w+)\s*[=!]", labels))
        assert names <= known[name], f"{where} asks for {names - known[name]} of {name}"


def test_every_rule_says_how_bad_it_is_and_what_to_do() -> None:
    [group] = RULES["groups"]
    for rule in group["rules"]:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert len(rule["annotations"]["summary"]) > 60


def test_failures_that_no_job_is_to_blame_for_are_those_of_the_alert() -> None:
    [rule] = [rule for rule in RULES["groups"][0]["rules"] if rule["alert"] == "TroupeJobsFail"]
    [pattern] = re.findall(r'code=~"([^"]+)"', rule["expr"])
    assert all(re.fullmatch(pattern, code) for code in OWN_FAULTS)
    to_blame = [kind.code for kind in _kinds(RequestError)]
    assert not any(re.fullmatch(pattern, code) for code in to_blame)


def _kinds(kind: type[TroupeError]) -> Iterator[type[TroupeError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is missing: Debian has it in the package prometheus")
    return subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)


def test_prometheus_takes_the_configuration() -> None:
    done = promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_are_there_when_they_should_be_and_no_others(tmp_path: Path) -> None:
    played = tmp_path / "alerts.yml"
    text = Path(__file__).with_name("alerts.yml").read_text()
    played.write_text(text.replace("RULES", str(PROMETHEUS / "rules.yml")))
    done = promtool("test", "rules", str(played))
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_asks_where_our_containers_answer() -> None:
    [job] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    [target] = job["dns_sd_configs"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in target["names"]:
        assert services[name]["environment"]["TROUPE_METRICS_PORT"] == str(target["port"])
        assert "inside" in services[name]["networks"]
        assert not any(str(target["port"]) in port for port in services[name].get("ports", ()))


def test_grafana_finds_the_dashboard_and_its_source() -> None:
    def provision(kind: str, name: str) -> Any:
        return yaml.safe_load((ROOT / "compose" / "grafana" / "provisioning" / kind / name).read_text())

    [source] = provision("datasources", "prometheus.yml")["datasources"]
    board = json.loads(DASHBOARD.read_text())
    used = {target["datasource"]["uid"] for panel in board["panels"] for target in panel.get("targets", ())}
    assert used == {source["uid"]}
    assert provision("dashboards", "troupe.yml")["providers"][0]["options"]["path"] == "/var/lib/grafana/dashboards"
    places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
    assert len(set(places)) == len(places)
