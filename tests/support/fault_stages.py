"""Stages without models that do as a job's prompt says, so that a test decides what happens to it, and when.

A prompt such as `render=wait personalize=die` names an act a stage; a stage that is not named makes three steps. Jobs
whose prompts say `share=NAME` have their results in common; `identity=0.3,0.8` are the scores of a job's tries. What
happens is told through files, which no outage of a server can take away: `{job}.{stage}.{attempt}.{pid}` says that a
stage was made, `{digest}.stored` that its result is there, and `{job}.go` lets those go on that wait. The folder is the
setting `bundle_folder`.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from shared.blob_store import BlobStore
from shared.errors import BlobsUnavailable, BundleError, NoFace, OutOfMemory
from shared.job import Job
from shared.settings import Role, Settings
from shared.stages import STAGES, Stage
from shared.store.queue.values import DeviceStatus
from shared.verification import StageFindings, Verification, VerifiedFace
from worker.runner.assignment import Loaded, OnStep, StageOutput


def verified(identity: float) -> Verification:
    return Verification(
        min_identity=identity, faces=(VerifiedFace(concept=0, identity=identity, face_box_px=(8, 8, 40, 48)),)
    )


VERIFICATION = verified(0.9)
GAUGE = DeviceStatus(device="a test's", memory_mb=2, free_mb=1, max_pixels=4_194_304)
_STEPS = 3
_LOOK_EVERY_S = 0.01
_PATIENCE_S = 120.0


def load_stages(settings: Settings, role: Role) -> Loaded:
    folder = Path(settings.bundle_folder)
    if (folder / "broken").exists():
        message = f"{folder / 'broken'} says so"
        raise BundleError(message)
    blobs = BlobStore(settings)
    stages = {stage: partial(assign, stage, folder, blobs) for stage in STAGES if role in ("all", stage.info.queue)}
    broken = folder / f"{os.getpid()}.device_broken"
    return Loaded(
        stages=stages,
        warm_up=partial(warm_up, folder),
        connect=blobs.reach,
        device_status=lambda: GAUGE,
        device_works=lambda: not broken.exists(),
    )


def warm_up(folder: Path) -> None:
    if (folder / "cramped").exists():
        message = f"the device has no room, {folder / 'cramped'} says"
        raise OutOfMemory(message)


@dataclass(frozen=True, kw_only=True)
class FaultStage:
    """One stage of one job."""

    stage: Stage
    folder: Path
    blobs: BlobStore
    job: Job

    @property
    def digest(self) -> str:
        """The same for all jobs that share their work."""
        number = 0 if self.stage is STAGES[0] else len(self.job.tries)
        return hashlib.sha256(f"{self.stage.value} {self._owner} {number}".encode()).hexdigest()

    def find(self) -> StageOutput | None:
        """What was stored."""
        return self._left(reused=True) if self._place.exists() else None

    def missing(self) -> tuple[str, ...]:
        """Nothing has parts."""
        return ()

    def make(self, on_step: OnStep) -> StageOutput:
        """As the prompt says."""
        run(self.stage, self.folder, self.job, on_step)
        if self.stage is STAGES[-1]:
            self.blobs.put(self._picture, f"the picture of {self._owner}".encode(), "image/png")
        self._place.touch()
        return self._left(reused=False)

    @property
    def _owner(self) -> str:
        return acts(self.job.spec.prompt).get("share", self.job.id)

    @property
    def _verification(self) -> Verification:
        scores = acts(self.job.spec.prompt).get("identity", "0.9").split(",")
        return verified(float(scores[min(len(self.job.tries), len(scores) - 1)]))

    @property
    def _place(self) -> Path:
        return self.folder / f"{self.digest}.stored"

    @property
    def _picture(self) -> str:
        return f"stages/{self.digest}/picture.png"

    def _left(self, *, reused: bool) -> StageOutput:
        last = self.stage is STAGES[-1]
        return StageOutput(
            digest=self.digest,
            findings=StageFindings(
                warnings=(f"{self.stage.value} warns",), verification=self._verification if last else None
            ),
            picture=self._picture if last else None,
            reused=reused,
        )


def assign(stage: Stage, folder: Path, blobs: BlobStore, job: Job) -> FaultStage:
    return FaultStage(stage=stage, folder=folder, blobs=blobs, job=job)


def run(stage: Stage, folder: Path, job: Job, on_step: OnStep) -> None:
    (folder / f"{job.id}.{stage.value}.{job.attempt}.{os.getpid()}").touch()
    on_step(0, _STEPS)
    act = acts(job.spec.prompt).get(stage.value, "step")
    gate = folder / f"{job.id}.go"
    if act == "die" or (act == "die_first" and job.attempt == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    elif act in {"no_face", "no_face_when_let_go"}:
        if act == "no_face_when_let_go":
            _wait(gate, on_step)
        message = "concept 1: no face in its photo"
        raise NoFace(message)
    elif act == "bug":
        message = "a secret that only the log may hold"
        raise RuntimeError(message)
    elif act == "break_device_first" and not gate.exists():
        gate.touch()
        (folder / f"{os.getpid()}.device_broken").touch()
        message = "an illegal memory access was encountered"
        raise RuntimeError(message)
    elif act == "outage_first" and not gate.exists():
        gate.touch()
        message = "the S3 server does not answer"
        raise BlobsUnavailable(message)
    elif act == "wait":
        _wait(gate, on_step)
    elif act == "hang" and job.attempt == 1:
        _wait(gate, lambda *_: None)
    for step in range(1, _STEPS):
        on_step(step, _STEPS)


def acts(prompt: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in prompt.split() if "=" in word)


def _wait(gate: Path, on_step: OnStep) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not gate.exists():
        if time.monotonic() > deadline:
            message = f"nobody made {gate} in {_PATIENCE_S} s"
            raise TimeoutError(message)
        on_step(1, _STEPS)
        time.sleep(_LOOK_EVERY_S)
