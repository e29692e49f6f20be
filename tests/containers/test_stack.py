from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import httpx
import pytest

from compose.processes import ROOT
from tests.containers.conftest import ContainerStack
from tests.support import port_scan
from tests.support.port_scan import open_ports
from tests.support.provenance import validated

pytestmark = pytest.mark.timeout(5400)

# What listens in each service on an address that others reach: its own ports, metrics on 9100, and the gRPC port of the
# S3 server, which answers nobody (tests/integration/test_compose_s3.py).
PORTS = {
    "redis": {6379},
    "s3": {8333, 18333},
    "api": {8000, 9100},
    "detection": {9100},
    "generation": {9100},
    "webhooks": {9100},
    "flower": {5555},
}


def addresses(stack: ContainerStack, service: str) -> list[str]:
    networks = stack.inspect(service)["NetworkSettings"]["Networks"]
    return [network["IPAddress"] for network in networks.values()]


def test_every_service_is_up_and_none_runs_as_root(container_stack: ContainerStack) -> None:
    states = [json.loads(line) for line in container_stack.compose("ps", "--format", "json").splitlines()]
    assert {one["Service"] for one in states} == set(PORTS)
    assert {one["State"] for one in states} == {"running"}
    assert {one["Health"] for one in states} == {"healthy"}
    for service in PORTS:
        found = container_stack.inspect(service)
        assert found["Config"]["User"] not in {"", "0", "root"}
        assert found["HostConfig"]["ReadonlyRootfs"] is True


@pytest.mark.parametrize("service", PORTS)
def test_from_the_host_only_the_ports_of_a_service_answer(container_stack: ContainerStack, service: str) -> None:
    for address in addresses(container_stack, service):
        assert set(asyncio.run(open_ports(address))) == PORTS[service]


@pytest.mark.parametrize("scanner", ["api", "webhooks", "generation", "flower"])
def test_from_another_container_only_the_ports_of_a_service_answer(
    container_stack: ContainerStack, scanner: str
) -> None:
    scan = Path(port_scan.__file__).read_text()
    own = set(container_stack.inspect(scanner)["NetworkSettings"]["Networks"])
    for service, ports in PORTS.items():
        networks = container_stack.inspect(service)["NetworkSettings"]["Networks"]
        reached = [network["IPAddress"] for name, network in networks.items() if name in own]
        told = container_stack.compose("exec", "-T", scanner, "python", "-c", scan, *reached, timeout_s=600)
        assert {frozenset(found) for found in json.loads(told).values()} <= {frozenset(ports)}


def test_a_picture_is_drawn_and_signed(container_stack: ContainerStack) -> None:
    told = container_stack.compose("exec", "-T", "api", "python", "-m", "api.auth.commands", "create", "test")
    key = re.search(r"troupe_[\w-]+", told)
    assert key is not None
    with httpx.Client(
        base_url=container_stack.url, headers={"Authorization": f"Bearer {key[0]}"}, timeout=120, trust_env=False
    ) as client:
        portraits = ROOT / "worker" / "mini" / "portraits"
        made = client.post(
            "/v1/jobs",
            data={"prompt": "a man and a woman on the beach", "phrase": ["the man", "the woman"]},
            files=[("photo", (portraits / f"{name}.png").read_bytes()) for name in ("ben", "anna")],
        )
        assert made.status_code == 202, made.text
        job = made.json()
        for _ in range(60):
            if job["done"]:
                break
            job = client.get(f"/v1/jobs/{job['id']}", params={"wait": 10}).json()
        assert job["status"] == "succeeded", job
        picture = client.get(f"/v1/jobs/{job['id']}/picture", headers={"Accept": "image/png"})
        assert validated(picture.content)[0] == "Valid"
