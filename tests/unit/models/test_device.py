from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compose.processes import ROOT
from shared.errors import BundleError
from shared.settings import Settings
from worker.models.device import claim, device_of

CLAIM = (
    "import sys; from pathlib import Path; from worker.models.device import claim; "
    "print(claim(Path(sys.argv[1]), 2), flush=True); sys.stdin.read()"
)


def test_workers_of_a_host_have_a_gpu_each_and_give_it_back_when_they_are_killed(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdin is not None
    with other, other.stdin, other.stdout:
        assert other.stdout.readline() == "0\n"
        assert claim(tmp_path, 2) == 1
        with pytest.raises(BundleError, match="all 2 GPUs of this host are taken"):
            claim(tmp_path, 2)
        other.kill()
        other.wait()
        assert claim(tmp_path, 2) == 0


def test_a_device_that_is_named_is_taken_as_it_is(tmp_path: Path) -> None:
    for device in ("cpu", "cuda:3"):
        assert device_of(Settings(device=device, gpu_folder=str(tmp_path))) == device
    assert list(tmp_path.iterdir()) == []
