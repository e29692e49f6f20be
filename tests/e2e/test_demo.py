"""`./run demo` as a newcomer runs it: pictures of two people from their portraits, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compose.demo import FOLDER, PORTRAITS, STATE
from compose.processes import ROOT
from shared.settings import Settings
from tests.integration.test_local_stack import Mark, eventually
from tests.support.hosts import Host, Record, can_make_hosts, device_ids, hosts, recorded
from tests.support.provenance import validated
from worker.models.bundle import load_bundle

PICTURES = {"portrait-1-ben", "portrait-2-anna", "template", "masks", "picture", "contact"}


@pytest.fixture
def mark() -> Mark:
    return Mark()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Host, Record] | None]:
    """A host that writes down what is asked of the world, where one can be made."""
    if not can_make_hosts():
        yield None
        return
    with hosts(1) as (host,), recorded(host, tmp_path) as record:
        yield host, record


def demo(mark: Mark, *words: str, host: Host | None = None, home: Path | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "compose.demo", *words]
    return subprocess.Popen(
        host.command(command) if host else command,
        cwd=ROOT,
        env={**os.environ, **mark.environment, **({"HOME": str(home)} if home else {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_demo_draws_both_people_tells_nobody_and_leaves_nothing_running(
    mark: Mark, place: tuple[Host, Record] | None, tmp_path: Path
) -> None:
    host, record = place or (None, None)
    home = tmp_path / "home"
    home.mkdir()
    process = demo(mark, host=host, home=home)
    told, _ = process.communicate(timeout=170)
    assert process.returncode == 0, told
    assert record is None or record.foreign() == []
    # ONNX Runtime writes one as soon as it is imported, and reports it when it has time to.
    assert device_ids(home) == []
    for stage in ("identify", "render", "detect", "personalize", "verify"):
        assert f"{stage} " in told
    assert {path.stem for path in FOLDER.iterdir()} == PICTURES
    picture = np.asarray(Image.open(FOLDER / "picture.png").convert("RGB"))
    template = np.asarray(Image.open(FOLDER / "template.png").convert("RGB"))
    assert picture.shape == template.shape
    assert np.abs(picture.astype(int) - template).mean() > 2
    assert validated((FOLDER / "picture.png").read_bytes(), root=STATE / "c2pa" / "root.pem")[0] == "Trusted"
    detection = load_bundle(Settings(device="cpu"), "detection").detection
    assert detection is not None
    rows = []
    for one in (*(PORTRAITS / f"{name}.png" for name in ("ben", "anna")), FOLDER / "picture.png"):
        pixels = np.asarray(Image.open(one).convert("RGB"))
        raw = [detection.faces.embed(pixels, face) for face in detection.faces.find(pixels)]
        rows.append([row / np.linalg.norm(row) for row in raw])
    (ben,), (anna,), found = rows
    likeness = np.array([[face @ ben, face @ anna] for face in found])
    assert set(likeness.argmax(axis=1)) == {0, 1}, likeness
    assert mark.processes() == {}


def test_ctrl_c_in_the_middle_of_a_job_leaves_no_process(mark: Mark) -> None:
    with demo(mark) as process:
        assert process.stdout is not None
        deadline = time.monotonic() + 120
        for line in process.stdout:
            if line.startswith("job ") or time.monotonic() > deadline:
                break
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(60) == 128 + signal.SIGINT
    assert eventually(lambda: not mark.processes(), within_s=30), mark.processes()


def test_what_cannot_be_played_is_said_in_one_line(mark: Mark, tmp_path: Path) -> None:
    process = demo(mark, "--portraits", str(tmp_path / "nobody.png"), "--phrases", "the man")
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert told.splitlines()[-1] == f"demo failed: portrait {tmp_path / 'nobody.png'} does not exist"
