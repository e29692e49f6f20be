"""How many files a new stage or a new kind of mask touches, counted on those that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from compose.processes import ROOT
from shared.job import MaskKind, Scheduler
from shared.orders import Order
from shared.settings import Settings
from shared.stages import LAST_STAGE, STAGES, Stage
from worker.blend.masks import MASK_KINDS
from worker.models.catalog import DINO_FOLDERS
from worker.models.schedulers import SCHEDULERS
from worker.runner.registry import WORKER_STAGES

ROOMS = ("api", "compose", "shared", "worker")
SUFFIXES = {".py", ".lua", ".js", ".css", ".html"}


def product() -> Iterator[tuple[str, str]]:
    """Name and text of every source file that is not a training or a measurement."""
    for room in ROOMS:
        for path in sorted(Path(ROOT, room).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix in SUFFIXES and not name.startswith("worker/mini/"):
                yield name, path.read_text()


def files_with(pattern: str) -> set[str]:
    return {name for name, text in product() if re.search(pattern, text)}


def test_the_newest_stage_is_named_in_five_files() -> None:
    stage = LAST_STAGE
    quoted = rf"""["'`:]{stage.value}["'`]|:{stage.value}\b"""
    code = rf"\bStage\.{stage.name}\b|\b{stage.value.capitalize()}(Order|Stage)\b|worker\.stages\.{stage.value}\b"
    touched = files_with(f"{quoted}|{code}") | {f"worker/stages/{stage.value}.py"}
    # What else stands in quotes by this name is a setting of the C2PA library.
    assert touched - {"worker/output/provenance.py"} == {
        "shared/orders.py",
        "shared/stages.py",
        "worker/runner/registry.py",
        "worker/runner/verify.py",
        "worker/stages/verify.py",
    }


def test_workers_run_every_stage_by_one_class_and_one_order() -> None:
    assert tuple(one.stage for one in WORKER_STAGES) == STAGES
    orders = {
        order.model_fields["stage"].default for order in Order.__subclasses__() if order.__module__ == "shared.orders"
    }
    assert orders == set(Stage)


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_says_what_people_read_of_it(stage: Stage) -> None:
    assert stage.info.label
    assert stage.info.activity


def test_a_kind_of_mask_is_named_in_three_files() -> None:
    assert set(get_args(MaskKind)) == set(MASK_KINDS)
    assert files_with(r"""["']ellipse["']|\.ellipse\b""") == {
        "api/page/page.css",
        "shared/job.py",
        "worker/blend/masks.py",
    }


def test_every_scheduler_that_a_job_may_name_is_in_one_table() -> None:
    assert set(SCHEDULERS) == set(get_args(Scheduler))
    assert files_with(r"""["']dpmpp_2m["']""") == {"shared/job.py", "worker/models/schedulers.py"}


def test_every_detector_engine_that_a_setting_may_name_has_a_folder() -> None:
    assert set(DINO_FOLDERS) == set(get_args(Settings.model_fields["dino_engine"].annotation))
