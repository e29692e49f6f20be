"""The published client in somebody's project: one package, beside an `api.py` of their own, typed, against a server."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from compose.processes import ROOT
from tests.support.api_server import ApiServer
from tests.support.installed_client import InstalledClient, install_client

MOST_BYTES = 300_000
DEPENDENCIES = {"httpx", "socksio", "pydantic", "rich", "typer"}
README = (ROOT / "api" / "client" / "README.md").read_text()
PORTRAITS = ROOT / "worker" / "mini" / "portraits"
TYPED = """
from troupe_client import Client, JobSpec, errors, scene

with Client("http://127.0.0.1:8000", key="k") as troupe:
    job = troupe.submit(scene("a man", {"the man": "ben.png"}, lane="batch"), idempotency_key="one")
    seed = job.spec.sampling.seed
    reveal_type(seed)
    reveal_type(troupe.jobs(limit=3).jobs[0].status)
    reveal_type([state.progress.fraction for state in troupe.events(job.id)])
    reveal_type(troupe.batch_items("0").items[0].errors[0].code)
    reveal_type(troupe.deliveries("0").deliveries[0].attempts[0].http_status)
    reveal_type(errors.RateLimited("slow down").retry_after_s)
    reveal_type(troupe.picture)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> InstalledClient:
    return install_client(tmp_path_factory.mktemp("client"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of somebody who has modules of the same names as this tree."""
    for name in ("api", "shared", "worker", "compose", "errors", "job"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the user was imported')\n")
    for name in ("ben", "anna"):
        shutil.copy(PORTRAITS / f"{name}.png", tmp_path)
    return tmp_path


def block(language: str) -> str:
    found = re.search(rf"## \w.*?```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_wheel_is_one_small_typed_package_with_relative_imports(installed: InstalledClient) -> None:
    assert installed.wheel.stat().st_size < MOST_BYTES
    with zipfile.ZipFile(installed.wheel) as archive:
        names = archive.namelist()
        texts = [archive.read(name).decode() for name in names if name.endswith(".py")]
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"troupe_client"}
    assert "troupe_client/py.typed" in names
    assert sum(map(len, texts)) < MOST_BYTES
    assert not [
        line for text in texts for line in text.splitlines() if re.match(r"\s*(from|import) (api|shared)\b", line)
    ]


def test_it_needs_few_packages_and_none_of_the_server(installed: InstalledClient) -> None:
    (packages,) = installed.python.parents[1].glob("lib/python*/site-packages")
    names = {path.name.partition("-")[0] for path in packages.glob("*.dist-info")}
    assert names >= DEPENDENCIES
    assert len(names) < 30
    assert not names & {"boto3", "celery", "fastapi", "redis", "pillow", "torch"}


def test_the_example_runs_beside_modules_of_the_same_names(
    installed: InstalledClient, project: Path, server: ApiServer
) -> None:
    (project / "example.py").write_text(block("python").replace("http://127.0.0.1:8000", server.url))
    playing = threading.Thread(target=play_the_next_job, args=(server,))
    playing.start()
    done = installed.run([installed.python, "example.py"], project)
    playing.join()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("succeeded")
    assert (project / "beach.png").read_bytes().startswith(b"\x89PNG")


def play_the_next_job(server: ApiServer) -> None:
    deadline_s = time.monotonic() + 60
    with server.client() as client:
        while not (jobs := client.get("/v1/jobs", params={"status": "queued"}).json()["jobs"]):
            assert time.monotonic() < deadline_s
    server.run_stages(jobs[0]["id"])


def test_the_command_runs_beside_them_too(installed: InstalledClient, project: Path, server: ApiServer) -> None:
    asked: list[str | Path] = [
        installed.troupe,
        "--url",
        server.url,
        "submit",
        "a man",
        "-c",
        "the man=ben.png",
        "--seed",
        "7",
    ]
    job = installed.run(asked, project)
    assert job.returncode == 0, job.stderr
    shown = installed.run([installed.troupe, "get", job.stdout.strip()], project, TROUPE_URL=server.url)
    assert f"job       {job.stdout.strip()}" in shown.stdout, shown.stderr
    assert re.fullmatch(r"troupe \d+\.\d+\.\d+\n", installed.run([installed.troupe, "--version"], project).stdout)


def test_a_strict_type_checker_sees_every_type(installed: InstalledClient, tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--disallow-any-expr", "--no-incremental"]
    command += ["--config-file=", "--python-executable", str(installed.python), "typed.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stdout
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert revealed[:6] == [
        "int | None",
        "troupe_client.job.Status",
        "list[float]",
        "str",
        "int | None",
        "int",
    ]
    assert "preview: bool =" in revealed[6]
