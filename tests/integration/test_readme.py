"""Every command and program that the README and the API's README show runs as pasted, in a fresh checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from compose.processes import ROOT
from compose.servers import free_port
from tests.integration.test_local_stack import START_S
from tests.support.installed_client import InstalledClient, install_client

DOCUMENTS = ("README.md", "api/README.md")
# Blocks that a test cannot run: the demo and the tests themselves, containers on a GPU, a second stack.
NOT_RUN = 3
ADDRESS = "http://127.0.0.1:8000"
BLOCK = re.compile(r"(?P<mark><!-- not run: .+? -->\n)?```(?P<language>sh|python)\n(?P<text>.*?)```", re.DOTALL)
BLOCK_S = 150.0


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block of a document. run: whether it can run here."""

    document: str
    language: str
    text: str
    run: bool


def blocks() -> list[Block]:
    return [
        Block(document=name, language=found["language"], text=found["text"], run=not found["mark"])
        for name in DOCUMENTS
        for found in BLOCK.finditer((ROOT / name).read_text())
    ]


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A copy of the product whose environment is set up, and where its stack will serve."""

    folder: Path
    address: str
    client: InstalledClient

    @property
    def environment(self) -> dict[str, str]:
        port = self.address.rpartition(":")[2]
        return {"OMP_NUM_THREADS": "1", "TROUPE_API_PORT": port, "TROUPE_URL": self.address}

    def run(self, language: str, text: str) -> subprocess.CompletedProcess[str]:
        """Runs a block from the root folder, as a reader pastes it; only the port of the API is another."""
        pasted = text.replace(ADDRESS, self.address)
        python = [str(self.client.python), "-c"]
        return subprocess.run(
            [*(["bash", "-euo", "pipefail", "-c"] if language == "sh" else python), pasted],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S + BLOCK_S,
        )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout of its own, so that a stack of the person who runs the tests is left alone."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("api", "shared", "worker", "compose"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run", "uv.lock", "pyproject.toml", "README.md"):
        shutil.copy2(ROOT / name, folder / name)
    _lend_environment(folder)
    client = install_client(tmp_path_factory.mktemp("client"))
    made = Checkout(folder=folder, address=f"http://127.0.0.1:{free_port()}", client=client)
    yield made
    made.run("sh", "./run down")


def _lend_environment(folder: Path) -> None:
    """The environment of the tests, marked as set up from this lock file, so that ./run does not install it again."""
    environment = folder / ".venv"
    (environment / "bin").mkdir(parents=True)
    python = environment / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    found = re.search(r'^PARTS="(.+)"$', (folder / "run").read_text(), re.MULTILINE)
    assert found is not None
    (environment / "installed").write_text(f"{found[1]}\n{(folder / 'uv.lock').read_text()}")


def test_blocks_that_cannot_run_are_marked_and_few() -> None:
    assert len([block for block in blocks() if not block.run]) == NOT_RUN


@pytest.mark.timeout(600)
def test_every_block_runs_as_pasted(checkout: Checkout) -> None:
    done = checkout.run("sh", "./run up")
    assert done.returncode == 0, done.stdout + done.stderr
    prelude = f"API={checkout.address}\n"
    for block in blocks():
        if block.run:
            text = prelude + block.text if block.language == "sh" else block.text
            done = checkout.run(block.language, text)
            assert done.returncode == 0, f"{block.document}:\n{block.text}\n{done.stdout}\n{done.stderr}"
    pictures = {path.relative_to(checkout.folder).as_posix() for path in checkout.folder.glob("*.png")}
    assert {"picture.png", "beach.png", "one-picture.png"} <= pictures
    assert {path.name for path in (checkout.folder / "beach" / "pictures").iterdir()} == {
        "000001-beach.png",
        "000002-park.png",
    }


def test_the_webhook_receiver_prints_messages_that_are_signed_and_refuses_others() -> None:
    port, secret = free_port(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    receiver = subprocess.Popen(
        [sys.executable, "api/examples/webhook_receiver.py", secret, str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    assert receiver.stdout is not None
    reading = threading.Thread(target=lines.extend, args=(receiver.stdout,), daemon=True)
    reading.start()
    try:
        body = json.dumps({"type": "job.succeeded", "timestamp": "2026-01-01T00:00:00Z", "data": {"id": "1"}})
        transport = httpx.HTTPTransport(retries=8)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=transport) as client:
            assert client.post("/", content=body, headers=_signed(secret, body)).status_code == httpx.codes.NO_CONTENT
            forged = {**_signed(secret, body), "webhook-id": "another"}
            assert client.post("/", content=body, headers=forged).status_code == httpx.codes.UNAUTHORIZED
    finally:
        receiver.kill()
        receiver.wait()
    reading.join()
    receiver.stdout.close()
    assert lines == ["job.succeeded 1\n"]


def _signed(secret: str, body: str) -> dict[str, str]:
    from datetime import UTC, datetime

    from standardwebhooks import Webhook

    now = datetime.now(UTC)
    signature = Webhook(secret).sign("msg_1", now, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
