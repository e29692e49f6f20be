"""Who may import whom (the contracts are in pyproject.toml), and the style that tools can check."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compose.processes import ROOT

# What `./run check` runs too; here, so that no change passes without them.
CHECKS = {
    "import contracts": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
    "ruff": ["-m", "ruff", "check", "--output-format", "concise", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "mypy": ["-m", "mypy"],
}
JAVASCRIPT = [str(Path(sys.executable).with_name("oxlint")), "--deny-warnings", "--format", "unix", "api/page"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("check", CHECKS)
def test_the_tree_passes(check: str) -> None:
    done = subprocess.run([sys.executable, *CHECKS[check]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_the_page_scripts_pass() -> None:
    done = subprocess.run(JAVASCRIPT, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_the_javascript_linter_sees_a_key_that_is_written_twice_and_a_name_that_nobody_uses(tmp_path: Path) -> None:
    (tmp_path / "words.js").write_text('const unused = 1;\nexport const WORDS = { twice: "a", twice: "b" };\n')
    command = [JAVASCRIPT[0], "--config", str(ROOT / ".oxlintrc.json"), "--format", "unix", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no-dupe-keys" in done.stdout
    assert "no-unused-vars" in done.stdout


@pytest.mark.parametrize("name", ["api.app", "shared.store.jobs.store", "shared.broker"])
def test_importing_makes_no_connection_and_needs_no_model_library(name: str) -> None:
    program = (
        "import socket, sys\n"
        "def refuse(*_): raise AssertionError('an import opened a connection')\n"
        "socket.socket.connect = refuse\n"
        f"import {name}\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'insightface', 'onnxruntime', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TROUPE_")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
