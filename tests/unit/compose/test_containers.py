"""What containers run exists: commands, modules and files; images install from the lock and are nobody's root."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from compose.processes import ROOT
from shared.broker import WORKER_ARGS
from tests.support.servers import missing
from tests.support.stack_files import (
    DOCKERFILES,
    ours,
    pods,
    services,
)

SERVICES = services()
HADOLINT = ROOT / ".venv" / "bin" / "hadolint"
COMMANDS: dict[str, list[str]] = {
    **{
        f"compose {name}": service["command"]
        for name, service in SERVICES.items()
        if ours(service) and "command" in service
    },
    **{f"pod {name}": one["command"] for name, pod in pods().items() for one in pod["containers"]},
    **{
        f"image {name} {number}": json.loads(command)
        for name, text in DOCKERFILES.items()
        for number, command in enumerate(re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE))
    },
}


def health_checks() -> dict[str, list[str]]:
    """The commands that ask our own containers how they are."""
    found = {}
    for name, service in SERVICES.items():
        if ours(service) and "healthcheck" in service:
            test = service["healthcheck"]["test"]
            found[f"compose {name}"] = test[1:] if test[0] == "CMD" else shlex.split(test[1])
    for name, pod in pods().items():
        probe = pod["containers"][0].get("readinessProbe", {}).get("exec", {}).get("command")
        if probe:
            found[f"pod {name}"] = shlex.split(probe[2]) if probe[0] == "sh" else probe
    return found


@pytest.mark.parametrize("words", [*COMMANDS.values(), *health_checks().values()], ids=[*COMMANDS, *health_checks()])
def test_a_command_runs_a_module_that_exists(words: list[str]) -> None:
    assert words[0] == "python"
    if words[1] == "-c":
        compile(words[2], "health check", "exec")
        return
    assert words[1] == "-m"
    module = words[2] if words[2] != "celery" else words[words.index("-A") + 1]
    assert importlib.util.find_spec(module) is not None


def celery_workers() -> dict[str, list[str]]:
    return {name: words for name, words in COMMANDS.items() if "worker" in words}


@pytest.mark.parametrize("name", celery_workers())
def test_a_worker_starts_as_in_the_embedded_stack(name: str) -> None:
    words = celery_workers()[name]
    app = "worker.webhooks.app" if "worker.webhooks.app" in words else "worker.app"
    start = ["python", "-m", "celery", "-A", app, "worker", *WORKER_ARGS]
    assert words[: len(start)] == start
    # Its name says in Flower, in /readyz and in the logs what it does.
    role = name.split()[1]
    assert words[len(start) :] == ([] if name.startswith("image") else ["-n", f"{role}@%h"])


def test_the_drain_has_the_same_time_everywhere_and_more_than_the_embedded_stack() -> None:
    graces = {pods()[name]["terminationGracePeriodSeconds"] for name in ("detection", "generation", "webhooks")}
    stops = {SERVICES[name]["stop_grace_period"] for name in ("detection", "generation", "webhooks")}
    assert (graces, stops) == ({60}, {"60s"})
    embedded = re.search(r"^_WORKER_GRACE_S = ([\d.]+)$", (ROOT / "compose" / "stack.py").read_text(), re.MULTILINE)
    assert embedded is not None
    assert float(embedded[1]) <= 60


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_installs_from_the_lock_with_the_locked_uv(name: str) -> None:
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    version = next(package["version"] for package in locked if package["name"] == "uv")
    text = DOCKERFILES[name]
    assert f"ghcr.io/astral-sh/uv:{version} " in text
    syncs = [line for line in text.splitlines() if "uv sync" in line]
    assert syncs
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for line in syncs:
        assert "--frozen" in line
        assert line.rpartition("--only-group ")[2] in groups


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_is_fetched_is_kept_between_builds(name: str) -> None:
    text = DOCKERFILES[name]
    (folder,) = set(re.findall(r"UV_CACHE_DIR=(\S+)", text))
    assert set(re.findall(r"--mount=type=cache,target=(\S+) uv sync", text)) == {folder}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_no_image_runs_as_root_and_every_stage_that_runs_says_so_by_number(name: str) -> None:
    stages = re.split(r"^FROM ", DOCKERFILES[name], flags=re.MULTILINE)[1:]
    running = [stage for stage in stages if "\nCMD " in stage]
    assert running
    assert all("\nUSER 10001:10001\n" in stage for stage in running)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_an_image_copies_exists_and_reaches_the_build(name: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILES[name], re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored


def test_the_image_of_the_api_has_no_model_library() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert "--only-group worker" not in DOCKERFILES["api.Dockerfile"]
    named = " ".join(str(package) for name in ("api", "flower", "server") for package in groups[name])
    assert not re.search(r"torch|diffusers|transformers|onnxruntime", named)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_finds_nothing(name: str) -> None:
    if not HADOLINT.exists():
        missing("hadolint")
    done = subprocess.run([HADOLINT, ROOT / "compose" / name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_flower_can_look_but_not_touch_and_asks_who_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "login").write_text("operator:hush\n")
    monkeypatch.setenv("FLOWER_LOGIN_FILE", str(tmp_path / "login"))
    made: dict[str, Any] = {}
    exec((ROOT / "compose" / "flower.py").read_text(), made)  # noqa: S102 - as Flower reads it
    assert (made["basic_auth"], made["read_only"]) == (["operator:hush"], True)
    monkeypatch.setenv("FLOWER_LOGIN_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError):
        exec((ROOT / "compose" / "flower.py").read_text(), {})  # noqa: S102 - the same
