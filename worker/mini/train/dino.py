"""Train the mini Grounding DINO on the drawn world.

    python -m worker.mini.train.dino --world var/world --align-steps 1500 --steps 5000

Goes on from var/train/dino.pt after a break, writes the loss curve to var/train/dino.jsonl, and puts the averaged
weights into --out every thousand steps and at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from worker.mini.train.dataset import load
from worker.mini.train.dino_align import Alignment
from worker.mini.train.dino_batches import draw_batch
from worker.mini.train.dino_criterion import Detection
from worker.mini.train.dino_model import make_model, make_tokenizer, save
from worker.mini.train.dino_phrases import STRANGE_WORDS
from worker.mini.world import VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.mini.train.dino_batches import Batch

_WARM_UP_STEPS = 200
_LOG_EVERY, _SAVE_EVERY, _PUBLISH_EVERY = 50, 250, 1000
_AVERAGE_DECAY = 0.998


def main() -> None:
    """Both stages one after the other, from wherever the last run stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=Path, default=Path("var/world"))
    parser.add_argument("--out", type=Path, default=Path("worker/mini/checkpoints/dino"))
    parser.add_argument("--state", type=Path, default=Path("var/train/dino.pt"))
    parser.add_argument("--align-steps", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--align-rate", type=float, default=1.5e-3)
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    asked.state.parent.mkdir(parents=True, exist_ok=True)
    sets = load(asked.world)
    tokenizer = make_tokenizer([word for word in VOCABULARY if word not in STRANGE_WORDS])
    detector = make_model(asked.seed)
    alignment = Alignment(detector)
    state = torch.load(asked.state, weights_only=True) if asked.state.exists() else None

    def batch(step: int, *, clean_share: float) -> Batch:
        return draw_batch(sets, tokenizer, np.random.default_rng([asked.seed, step]), clean_share=clean_share)

    if state is None or state["stage"] == "align":
        stage = Stage(name="align", steps=asked.align_steps, rate=asked.align_rate, path=asked.state)
        _train(alignment, lambda at: alignment(batch(at, clean_share=0.6)), stage, state, publish=lambda _: None)
        state = None

    detection = Detection(detector)

    def publish(weights: dict[str, torch.Tensor]) -> None:
        averaged = make_model(asked.seed)
        prefix = "detector."
        own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        averaged.load_state_dict(own)
        save(averaged, tokenizer, asked.out)

    stage = Stage(name="detect", steps=asked.steps, rate=asked.rate, path=asked.state)
    _train(
        detection,
        lambda at: detection(batch(asked.align_steps + at, clean_share=0.4)),
        stage,
        state,
        publish=publish,
    )


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What the two stages of the training differ in; `path` is the state file they share."""

    name: str
    steps: int
    rate: float
    path: Path


def _train(
    module: nn.Module,
    losses: Callable[[int], dict[str, torch.Tensor]],
    stage: Stage,
    state: dict[str, Any] | None,
    *,
    publish: Callable[[dict[str, torch.Tensor]], None],
) -> None:
    """AdamW with warm-up and a cosine to zero; the average of the weights follows each step."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=stage.rate, weight_decay=1e-4)
    average = {name: value.clone() for name, value in module.state_dict().items()}
    first = 0
    if state is not None:
        module.load_state_dict(state["weights"])
        optimizer.load_state_dict(state["optimizer"])
        average, first = state["average"], state["step"]
    began, taken = time.monotonic(), 0
    sums: dict[str, float] = {}
    for step in range(first, stage.steps):
        rate = stage.rate * min(1, (step + 1) / _WARM_UP_STEPS) * (1 + math.cos(math.pi * step / stage.steps)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        terms = losses(step)
        optimizer.zero_grad()
        terms["total"].backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            decay = min(_AVERAGE_DECAY, step / (step + 20))
            for name, value in module.state_dict().items():
                average[name].lerp_(value, 1 - decay) if value.is_floating_point() else average[name].copy_(value)
        taken += 1
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        done = step + 1
        if done % _LOG_EVERY == 0:
            means = {name: round(value / taken, 4) for name, value in sums.items()}
            line = {
                "stage": stage.name,
                "step": done,
                "s_per_step": round((time.monotonic() - began) / taken, 3),
                **means,
            }
            with stage.path.with_suffix(".jsonl").open("a") as curve:
                curve.write(json.dumps(line) + "\n")
            began, sums, taken = time.monotonic(), {}, 0
        if done % _SAVE_EVERY == 0 or done == stage.steps:
            _save_state(stage, done, module, optimizer, average)
        if done % _PUBLISH_EVERY == 0 or done == stage.steps:
            publish(average)


def _save_state(
    stage: Stage, step: int, module: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, torch.Tensor]
) -> None:
    new = stage.path.with_suffix(".new")
    torch.save(
        {
            "stage": stage.name,
            "step": step,
            "weights": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average,
        },
        new,
    )
    new.rename(stage.path)


if __name__ == "__main__":
    main()
