"""Reading watermarks from the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from compose.processes import ROOT
from worker.mini.portraits import FOLDER as PORTRAITS
from worker.output.png import pixels
from worker.output.watermark import embed_watermark


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    path = tmp_path / "marked.png"
    Image.fromarray(embed_watermark(pixels((PORTRAITS / "ben.png").read_bytes()), "example.org")).save(path)
    return path


def watermark(*words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "worker.commands.watermark", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_text_is_told(marked: Path) -> None:
    assert watermark(str(marked)) == (0, f"{marked}: 'example.org'\n", "")


def test_a_picture_without_one_and_a_file_that_is_no_picture_are_told(marked: Path) -> None:
    plain, broken = PORTRAITS / "anna.png", marked.with_name("broken.png")
    broken.write_text("no picture")
    status, out, err = watermark(str(plain), str(broken), str(marked), "--expect", "example.org")
    assert status == 1
    first, second = out.splitlines()
    assert first.startswith(f"{plain}: no watermark  (")
    assert second == f"{marked}: 'example.org'  (100% of the bits of 'example.org')"
    assert f"{broken} cannot be read" in err


def test_a_scaled_picture_is_read_in_the_size_it_was_drawn_in(marked: Path) -> None:
    small = marked.with_name("small.png")
    with Image.open(marked) as image:
        width, height = image.size
        image.resize((width // 2, height // 2), Image.Resampling.LANCZOS).save(small)
    assert watermark(str(small))[0] == 1
    assert watermark(str(small), "--size", f"{width}x{height}")[:2] == (0, f"{small}: 'example.org'\n")
