"""Memory that this process may use: the machine's, or less where its container has a limit (cgroup version 1 or 2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_FOLDER = Path("sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class HostMemory:
    """In bytes. free: what can be used before something is swapped out or killed; a file cache counts as free."""

    total: int
    free: int


@dataclass(frozen=True, kw_only=True)
class _Files:
    """Files of one cgroup version. cache: the part of the usage that the kernel gives back when memory is short."""

    limit: str
    usage: str
    cache: str


_V1 = _Files(limit="memory.limit_in_bytes", usage="memory.usage_in_bytes", cache="total_inactive_file")
_V2 = _Files(limit="memory.max", usage="memory.current", cache="inactive_file")


def host_memory(root: Path = Path("/")) -> HostMemory | None:
    """The smallest of the machine's memory and the limits of this process; None where the kernel does not say.

    root: folder under which proc/ and sys/ are. Source: Linux, Documentation/admin-guide/cgroup-v1/memory.rst and
    cgroup-v2.rst.
    """
    machine = _machine(root)
    if machine is None:
        return None
    limits = [machine, *_limits(root)]
    return HostMemory(total=min(one.total for one in limits), free=min(one.free for one in limits))


def _machine(root: Path) -> HostMemory | None:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    if "MemTotal" not in kib:
        return None
    return HostMemory(total=kib["MemTotal"] * 1024, free=kib.get("MemAvailable", kib.get("MemFree", 0)) * 1024)


def _limits(root: Path) -> Iterator[HostMemory]:
    """The limit of every cgroup that holds this process, from its own up to the outermost that can be seen."""
    for folder, files, path in _memberships(root):
        # In a container the path may be the host's, of which only the container's own part is mounted.
        for place in (path, *path.parents):
            limit = _limit(folder / place.relative_to("/"), files)
            if limit is not None:
                yield limit


def _memberships(root: Path) -> Iterator[tuple[Path, _Files, PurePosixPath]]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield root / _FOLDER / "memory", _V1, PurePosixPath(path)
        elif not controllers:
            yield root / _FOLDER, _V2, PurePosixPath(path)


def _limit(folder: Path, files: _Files) -> HostMemory | None:
    """A cgroup's limit; None where it has none: version 2 writes `max` then, version 1 more than any memory."""
    try:
        total = int((folder / files.limit).read_text())
        usage = int((folder / files.usage).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    return HostMemory(total=total, free=max(0, total - usage + int(stat.get(files.cache, 0))))
