"""Nothing phones home: no library that works on the photos of real people reports to its maker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from compose.processes import ROOT
from shared.no_telemetry import VARIABLES
from tests.support.hosts import device_ids, hosts, needs_hosts, recorded

# The libraries turn their telemetry off by themselves where they believe to be under test.
_UNDER_TEST = re.compile(r"^(CI|GITHUB_ACTIONS|PYTEST_.*|TF_BUILD)$")


def run_at(home: Path, code: str) -> None:
    """Runs Python as a person does who has this home and none of our variables."""
    environment = {name: value for name, value in os.environ.items() if not _UNDER_TEST.match(name)}
    for name in VARIABLES:
        environment.pop(name, None)
    home.mkdir()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**environment, "HOME": str(home)}, check=True)


def test_a_worker_that_loads_its_models_leaves_no_device_id(tmp_path: Path) -> None:
    run_at(tmp_path / "bare", "import onnxruntime")
    assert device_ids(tmp_path / "bare"), "ONNX Runtime has changed: look again what this version writes and sends"
    run_at(tmp_path / "ours", "import worker.models.faces, onnxruntime")
    assert device_ids(tmp_path / "ours") == []


def test_every_image_that_holds_model_libraries_has_the_variables() -> None:
    # A person may start another program in the container than a worker.
    text = (ROOT / "compose" / "worker.Dockerfile").read_text()
    words = " ".join(re.findall(r"^ENV (.*(?:\\\n.*)*)", text, re.MULTILINE)).split()
    assert {f"{name}={value}" for name, value in VARIABLES.items()} <= set(words)


def test_the_servers_of_the_compose_file_report_nothing() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert "-master.telemetry=false" in services["s3"]["command"]
    grafana = services["grafana"]["environment"]
    silent = {"GF_ANALYTICS_REPORTING_ENABLED", "GF_ANALYTICS_CHECK_FOR_UPDATES", "GF_NEWS_NEWS_FEED_ENABLED"}
    assert {grafana[name] for name in silent} == {"false"}
    assert grafana["GF_SECURITY_DISABLE_GRAVATAR"] == "true"


def test_names_and_addresses_of_others_are_recorded(tmp_path: Path) -> None:
    needs_hosts()
    with hosts(1) as (host,), recorded(host, tmp_path) as record:
        code = "import socket\nsocket.create_connection(('collector.example', 443), 0.2)"
        subprocess.run(host.command([sys.executable, "-c", code]), check=False, capture_output=True)
        assert {"name collector.example", "address 203.0.113.7"} <= set(record.foreign())
