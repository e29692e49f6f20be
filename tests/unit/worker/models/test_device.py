from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from compose.processes import ROOT
from shared.errors import BundleError, TransientError
from shared.settings import Settings
from worker.models.device import claim, device_of
from worker.models.device_memory import answers
from worker.models.faces import providers_of

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
        with pytest.raises(TransientError, match="all 2 GPUs of this host are taken"):
            claim(tmp_path, 2)
        other.kill()
        other.wait()
        assert claim(tmp_path, 2) == 0


def test_a_device_that_is_named_is_taken_as_it_is(tmp_path: Path) -> None:
    for device in ("cpu", "cuda:3"):
        assert device_of(Settings(device=device, gpu_folder=str(tmp_path)), gpus=4) == torch.device(device)
    assert list(tmp_path.iterdir()) == []


def test_without_a_name_the_first_gpu_is_taken_where_there_is_one() -> None:
    assert device_of(Settings(device="auto"), gpus=2) == torch.device("cuda:0")
    assert device_of(Settings(device="cuda"), gpus=2) == torch.device("cuda:0")
    assert device_of(Settings(device="auto"), gpus=0) == torch.device("cpu")


@pytest.mark.parametrize(
    ("device", "gpus", "said"),
    [
        ("cuda", 0, "TROUPE_DEVICE is cuda, and torch finds no GPUs on this host"),
        ("cuda:1", 1, "TROUPE_DEVICE is cuda:1, and torch finds 1 GPU on this host"),
    ],
)
def test_a_gpu_that_is_not_there_is_refused_by_its_name(device: str, gpus: int, said: str) -> None:
    with pytest.raises(BundleError, match=said):
        device_of(Settings(device=device), gpus=gpus)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "mps", ""])
def test_a_device_that_nothing_was_built_for_is_refused_before_anything_is_loaded(device: str) -> None:
    with pytest.raises(ValidationError, match="device"):
        Settings(device=device)


def test_faces_are_read_on_the_workers_own_gpu_where_onnxruntime_has_one_and_else_on_the_cpu() -> None:
    cuda = ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert providers_of(torch.device("cuda:3"), cuda) == [(cuda[0], {"device_id": 3}), cuda[1]]
    assert providers_of(torch.device("cuda:3"), cuda[1:]) == [cuda[1]]
    assert providers_of(torch.device("cpu"), cuda) == [cuda[1]]


def test_a_device_that_computes_answers_and_one_that_refuses_does_not() -> None:
    assert answers(torch.device("cpu"))
    # The answer of a device without numbers does not change.
    assert not answers(torch.device("meta"))
