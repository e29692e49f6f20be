"""The commands and health checks of docker-compose.yml as plain processes, with the embedded Redis and S3.

What a container adds to them (its file system, its network, its user) is not run here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from compose.processes import ROOT, Processes, Program
from compose.servers import HOST, free_port, listens, redis_binary, s3_program
from shared.environment import EXIT_CONFIG
from tests.support.stack_files import compose_file, resolved, services

WAITED_FOR = ("api", "detection", "generation", "webhooks")
# Loading the small checkpoints on a busy machine of two cores.
_START_S = 150.0


class Host:
    """Where a container would find things: paths and ports of this test in place of those in the file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.secrets = folder, folder / "secrets"
        subprocess.run([ROOT / "compose" / "secrets.sh", self.secrets], check=True, capture_output=True)
        self.ports = {port: str(free_port()) for port in ("6379", "8333", "8000")}

    def here(self, text: str) -> str:
        """A word of a command or an environment, as it is on this host."""
        for inside, outside in (
            ("/run/secrets/", f"{self.secrets}/"),
            ("/gpus", str(self.folder / "gpus")),
            ("redis:6379", f"{HOST}:{self.ports['6379']}"),
            ("s3:8333", f"{HOST}:{self.ports['8333']}"),
            ("localhost:8333", f"{HOST}:{self.ports['8333']}"),
            ("127.0.0.1:8000", f"{HOST}:{self.ports['8000']}"),
        ):
            text = text.replace(inside, outside)
        # The services share one host here: each cannot have the same port for its figures.
        return {"8000": self.ports["8000"], "9100": "0"}.get(text, text)

    def environment(self, service: Mapping[str, Any], over: Mapping[str, str]) -> dict[str, str]:
        given = {name: self.here(str(value)) for name, value in {**service["environment"], **over}.items()}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**given, "PATH": path, "HOSTNAME": os.uname().nodename, "PYTHONDONTWRITEBYTECODE": "1"}

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text()


def _health(host: Host, service: Mapping[str, Any], environment: Mapping[str, str]) -> Callable[[], bool]:
    kind, *words = service["healthcheck"]["test"]
    command = ["sh", "-c", *words] if kind == "CMD-SHELL" else [host.here(word) for word in words]

    def healthy() -> bool:
        return not subprocess.run(
            command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=False
        ).returncode

    return healthy


@pytest.mark.timeout(300)
def test_every_service_of_the_compose_file_starts_by_its_command_and_is_healthy(tmp_path: Path) -> None:
    host, stack = Host(tmp_path), services({})
    small = {
        name: resolved(service, {}).get("environment", {})
        for name, service in compose_file("compose/cpu.yml")["services"].items()
    }
    (tmp_path / "redis").mkdir()
    with Processes(tmp_path / "logs") as processes:
        server, *words = [host.here(word) for word in stack["redis"]["command"]]
        assert server == "redis-server"
        ours = ["--port", host.ports["6379"], "--bind", HOST, "--dir", str(tmp_path / "redis")]
        processes.start(Program(name="redis", command=[redis_binary(), *words, *ours]))
        processes.start(
            s3_program(
                tmp_path / "s3", int(host.ports["8333"]), access_key="troupe", secret_key=host.secret("s3_secret_key")
            )
        )
        with redis.Redis(HOST, int(host.ports["6379"]), password=host.secret("redis_password")) as client:
            processes.wait_until("redis", lambda: _answers(client), timeout_s=30)
            assert client.config_get("maxmemory*") == {
                "maxmemory": "1610612736", "maxmemory-policy": "noeviction", "maxmemory-samples": "5",
                "maxmemory-eviction-tenacity": "10", "maxmemory-clients": "0",
            }  # fmt: skip
        processes.wait_until("s3", lambda: listens(int(host.ports["8333"])), timeout_s=30)
        started = {}
        for name in ("setup", *WAITED_FOR):
            environment = host.environment(stack[name], small.get(name, {}))
            command = stack[name].get("command", ["python", "-m", "api"])
            if name == "setup":
                done = subprocess.run(
                    command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
                )
                assert (done.returncode, done.stdout) == (0, "Redis and the bucket troupe are ready\n"), done.stderr
                continue
            command = [sys.executable, *command[1:]]
            started[name] = processes.start(Program(name=name, command=command, environment=environment))
        # A health check costs most of a second of processor time, which loading needs: they are asked afterwards.
        processes.wait_until("the stack", lambda: _ready(f"http://{HOST}:{host.ports['8000']}"), timeout_s=_START_S)
        for name in WAITED_FOR:
            environment = host.environment(stack[name], small.get(name, {}))
            processes.wait_until(name, _health(host, stack[name], environment), timeout_s=_START_S)
        processes.stop(*[started[name] for name in ("api", "webhooks", "detection", "generation")])
        environment = host.environment(stack["generation"], small["generation"])
        assert not _health(host, stack["generation"], environment)()


def test_the_setup_says_what_is_wrong_and_stops_the_start(tmp_path: Path, redis_url: str, s3_url: str) -> None:
    environment = {
        **os.environ,
        "TROUPE_REDIS_URL": redis_url,
        "TROUPE_S3_ENDPOINT_URL": s3_url,
        "TROUPE_S3_ACCESS_KEY": "somebody",
    }
    done = subprocess.run(
        [sys.executable, "-m", "api.setup"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == EXIT_CONFIG
    assert done.stderr.startswith("error: S3 at 127.0.0.1:")


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
