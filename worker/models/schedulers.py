"""Schedulers of diffusers by name, behind the loop's `Solver`: deterministic, resumable, one noise for all chains."""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

SchedulerName = Literal["euler", "euler_a", "euler_trailing", "ddim", "ddim_trailing", "dpmpp_2m", "unipc", "lcm"]

# Options on top of the checkpoint's own configuration (noise schedule, prediction type, spacing).
_CLASSES: dict[SchedulerName, tuple[Any, dict[str, Any]]] = {
    "euler": (EulerDiscreteScheduler, {}),
    # SDXL-Lightning and Hyper-SD were distilled on timesteps that begin at pure noise (arXiv 2305.08891, section 3.3).
    "euler_trailing": (EulerDiscreteScheduler, {"timestep_spacing": "trailing"}),
    "euler_a": (EulerAncestralDiscreteScheduler, {}),
    # Latents are not pictures: there is no range to clip them to.
    "ddim": (DDIMScheduler, {"clip_sample": False}),
    "ddim_trailing": (DDIMScheduler, {"clip_sample": False, "timestep_spacing": "trailing"}),
    "dpmpp_2m": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "unipc": (UniPCMultistepScheduler, {}),
    "lcm": (LCMScheduler, {}),
}
_DRAWS_NOISE: frozenset[SchedulerName] = frozenset({"euler_a", "lcm"})
_GROWS: frozenset[SchedulerName] = frozenset({"euler", "euler_a", "euler_trailing"})


class ScheduledSolver:
    """A scheduler of diffusers as the loop's `Solver`.

    The noise of step i comes from (seed, i) alone: own chains draw the same noise, and so does a run that replays its
    first steps.
    """

    def __init__(self, scheduler: Any, *, seed: int, draws_noise: bool, grows: bool) -> None:
        self._scheduler = scheduler
        self._seed = seed
        self._draws_noise = draws_noise
        self._grows = grows

    @property
    def timesteps(self) -> Tensor:
        """Timesteps from noise to picture, (steps,)."""
        timesteps: Tensor = self._scheduler.timesteps
        return timesteps

    def noisy(self, noise: Tensor) -> Tensor:
        """Standard normal noise brought to the first noise level."""
        level: Tensor = noise * self._scheduler.init_noise_sigma
        return level

    def scale(self, x: Tensor, i: int) -> Tensor:
        """The latents as the network wants to see them at step i."""
        scaled: Tensor = self._scheduler.scale_model_input(x, self.timesteps[i])
        return scaled

    def clean(self, eps: Tensor, i: int, x: Tensor) -> Tensor:
        """The clean latents that a prediction of step i points to (arXiv 2202.00512, appendix D)."""
        t = self.timesteps[i]
        kept = self._scheduler.alphas_cumprod[t.round().long().cpu()].to(x)
        # Euler's latents grow with the noise level; the others have unit variance throughout.
        unit = x * kept.sqrt() if self._grows else x
        if self._scheduler.config.prediction_type == "v_prediction":
            clean: Tensor = kept.sqrt() * unit - (1 - kept).sqrt() * eps
        else:
            clean = (unit - (1 - kept).sqrt() * eps) / kept.sqrt()
        return clean

    def step(self, eps: Tensor, i: int, x: Tensor) -> Tensor:
        """The latents after step i."""
        # A replayed step has not been scaled for a network, and some schedulers warn when they were not asked to.
        self.scale(x, i)
        options: dict[str, Any] = {}
        if self._draws_noise:
            options["generator"] = torch.Generator().manual_seed(_seed_of_step(self._seed, i))
        after: Tensor = self._scheduler.step(eps, self.timesteps[i], x, return_dict=False, **options)[0]
        return after


def make_solver(
    configuration: Any,
    name: SchedulerName,
    *,
    steps: int,
    seed: int,
) -> ScheduledSolver:
    """A fresh solver for `steps` steps. configuration: `config` of the checkpoint's own scheduler.

    Its timesteps stay on the CPU, wherever the latents are: to look one up there does not make a device wait.
    """
    scheduler_class, options = _CLASSES[name]
    scheduler = scheduler_class.from_config(copy.deepcopy(dict(configuration)), **options)
    scheduler.set_timesteps(steps)
    return ScheduledSolver(scheduler, seed=seed, draws_noise=name in _DRAWS_NOISE, grows=name in _GROWS)


def draw_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Z_T as standard normal noise: the job's one draw, made on the CPU so that every device starts alike."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _seed_of_step(seed: int, i: int) -> int:
    # Steps of neighbouring seeds must not share noise, and no step may repeat the first draw: spread by a large odd
    # number (2**64 / golden ratio) before cutting to the 63 bits a generator takes.
    return (seed + (i + 1) * 0x9E3779B97F4A7C15) % 2**63
