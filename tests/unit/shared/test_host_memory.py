from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from shared.host_memory import HostMemory, host_memory

GIB = 2**30
MEMINFO = "MemTotal: 16777216 kB\nMemFree: 1048576 kB\nMemAvailable: 8388608 kB\nHugePages_Total: 0\n"
NO_LIMIT_V1 = "9223372036854771712"


def machine(root: Path, groups: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(MEMINFO)
    (root / "proc/self/cgroup").write_text(groups)
    return root


def group(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def v1(root: Path, path: str, limit: str, usage: int = 0, cache: int = 0) -> None:
    files = {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": str(usage)}
    group(root / f"sys/fs/cgroup/memory{path}", {**files, "memory.stat": f"cache 1\ntotal_inactive_file {cache}\n"})


def v2(root: Path, path: str, limit: str, usage: int = 0, cache: int = 0) -> None:
    files = {"memory.max": limit, "memory.current": str(usage)}
    group(root / f"sys/fs/cgroup{path}", {**files, "memory.stat": f"anon 1\ninactive_file {cache}\n"})


def test_without_a_limit_it_is_the_memory_of_the_machine(tmp_path: Path) -> None:
    root = machine(tmp_path, "4:memory:/\n0::/\n")
    v1(root, "", NO_LIMIT_V1)
    v2(root, "", "max")
    assert host_memory(root) == HostMemory(total=16 * GIB, free=8 * GIB)


def test_a_limit_of_version_1_counts_and_its_file_cache_is_free(tmp_path: Path) -> None:
    root = machine(tmp_path, "9:name=systemd:/x\n4:cpu,memory:/docker/abc\n0::/x\n")
    v1(root, "/docker/abc", str(4 * GIB), usage=3 * GIB, cache=1 * GIB)
    v1(root, "", NO_LIMIT_V1)
    assert host_memory(root) == HostMemory(total=4 * GIB, free=2 * GIB)


def test_the_path_of_the_host_is_not_needed_in_a_container(tmp_path: Path) -> None:
    root = machine(tmp_path, "4:memory:/docker/abc\n")
    v1(root, "", str(2 * GIB), usage=GIB)
    assert host_memory(root) == HostMemory(total=2 * GIB, free=GIB)


def test_a_limit_of_version_2_counts_whichever_group_around_the_process_has_it(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/kubepods/pod/container\n")
    v2(root, "/kubepods/pod/container", "max", usage=GIB)
    v2(root, "/kubepods/pod", str(3 * GIB), usage=2 * GIB)
    v2(root, "/kubepods", str(12 * GIB), usage=2 * GIB)
    assert host_memory(root) == HostMemory(total=3 * GIB, free=GIB)


def test_more_used_than_the_limit_leaves_nothing_free(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/\n")
    v2(root, "", str(GIB), usage=2 * GIB)
    assert host_memory(root) == HostMemory(total=GIB, free=0)


def test_a_system_that_is_not_linux_says_nothing(tmp_path: Path) -> None:
    assert host_memory(tmp_path) is None


def test_a_process_in_a_limited_group_of_this_kernel_sees_its_limit() -> None:
    parent = Path("/sys/fs/cgroup/memory")
    own = parent / f"troupe-{uuid.uuid4().hex[:8]}"
    if os.geteuid() != 0 or not (parent / "memory.limit_in_bytes").exists():
        pytest.skip("no cgroup of version 1 that this user may divide")
    own.mkdir()
    try:
        (own / "memory.limit_in_bytes").write_text(str(GIB // 4))
        enter = "import sys; open(sys.argv[1], 'w').write('0')\n"
        script = enter + "from shared.host_memory import host_memory; print(host_memory().total)"
        told = subprocess.run(
            [sys.executable, "-c", script, own / "cgroup.procs"], capture_output=True, text=True, check=True
        )
        assert int(told.stdout) == GIB // 4
    finally:
        own.rmdir()
