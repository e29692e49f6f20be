"""Looking into a bundle from the command line: what is in it, or the file and the tensor that are wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

from compose.processes import ROOT
from tests.support.safety import NEVER, write_safety
from worker.models.catalog import MINI


def inspect(bundle: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "worker.commands.inspect", bundle]
    return subprocess.run(words, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_networks_are_counted_and_a_step_is_run(tmp_path: Path) -> None:
    done = inspect("mini", TROUPE_SAFETY_CHECKPOINT=str(write_safety(tmp_path, NEVER)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mini@")
    for name in ("unet", "vae", "text_encoder", "text_encoder_2", "identitynet", "resampler", "safety"):
        assert f"\n{name} " in done.stdout
    assert "one step and its picture on" in done.stdout


def test_the_first_tensor_that_is_wrong_is_named_with_its_file(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MINI, tmp_path / "mine"))
    path = folder / "sdxl" / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    del tensors["conv_in.bias"]
    path.unlink()
    save_file(tensors, path)
    done = inspect(str(folder))
    assert done.returncode == 1
    assert f"{path} does not fit its configuration: conv_in.bias is missing" in done.stderr
