"""The schedulers, by name: each is a scheduler of diffusers behind the loop's `Solver`, deterministic and resumable."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True, kw_only=True)
class SchedulerSpec:
    """How to make one scheduler from the configuration of the checkpoint's own.

    kind: the class of diffusers. options: values that replace those of the configuration. draws_noise: whether its
    steps add noise. latents_grow: whether latents grow with the noise level, instead of having unit variance.
    """

    kind: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    draws_noise: bool = False
    latents_grow: bool = False


# Every scheduler that a job may name (`shared.job.Scheduler`).
SCHEDULERS: Mapping[str, SchedulerSpec] = {
    "euler": SchedulerSpec(kind=EulerDiscreteScheduler, latents_grow=True),
    # SDXL-Lightning and Hyper-SD were distilled on timesteps that begin at pure noise (arXiv 2305.08891, section 3.3).
    "euler_trailing": SchedulerSpec(
        kind=EulerDiscreteScheduler, options={"timestep_spacing": "trailing"}, latents_grow=True
    ),
    "euler_a": SchedulerSpec(kind=EulerAncestralDiscreteScheduler, draws_noise=True, latents_grow=True),
    # Latents are not pictures: there is no range to clip them to.
    "ddim": SchedulerSpec(kind=DDIMScheduler, options={"clip_sample": False}),
    "ddim_trailing": SchedulerSpec(kind=DDIMScheduler, options={"clip_sample": False, "timestep_spacing": "trailing"}),
    "dpmpp_2m": SchedulerSpec(
        kind=DPMSolverMultistepScheduler, options={"algorithm_type": "dpmsolver++", "solver_order": 2}
    ),
    "unipc": SchedulerSpec(kind=UniPCMultistepScheduler),
    "lcm": SchedulerSpec(kind=LCMScheduler, draws_noise=True),
}


class ScheduledSolver:
    """A scheduler of diffusers as the loop's `Solver`.

    The noise of step i depends only on (seed, i): separate chains draw the same noise, and so does a run that replays
    its first steps.
    """

    def __init__(self, scheduler: Any, spec: SchedulerSpec, *, seed: int) -> None:
        self._scheduler = scheduler
        self._spec = spec
        self._seed = seed

    @property
    def timesteps(self) -> Tensor:
        """Timesteps from noise to picture, (steps,)."""
        timesteps: Tensor = self._scheduler.timesteps
        return timesteps

    def noisy(self, noise: Tensor) -> Tensor:
        """Standard normal noise scaled to the first noise level."""
        level: Tensor = noise * self._scheduler.init_noise_sigma
        return level

    def scale(self, x: Tensor, i: int) -> Tensor:
        """The latents as the input of the network at step i."""
        scaled: Tensor = self._scheduler.scale_model_input(x, self.timesteps[i])
        return scaled

    def clean(self, eps: Tensor, i: int, x: Tensor) -> Tensor:
        """The clean latents that a prediction of step i points to (arXiv 2202.00512, appendix D)."""
        t = self.timesteps[i]
        kept = self._scheduler.alphas_cumprod[t.round().long().cpu()].to(x)
        unit = x * kept.sqrt() if self._spec.latents_grow else x
        if self._scheduler.config.prediction_type == "v_prediction":
            clean: Tensor = kept.sqrt() * unit - (1 - kept).sqrt() * eps
        else:
            clean = (unit - (1 - kept).sqrt() * eps) / kept.sqrt()
        return clean

    def step(self, eps: Tensor, i: int, x: Tensor) -> Tensor:
        """The latents after step i."""
        # Some schedulers warn when a step was not scaled before, and a replayed step was not.
        self.scale(x, i)
        options: dict[str, Any] = {}
        if self._spec.draws_noise:
            options["generator"] = torch.Generator().manual_seed(_seed_of_step(self._seed, i))
        after: Tensor = self._scheduler.step(eps, self.timesteps[i], x, return_dict=False, **options)[0]
        return after


def make_solver(
    configuration: Any,
    name: str,
    *,
    steps: int,
    seed: int,
) -> ScheduledSolver:
    """A fresh solver for `steps` steps. configuration: `config` of the checkpoint's own scheduler. name: in SCHEDULERS.

    Its timesteps stay on the CPU, so that reading one never waits for the device.
    """
    spec = SCHEDULERS[name]
    scheduler = spec.kind.from_config(copy.deepcopy(dict(configuration)), **spec.options)
    scheduler.set_timesteps(steps)
    return ScheduledSolver(scheduler, spec, seed=seed)


def draw_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Z_T as standard normal noise: the only draw of a job, made on the CPU so that all devices start from the same."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _seed_of_step(seed: int, i: int) -> int:
    # Steps of neighbouring seeds must not share noise, and no step may repeat the first draw: spread by a large odd
    # number (2**64 / golden ratio) before cutting to the 63 bits a generator takes.
    return (seed + (i + 1) * 0x9E3779B97F4A7C15) % 2**63
