"""The S3 server of docker-compose.yml by its own command: which ports others can reach, and what they get there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from compose.processes import ROOT, Processes, Program
from tests.support.servers import missing
from tests.support.stack_files import services

_GRPC = "18333"
_START_S = 90.0
# An HTTP/2 client without a certificate, in plain text and over TLS: prints what the port answers to the first frames.
_KNOCK = """
import socket, ssl, sys
frames = b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(["h2"])
for secure in (False, True):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) as plain:
        try:
            way = context.wrap_socket(plain) if secure else plain
            way.sendall(frames)
            print(b"".join(iter(lambda: way.recv(4096), b"")) or "closed")
        except (ConnectionError, ssl.SSLError) as error:
            print("closed")
"""
# Prints the status of a GET without a key.
_GET = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=20).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError:
    print("no answer")
"""


@dataclass(frozen=True, kw_only=True)
class Container:
    """A network of its own with the server in it."""

    network: str

    def run(self, *words: str) -> str:
        return subprocess.run(
            ["ip", "netns", "exec", self.network, *words], capture_output=True, text=True, check=True, timeout=60
        ).stdout


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("openssl") is None:
        missing("root with ip (iproute2) and openssl")
    folder, network = tmp_path_factory.mktemp("s3"), f"s3-{uuid.uuid4().hex[:8]}"
    secrets = folder / "secrets"
    subprocess.run([ROOT / "compose" / "secrets.sh", secrets], check=True, capture_output=True)
    _configure(folder, secrets)
    subprocess.run(["ip", "netns", "add", network], check=True)
    try:
        subprocess.run(["ip", "-n", network, "link", "set", "lo", "up"], check=True)
        made = Container(network=network)
        with Processes(folder / "logs") as processes:
            processes.start(Program(name="s3", command=_command(network, folder, secrets)))
            processes.wait_until("S3 answers", lambda: _is_healthy(made), timeout_s=_START_S)
            yield made
    finally:
        subprocess.run(["ip", "netns", "delete", network], check=True)


def _command(network: str, folder: Path, secrets: Path) -> list[str]:
    """The command of the compose file, with this test's paths in place of the container's."""
    (folder / "data").mkdir()
    words = [
        word.replace("/run/secrets", str(secrets)).replace("/data", str(folder / "data"))
        for word in services({})["s3"]["command"]
    ]
    weed = Path(sys.executable).with_name("weed")
    return ["ip", "netns", "exec", network, "env", f"HOME={folder}", str(weed), "-logtostderr=true", *words]


def _configure(folder: Path, secrets: Path) -> None:
    """Puts security.toml where the server looks for it: the compose file mounts it to another such place."""
    targets = [secret for secret in services({})["s3"]["secrets"] if isinstance(secret, dict)]
    assert targets == [{"source": "s3_security.toml", "target": "/etc/seaweedfs/security.toml"}]
    (folder / ".seaweedfs").mkdir()
    text = (secrets / "s3_security.toml").read_text().replace("/run/secrets", str(secrets))
    (folder / ".seaweedfs" / "security.toml").write_text(text)


def _is_healthy(container: Container) -> bool:
    return container.run(sys.executable, "-c", _GET, "http://127.0.0.1:8333/healthz").strip() == "200"


def test_only_the_s3_port_and_its_closed_grpc_port_listen_outside_the_container(container: Container) -> None:
    sockets = [line.split()[3] for line in container.run("ss", "-ltnH").splitlines()]
    assert {"127.0.0.1:8888", "127.0.0.1:9333"} <= set(sockets)
    assert {one.rpartition(":")[2] for one in sockets if not one.startswith("127.0.0.1:")} == {"8333", _GRPC}


def test_the_grpc_port_answers_nobody(container: Container) -> None:
    assert container.run(sys.executable, "-c", _KNOCK, _GRPC).split() == ["closed", "closed"]


def test_the_s3_port_gives_nothing_to_a_caller_without_a_key(container: Container) -> None:
    assert container.run(sys.executable, "-c", _GET, "http://127.0.0.1:8333/troupe/photo").strip() == "403"
