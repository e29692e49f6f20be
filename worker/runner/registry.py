"""All stages that workers run, in the order of `shared.stages.Stage`."""

from __future__ import annotations

from typing import Any

from worker.runner.detect import DetectStage
from worker.runner.identify import IdentifyStage
from worker.runner.personalize import PersonalizeStage
from worker.runner.render import RenderStage
from worker.runner.stage import WorkerStage
from worker.runner.verify import VerifyStage

WORKER_STAGES: tuple[type[WorkerStage[Any]], ...] = (
    IdentifyStage,
    RenderStage,
    DetectStage,
    PersonalizeStage,
    VerifyStage,
)
