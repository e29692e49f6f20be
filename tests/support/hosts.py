"""Hosts of a test: network namespaces, and a record of what the processes in one ask the world for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from compose.processes import Processes, Program
from tests.support.servers import missing

_RESOLVERS = Path("/etc/netns")
# A network of documentation (RFC 5737): no host of a test has such an address, so all that goes there is foreign.
_OUTSIDE, _GATEWAY, _GATEWAY_MAC = "198.51.100.2/24", "198.51.100.1", "02:00:00:00:00:01"


@dataclass(frozen=True, kw_only=True)
class Host:
    """A network namespace with an address of its own. Its processes reach other hosts by theirs, and nothing else."""

    name: str
    address: str

    def command(self, words: Sequence[str]) -> list[str]:
        """The command, on this host."""
        return ["ip", "netns", "exec", self.name, *words]

    def has(self, pid: int) -> bool:
        """Whether this process runs on this host."""
        done = subprocess.run(["ip", "netns", "identify", str(pid)], capture_output=True, text=True, check=True)
        return done.stdout.strip() == self.name


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """Hosts on one network: the first has the switch. They go with the context, whatever happens."""
    mark = uuid.uuid4().hex[:6]
    made = [Host(name=f"troupe-{mark}-{number}", address=f"10.77.0.{number + 1}") for number in range(count)]
    first = made[0].name
    with ExitStack() as stack:
        for host in made:
            _ip("netns", "add", host.name)
            stack.callback(_ip, "netns", "delete", host.name)
            _ip("-n", host.name, "link", "set", "lo", "up")
        _ip("-n", first, "link", "add", "switch", "type", "bridge")
        _ip("-n", first, "address", "add", f"{made[0].address}/24", "dev", "switch")
        _ip("-n", first, "link", "set", "switch", "up")
        for number, host in enumerate(made[1:], 1):
            _ip("-n", first, "link", "add", f"port{number}", "type", "veth", "peer", "name", "net", "netns", host.name)
            _ip("-n", first, "link", "set", f"port{number}", "master", "switch", "up")
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "net")
            _ip("-n", host.name, "link", "set", "net", "up")
        yield made


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the processes of a host asked the world for: names that they again up, foreign addresses they wrote to."""

    file: Path

    def foreign(self) -> list[str]:
        """A line each: `name NAME` or `address ADDRESS`."""
        return [line for line in self.file.read_text().splitlines() if line != "ready"]


@contextmanager
def recorded(host: Host, folder: Path) -> Iterator[Record]:
    """The host asks a name server of its own, and sends what is not for its network where it is written down."""
    record = Record(file=folder / f"{host.name}.foreign")
    resolver = _RESOLVERS / host.name
    with ExitStack() as stack:
        resolver.mkdir(parents=True)
        stack.callback(shutil.rmtree, resolver)
        (resolver / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        _ip("-n", host.name, "link", "add", "outside", "type", "veth", "peer", "name", "world")
        _ip("-n", host.name, "link", "set", "world", "address", _GATEWAY_MAC, "up")
        _ip("-n", host.name, "address", "add", _OUTSIDE, "dev", "outside")
        _ip("-n", host.name, "link", "set", "outside", "up")
        _ip("-n", host.name, "neighbour", "add", _GATEWAY, "lladdr", _GATEWAY_MAC, "dev", "outside")
        _ip("-n", host.name, "route", "add", "default", "via", _GATEWAY)
        processes = stack.enter_context(Processes(folder / f"{host.name}.logs"))
        words = [sys.executable, "-m", "tests.support.name_server", str(record.file), "world"]
        processes.start(Program(name="names", command=host.command(words)))
        processes.wait_until(
            "the name server", lambda: record.file.is_file() and record.file.read_text() != "", timeout_s=30.0
        )
        yield record


def can_make_hosts() -> bool:
    """Whether network namespaces can be made: by root, with iproute2."""
    return os.geteuid() == 0 and shutil.which("ip") is not None


def needs_hosts() -> None:
    """Skips the test where no hosts can be made."""
    if os.geteuid() != 0:
        pytest.skip("only root makes network namespaces")
    if shutil.which("ip") is None:
        missing("ip")


def device_ids(home: Path) -> list[Path]:
    """What libraries wrote below a home to know this machine again."""
    return [path for path in home.rglob("*") if path.is_file() and "Microsoft" in path.parts]
