"""Several hosts, each in a network namespace of its own: one with the API and the servers, two that only work.

What crosses from host to host here crosses a real network; its stages are those of the tests and take seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from compose.processes import ROOT, Processes, Program, Running
from compose.servers import redis_program, s3_program
from shared.broker import WORKER_ARGS
from tests.support.api_server import png_bytes
from tests.support.hosts import Host, hosts, needs_hosts, recorded
from tests.support.servers import ACCESS_KEY, SECRET_KEY

_START_S = 60.0
_PASSWORD = "between-hosts"
_REDIS, _S3, _API = 6379, 8333, 8000
# One process that asks again and again: starting one costs more than the workers do.
_UNTIL_READY = """
import sys, time, httpx
deadline = time.monotonic() + float(sys.argv[2])
while time.monotonic() < deadline:
    try:
        if httpx.get(sys.argv[1] + "/readyz").status_code == 200:
            sys.exit()
    except httpx.TransportError:
        pass
    time.sleep(0.1)
sys.exit("not ready")
"""


@dataclass(kw_only=True)
class Site:
    """What runs on the hosts, and how they find each other: all that an operator sets."""

    processes: Processes
    front: Host
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    def start(self, host: Host, name: str, words: Sequence[str], **more: str) -> Running:
        environment = {**self.settings, **more}
        return self.processes.start(Program(name=name, command=host.command(words), environment=environment))

    def ask(self, host: Host, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command on a host, to its end."""
        command = host.command([sys.executable, *words])
        environment = {**os.environ, **self.settings, **more}
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=_START_S
        )


@contextmanager
def site(front: Host, folder: Path) -> Iterator[Site]:
    """Redis with a password, the S3 server and the API on the front host, each at its address on the network."""
    (folder / "notes").mkdir(parents=True)
    (folder / "redis_password").write_text(_PASSWORD)
    with Processes(folder / "logs") as processes:
        made = Site(processes=processes, front=front, folder=folder)
        made.settings.update(
            TROUPE_REDIS_URL=f"redis://{front.address}:{_REDIS}/0",
            TROUPE_REDIS_PASSWORD_FILE=str(folder / "redis_password"),
            TROUPE_S3_ENDPOINT_URL=f"http://{front.address}:{_S3}",
            TROUPE_S3_ACCESS_KEY=ACCESS_KEY,
            TROUPE_S3_SECRET_KEY=SECRET_KEY,
            TROUPE_BUNDLE_FOLDER=str(folder / "notes"),
        )
        server = redis_program(folder / "redis", _REDIS, front.address)
        made.start(front, "redis", [*server.command, "--requirepass", _PASSWORD])
        store = s3_program(folder / "s3", _S3, access_key=ACCESS_KEY, secret_key=SECRET_KEY, host=front.address)
        made.start(front, "s3", store.command, **store.environment)
        assert made.ask(front, "-m", "api.setup").returncode == 0
        made.start(
            front, "api", [sys.executable, "-m", "api"], TROUPE_API_HOST=front.address, TROUPE_API_PORT=str(_API)
        )
        yield made


def test_a_job_of_one_host_is_worked_on_others_and_fetched_from_a_third(tmp_path: Path) -> None:
    needs_hosts()
    with ExitStack() as stack:
        front, one, other, desk = stack.enter_context(hosts(4))
        records = [stack.enter_context(recorded(host, tmp_path)) for host in (front, one, other, desk)]
        made = stack.enter_context(site(front, tmp_path))
        words = [sys.executable, "-m", "celery", "-A", "tests.support.fault_app", "worker", *WORKER_ARGS]
        shared_workers = [(one, "detection"), (one, "generation"), (other, "generation")]
        for number, (host, role) in enumerate(shared_workers):
            made.start(host, f"{role}-{number}", [*words, "-n", f"{role}{number}@%h"], TROUPE_ROLE=role)
        (tmp_path / "me.png").write_bytes(png_bytes())
        url = f"http://{front.address}:{_API}"
        ready = made.ask(desk, "-c", _UNTIL_READY, url, str(_START_S))
        assert ready.returncode == 0, ready.stderr
        picture = tmp_path / "picture.png"
        cast = f"the man={tmp_path / 'me.png'}"
        done = made.ask(desk, "-m", "api.cli", "submit", "a man", "-c", cast, "-o", str(picture), TROUPE_URL=url)
        assert done.returncode == 0, done.stderr
        assert picture.read_bytes().startswith(b"the picture of ")
        runs = [path.name.split(".") for path in (tmp_path / "notes").glob("*.*.*.*")]
        worked = {stage: int(pid) for _job, stage, _attempt, pid in runs}
        assert all(one.has(pid) or other.has(pid) for pid in worked.values())
        assert one.has(worked["identify"])
        # A host without the password is told so, and does not wait for ever.
        (tmp_path / "redis_password").write_text("guessed")
        stranger = made.ask(other, "-m", "api.setup")
        assert "refuses the password" in stranger.stderr
        # Every server has an address here: no process of the API, the workers or the client needs a name.
        assert [record.foreign() for record in records] == [[], [], [], []]
