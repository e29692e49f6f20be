"""The stack of docker-compose.yml in a container engine. Where no engine answers, its tests are skipped and say so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compose.processes import ROOT
from compose.servers import free_port

# Two images with a gigabyte of packages each, on a slow machine.
_BUILD_S = 3600
_UP_S = 1200


@dataclass(frozen=True, kw_only=True)
class ContainerStack:
    """A running project of Compose, made from a clone whose files only their owner may read."""

    clone: Path
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        """Address of the API on this host."""
        return f"http://127.0.0.1:{self.environment['API_PORT']}"

    def compose(self, *words: str, timeout_s: float = 120) -> str:
        """What `docker compose WORDS` prints. Raises CalledProcessError."""
        return _run(["docker", "compose", *words], self, timeout_s)

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        container = self.compose("ps", "-q", service).split()[0]
        found: list[dict[str, Any]] = json.loads(_run(["docker", "inspect", container], self, 60))
        return found[0]


def _run(words: list[str], stack: ContainerStack, timeout_s: float) -> str:
    done = subprocess.run(
        words, cwd=stack.clone, env=stack.environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def container_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerStack]:
    """The whole stack on the small bundle and the CPU, built from the working tree's commit, up and healthy."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        pytest.skip("no container engine answers here (docker info)")
    folder = tmp_path_factory.mktemp("containers")
    subprocess.run(
        ["sh", "-c", 'umask 077 && git clone -q "$0" "$1"', ROOT, folder / "clone"], check=True, capture_output=True
    )
    subprocess.run([folder / "clone" / "compose" / "secrets.sh", folder / "secrets"], check=True, capture_output=True)
    stack = ContainerStack(
        clone=folder / "clone",
        environment={
            **os.environ,
            "COMPOSE_PROJECT_NAME": f"troupe-test-{uuid.uuid4().hex[:8]}",
            "COMPOSE_FILE": "docker-compose.yml:compose/cpu.yml",
            "SECRETS_FOLDER": str(folder / "secrets"),
            "IMAGE_TAG": "test",
            "API_PORT": str(free_port()),
            "FLOWER_PORT": str(free_port()),
        },
    )
    try:
        stack.compose("build", timeout_s=_BUILD_S)
        stack.compose("up", "-d", "--wait", timeout_s=_UP_S)
        yield stack
    finally:
        stack.compose("down", "-v", timeout_s=_UP_S)
