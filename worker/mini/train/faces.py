"""Train the face pack: one command a model, one that puts the pack together, one that measures it.

    python -m worker.mini.train.faces detector --steps 3000
    python -m worker.mini.train.faces recogniser --steps 3000
    python -m worker.mini.train.faces judge --steps 2000        (a second recogniser, for measuring only)
    python -m worker.mini.train.faces export
    python -m worker.mini.train.faces measure

Each training goes on where it was stopped, and logs its curve to var/train/faces-<model>.jsonl.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from worker.mini.train.faces_detector import Detector, Targets, detector_batches, detector_loss
from worker.mini.train.faces_export import export_pack
from worker.mini.train.faces_measure import measure_pack
from worker.mini.train.faces_recogniser import SHAPES, Teacher, recogniser_batches, render_faces
from worker.mini.train.precision import mixed

Batch = TypeVar("Batch")
_LOG_EVERY, _SAVE_EVERY = 25, 200
_IDENTITIES = 6000


@dataclass(frozen=True, kw_only=True)
class Course:
    """How long and how fast to train: learning rate `rate` after a warm-up, falling to a hundredth along a cosine."""

    name: str
    steps: int
    rate: float
    folder: Path


def train(
    model: nn.Module, batches: Iterable[Batch], loss_of: Callable[[Batch], dict[str, Tensor]], course: Course
) -> None:
    """Train until course.steps are done, earlier calls included; writes <folder>/faces-<name>.pt and .jsonl."""
    course.folder.mkdir(parents=True, exist_ok=True)
    path, curve = course.folder / f"faces-{course.name}.pt", course.folder / f"faces-{course.name}.jsonl"
    optimizer = torch.optim.AdamW(model.parameters(), lr=course.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, course.rate, total_steps=course.steps + 1, pct_start=0.08, div_factor=10, final_div_factor=10
    )
    first = 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        first = saved["step"]
    model.train()
    began, sums = time.monotonic(), dict[str, float]()
    for step, batch in zip(range(first + 1, course.steps + 1), batches, strict=False):
        terms = loss_of(batch)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        for name, term in terms.items():
            sums[name] = sums.get(name, 0.0) + float(term.detach()) / _LOG_EVERY
        if step % _LOG_EVERY == 0:
            record = {
                "step": step,
                "s": round(time.monotonic() - began, 1),
                **{k: round(v, 4) for k, v in sums.items()},
            }
            with curve.open("a") as log:
                log.write(json.dumps(record) + "\n")
            sums.clear()
        if step % _SAVE_EVERY == 0 or step == course.steps:
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
            }
            torch.save({**state, "step": step}, path.with_suffix(".new"))
            path.with_suffix(".new").rename(path)


def main() -> None:
    """Train or export what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("detector", *SHAPES, "export", "measure"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, help="default 16 for the detector, 64 for a recogniser")
    parser.add_argument(
        "--seed", type=int, default=0, help="initial weights and batches; a recogniser's training people too"
    )
    parser.add_argument("--world", type=Path, default=Path("var/world"))
    parser.add_argument("--folder", type=Path, default=Path("var/train"))
    parser.add_argument("--pack", type=Path, default=Path(__file__).parent.parent / "checkpoints" / "faces")
    asked = parser.parse_args()
    torch.manual_seed(asked.seed)
    torch.set_num_threads(1)
    if asked.what == "export":
        for line in export_pack(asked.folder, asked.pack):
            sys.stdout.write(line + "\n")
    elif asked.what == "measure":
        for name, figures in measure_pack(asked.pack).items():
            sys.stdout.write(f"{name}: {json.dumps(figures)}\n")
    elif asked.what == "detector":
        detector = Detector()
        batches = detector_batches(asked.world, _fresh(asked.seed, asked.folder, "detector"), asked.batch or 16)
        course = Course(name="detector", steps=asked.steps, rate=2e-3, folder=asked.folder)

        def loss_of(batch: tuple[Tensor, Targets]) -> dict[str, Tensor]:
            with mixed():
                outputs = detector(batch[0])
            return detector_loss(outputs, batch[1])

        train(detector, batches, loss_of, course)
    else:
        # Each seed has training people of its own, so the judge has never seen those of the recogniser.
        cache = asked.folder.parent / f"faces-{asked.seed}"
        render_faces(cache, identities=_IDENTITIES, seed=asked.seed)
        faces = recogniser_batches(
            cache,
            identities=_IDENTITIES,
            identity_seed=asked.seed,
            seed=_fresh(asked.seed, asked.folder, asked.what),
            batch=asked.batch or 64,
        )
        teacher = Teacher(SHAPES[asked.what], _IDENTITIES)
        course = Course(name=asked.what, steps=asked.steps, rate=2e-3, folder=asked.folder)
        train(teacher, faces, teacher.loss, course)


def _fresh(seed: int, folder: Path, name: str) -> int:
    """Another seed of batches after each break, so that a resumed training does not repeat its first batches."""
    curve = folder / f"faces-{name}.jsonl"
    lines = sum(1 for _ in curve.open()) if curve.exists() else 0
    return seed + 1000 * lines


if __name__ == "__main__":
    main()
