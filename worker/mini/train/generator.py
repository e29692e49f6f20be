"""What the trainings of the generator share: optimiser, schedule, running average, resuming and the log."""

from __future__ import annotations

import json
import math
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Newton-Schulz coefficients of Muon (Keller Jordan, github.com/KellerJordan/Muon, muon.py).
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_NEWTON_SCHULZ_STEPS = 5


def orthogonalized(matrix: Tensor) -> Tensor:
    """The nearest (half-)orthogonal matrix to `matrix` (r, c), roughly: its singular values are pulled to about 1.

    Source: Muon, github.com/KellerJordan/Muon, `zeropower_via_newtonschulz5`.
    """
    a, b, c = _NEWTON_SCHULZ
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    orthogonal: Tensor = x.T if matrix.shape[0] > matrix.shape[1] else x
    return orthogonal


class Muon(torch.optim.Optimizer):
    """Momentum whose step is orthogonalised, for weights of two or more dimensions (convolutions as (out, rest)).

    torch's own Muon takes matrices only and so leaves out the convolutions, which are most of a UNet. The step is
    scaled to the size of an AdamW step (0.2 sqrt(max(r, c)), arXiv:2502.16982, section 2.2), so that one learning
    rate serves both.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient by one step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum: Tensor = state["momentum"]
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                direction = parameter.grad.lerp(momentum, group["momentum"]).reshape(parameter.shape[0], -1)
                scale = 0.2 * math.sqrt(max(direction.shape))
                parameter.add_(orthogonalized(direction).reshape(parameter.shape), alpha=-group["lr"] * scale)


class Training:
    """One resumable training: networks, optimisers, learning rate, running average, state file and curve.

    The rate warms up, stays, and falls to zero over the last `cooldown` share of the steps; so a training that was
    resumed with more steps simply stays longer.
    """

    def __init__(
        self,
        name: str,
        modules: Mapping[str, nn.Module],
        *,
        folder: Path,
        steps: int,
        lr: float,
        cooldown: float = 0.35,
    ) -> None:
        self.name, self.modules, self.steps, self.lr, self.cooldown = name, modules, steps, lr, cooldown
        self.state_path, self.curve_path = folder / f"{name}.pt", folder / f"{name}.jsonl"
        # A parameter that two modules share is moved once.
        parameters = list({id(p): p for m in modules.values() for p in m.parameters() if p.requires_grad}.values())
        matrices = [p for p in parameters if p.ndim >= 2]
        vectors = [p for p in parameters if p.ndim < 2]
        self.optimizers: list[torch.optim.Optimizer] = [
            Muon(matrices, lr=lr),
            torch.optim.AdamW(vectors, lr=lr, weight_decay=0.0, betas=(0.9, 0.98)),
        ]
        self.parameters = parameters
        self.average = {key: _copied(module) for key, module in modules.items()}
        self.step = 0
        self.seconds = 0.0
        self._stopped = False
        folder.mkdir(parents=True, exist_ok=True)
        if self.state_path.exists():
            self._resume()

    def __iter__(self) -> Iterator[int]:
        """The numbers of the steps still to take. The state is saved every two minutes, at the end, and on SIGTERM."""
        signal.signal(signal.SIGTERM, self._stop)
        saved = last = time.monotonic()
        while self.step < self.steps and not self._stopped:
            yield self.step
            self.step += 1
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
            if now - saved > 120:
                self.save()
                saved = time.monotonic()
        self.save()

    def descend(self, loss: Tensor) -> None:
        """One step down `loss`: gradients clipped at norm 1, the rate of this step, and the running average."""
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.lr * rate(self.step, self.steps, self.cooldown)
            optimizer.step()
            optimizer.zero_grad()
        # A young average must forget fast, or it stays near the random start.
        decay = min(0.998, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, module in self.modules.items():
                for name, value in module.state_dict().items():
                    if value.is_floating_point():
                        self.average[key][name].lerp_(value, 1 - decay)

    def log(self, **numbers: float) -> None:
        """Append one line of the curve, stamped with the step and the seconds trained so far."""
        line = {"step": self.step, "seconds": round(self.seconds, 1), **{k: round(v, 5) for k, v in numbers.items()}}
        with self.curve_path.open("a") as curve:
            curve.write(json.dumps(line) + "\n")
        print(self.name, line, flush=True)

    def save(self) -> None:
        """Write the state, whole or not at all."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "modules": {key: module.state_dict() for key, module in self.modules.items()},
            "average": self.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        partial = self.state_path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.state_path)

    def _resume(self) -> None:
        state: dict[str, Any] = torch.load(self.state_path, weights_only=True)
        self.step, self.seconds, self.average = state["step"], state["seconds"], state["average"]
        for key, module in self.modules.items():
            module.load_state_dict(state["modules"][key])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)

    def _stop(self, *_: object) -> None:
        self._stopped = True


def rate(step: int, steps: int, cooldown: float, *, warm: int = 30) -> float:
    """The share of the learning rate at `step`: up over `warm` steps, flat, then linearly to zero."""
    return min(1.0, (step + 1) / warm, (steps - step) / max(1, cooldown * steps))


def averaged_state(state_path: Path, key: str) -> dict[str, Tensor]:
    """The running average of module `key` in a training's state file, which may still be training."""
    average: dict[str, Tensor] = torch.load(state_path, weights_only=True)["average"][key]
    return average


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
