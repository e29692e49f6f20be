"""Fetching the published bundle from a hub: resumed after a cut, locked, verified; no changed file gets through."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.processes import ROOT
from shared.errors import BundleError
from shared.settings import Settings
from tests.support.model_hub import COMMIT, ModelHub, model_hub
from worker.models.bundle import load_bundle
from worker.models.catalog import FACES, HUB_SOURCES, INSTANTID, SAFETY, SDXL, Source, bundle_spec_of
from worker.models.lock_file import NAME

UNET = "unet/diffusion_pytorch_model.fp16.safetensors"


def address(source: Source, remote: str, revision: str = "") -> str:
    return f"/{source.repository}/resolve/{revision or source.revision}/{remote}"


@pytest.fixture
def served() -> Iterator[ModelHub]:
    """Every file of the catalog, at its revision and at the commit that the hub names for it."""
    files = {}
    for source in (*HUB_SOURCES, SAFETY):
        for remote in source.files:
            content = f"weights of {remote}".encode()
            files[address(source, remote)] = files[address(source, remote, COMMIT)] = content
    # Longer than a piece that the hub's library writes at once.
    files[address(SDXL, UNET)] = files[address(SDXL, UNET, COMMIT)] = bytes(range(256)) * 48_000
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in [*FACES.files, "genderage.onnx"]:
            archive.writestr(f"antelopev2/{name}", f"weights of {name}")
    files["/pack.zip"] = packed.getvalue()
    with model_hub(files) as running:
        yield running


def fetch(served: ModelHub, folder: Path, what: str = "sdxl") -> subprocess.CompletedProcess[str]:
    words = ["-m", "worker.commands.fetch", what, "--folder", str(folder), "--pack", f"{served.url}/pack.zip"]
    environment = os.environ | {"HF_ENDPOINT": served.url, "HF_HUB_DOWNLOAD_TIMEOUT": "5"}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_a_bundle_is_fetched_locked_and_verified_again(served: ModelHub, tmp_path: Path) -> None:
    done = fetch(served, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "antelopev2.zip" in done.stdout
    assert "non-commercial research only" in done.stdout
    files = {file for source in (*HUB_SOURCES, FACES) for file in source.files.values()}
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {*files, NAME}
    lock = json.loads((tmp_path / NAME).read_text())["files"]
    assert lock.keys() == files
    assert lock[f"sdxl/{UNET}"]["revision"] == COMMIT
    assert lock[f"sdxl/{UNET}"]["size_bytes"] == 256 * 48_000
    before = bundle_spec_of(Settings(bundle="sdxl", bundle_folder=str(tmp_path))).fingerprint()

    # Everything is there: nobody is asked for anything, and a folder without its lock is the same bundle.
    asked = served.asked
    assert fetch(served, tmp_path).returncode == 0
    assert served.asked == asked
    (tmp_path / NAME).unlink()
    assert bundle_spec_of(Settings(bundle="sdxl", bundle_folder=str(tmp_path))).fingerprint() == before


def test_the_safety_checker_comes_into_a_folder_of_its_own(served: ModelHub, tmp_path: Path) -> None:
    done = fetch(served, tmp_path, "safety")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(f"TROUPE_SAFETY_CHECKPOINT={tmp_path}")
    lock = json.loads((tmp_path / NAME).read_text())["files"]
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {*lock, NAME}
    assert lock.keys() == set(SAFETY.files)
    # Pinned though its source names no commit.
    assert {one["revision"] for one in lock.values()} == {COMMIT}


def test_a_download_that_was_cut_goes_on_where_it_stopped(served: ModelHub, tmp_path: Path) -> None:
    path = address(SDXL, UNET)
    served.cut[path] = 11_000_000
    done = fetch(served, tmp_path)
    assert done.returncode == 1
    assert UNET in done.stderr
    assert not (tmp_path / "sdxl" / UNET).exists()
    served.down = False
    served.ranges.clear()
    assert fetch(served, tmp_path).returncode == 0
    assert served.ranges[path] != "bytes=0-"
    assert (tmp_path / "sdxl" / UNET).read_bytes() == served.files[path]


def test_a_file_that_changed_here_or_there_is_named_and_not_taken(served: ModelHub, tmp_path: Path) -> None:
    assert fetch(served, tmp_path).returncode == 0
    adapter = tmp_path / "ip-adapter.bin"
    good = adapter.read_bytes()
    adapter.write_bytes(good.replace(b"w", b"W"))
    done = fetch(served, tmp_path)
    assert done.returncode == 1
    assert f"{adapter} has changed since it was fetched" in done.stderr

    adapter.unlink()
    served.files[address(INSTANTID, "ip-adapter.bin", COMMIT)] = b"another adapter"
    done = fetch(served, tmp_path)
    assert done.returncode == 1
    assert "InstantX/InstantID/ip-adapter.bin has SHA-256" in done.stderr
    assert not adapter.exists()

    served.files[address(INSTANTID, "ip-adapter.bin", COMMIT)] = good
    assert fetch(served, tmp_path).returncode == 0
    adapter.write_bytes(good[:-1])
    settings = Settings(bundle="sdxl", bundle_folder=str(tmp_path), device="cpu")
    with pytest.raises(BundleError, match=r"ip-adapter\.bin is 24 bytes long and was fetched with 25"):
        load_bundle(settings, "generation")
