"""Denoising with several branches whose latents are blended by masks in every step: Algorithm 1 and its equation 8.

Latents are (1, c, h, w), for any c. This file uses no network and no library of schedulers, only callables.

Three modes couple the branches in different ways; `split` is S, a fraction of the steps:

`literal`  The algorithm as printed. Every branch has its own chain from the first step. In all but the last S steps the
           background reads the blend; in the last S it goes on from its own latents.
`staged`   The first S steps are the template's own. Then every concept starts a chain of its own from the template's
           latents, and the background reads the blend.
`shared`   The first S steps are the template's own. Then all branches read one blended latent: their predictions are
           blended and one solver steps once (the noise blending of OMG, arXiv 2403.10983, section 3.3).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import torch
from torch import Tensor

Mode = Literal["literal", "staged", "shared"]
Show = Callable[[Tensor], None]
"""Takes the estimate of the clean latents after a step, (1, c, h, w)."""
OnStep = Callable[[int, int], Show | None]


class Predictor(Protocol):
    """One branch: scaled latents (1, c, h, w) and a timestep -> guided prediction, same shape."""

    def __call__(self, x: Tensor, t: Tensor, /) -> Tensor:
        """The guided prediction for one branch."""
        ...


P = TypeVar("P", bound=Predictor)
# Covariant: a frozen layer only returns its predictor.
P_co = TypeVar("P_co", bound=Predictor, covariant=True)
P_contra = TypeVar("P_contra", contravariant=True)


class BatchPredictor(Protocol[P_contra]):
    """Several branches in one call: row i of x, (b, c, h, w), belongs to branches[i] -> predictions, same shape."""

    def __call__(self, x: Tensor, t: Tensor, branches: Sequence[P_contra], /) -> Tensor:
        """The guided predictions of all branches."""
        ...


def one_by_one(x: Tensor, t: Tensor, branches: Sequence[Predictor]) -> Tensor:
    """The default `BatchPredictor`: one call for each branch."""
    return torch.cat([branch(x[i : i + 1], t) for i, branch in enumerate(branches)])


class Solver(Protocol):
    """One chain's integrator. It may remember earlier predictions; a deep copy is an independent chain.

    Noise that a step draws must depend on the step alone, so that all chains draw the same.
    """

    @property
    def timesteps(self) -> Tensor:
        """Timesteps from noise to picture, (steps,)."""
        ...

    def scale(self, x: Tensor, i: int) -> Tensor:
        """The latents as the input of the network at step i."""
        ...

    def clean(self, eps: Tensor, i: int, x: Tensor) -> Tensor:
        """The clean latents that the prediction of step i points to. Changes nothing."""
        ...

    def step(self, eps: Tensor, i: int, x: Tensor) -> Tensor:
        """The latents after step i. Steps are taken in order, each once."""
        ...


@dataclass(frozen=True, kw_only=True)
class Layer(Generic[P_co]):
    """One concept: its mask (1, 1, h, w) in 0..1, its branch, and its part of the schedule, as fractions.

    Outside start..stop the background fills the mask.
    """

    mask: Tensor
    predictor: P_co
    start: float = 0.0
    stop: float = 1.0

    def active(self, i: int, steps: int) -> bool:
        """Whether the layer takes part in step i."""
        return round(self.start * steps) <= i < round(self.stop * steps)


@dataclass(frozen=True, kw_only=True)
class Composition(Generic[P]):
    """What to draw: a background, layers whose masks sum to at most 1, and a predictor of all of them."""

    background: P
    layers: tuple[Layer[P], ...] = ()
    batch_predictor: BatchPredictor[P] = one_by_one


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to draw it. split: S, and background_replay: both fractions of the steps.

    prefix: guided predictions of the template's first steps, (n, c, h, w), from `Denoised.predictions`. While the
    background is still the template's, they are replayed through the solver instead of computed: the same latents, the
    same solver memory, no network.

    background_replay: in this first share of the steps the background replays the predictions in prefix instead of
    predicting from the blend. Outside of hard masks the latents are then the template's, as in Blended Latent Diffusion
    (arXiv 2206.02779, section 4.1), and a step computes only the layers.
    """

    mode: Mode = "shared"
    split: float = 0.0
    background_replay: float = 0.0
    prefix: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Denoised:
    """The final latents, (1, c, h, w), and the background's guided predictions of every step, (steps, c, h, w).

    background: the background's own latents at the end, (1, c, h, w), when it has its own chain (`literal`, `staged`).
    They lack what the last step put into the masks, which a decoder would spread over their edges.
    """

    latents: Tensor
    predictions: Tensor
    background: Tensor | None = None


@dataclass
class _Chain:
    """Latents on their way from noise to picture, with their own solver."""

    x: Tensor
    solver: Solver

    def step(self, eps: Tensor, i: int) -> None:
        self.x = self.solver.step(eps.to(self.x.dtype), i, self.x)


def _silent(_i: int, _n: int) -> None:
    pass


def denoise(
    x: Tensor, solver: Solver, composition: Composition[P], plan: Plan | None = None, on_step: OnStep = _silent
) -> Denoised:
    """Runs the whole schedule from `x`, noise already at the solver's first noise level; the solver must be fresh.

    on_step(i, n) is called after step i of n, counted from 1; an error that it raises ends the run, and a function that
    it returns gets the estimate of the clean latents. Without layers this is plain sampling of the background, in every
    mode. Raises ValueError when the plan replays more steps than its prefix has.
    """
    plan = plan or Plan()
    steps = len(solver.timesteps)
    _check_replay(plan, steps)
    split = round(plan.split * steps)
    background = _Chain(x, solver)
    chains: dict[int, _Chain] = {}
    blend = x
    predictions = []
    for i in range(steps):
        begun = plan.mode == "literal" or i >= split
        active = {n: layer for n, layer in enumerate(composition.layers) if begun and layer.active(i, steps)}
        if plan.mode != "literal" or i < steps - split:
            background.x = blend
        if plan.mode == "shared":
            chains = dict.fromkeys(active, background)
        else:
            chains = {n: chains.get(n) or _Chain(blend, copy.deepcopy(solver)) for n in active}
        known = _replay(plan, i, steps, split)
        eps = _predict(composition, [background, *chains.values()], tuple(active.values()), known, i)
        predictions.append(eps[:1])
        read = [chain.x for chain in (background, *chains.values())]
        if plan.mode == "shared":
            background.step(_blend(eps, active.values()), i)
            blend = background.x
        else:
            for chain, own in zip([background, *chains.values()], eps.split(1), strict=True):
                chain.step(own, i)
            blend = _blend(torch.cat([chain.x for chain in [background, *chains.values()]]), active.values())
        show = on_step(i + 1, steps)
        if show is not None:
            show(_blend(solver.clean(eps, i, torch.cat(read)), active.values()))
    own_background = None if plan.mode == "shared" or not composition.layers else background.x
    return Denoised(latents=blend, predictions=torch.cat(predictions), background=own_background)


def _replay(plan: Plan, i: int, steps: int, split: int) -> Tensor | None:
    """The background's prediction of step i when it can be replayed, else None."""
    own = split == steps if plan.mode == "literal" else i < split
    replayed = i < round(plan.background_replay * steps)
    if plan.prefix is None or not (own or replayed) or i >= len(plan.prefix):
        return None
    return plan.prefix[i : i + 1]


def _check_replay(plan: Plan, steps: int) -> None:
    stored, replayed = 0 if plan.prefix is None else len(plan.prefix), round(plan.background_replay * steps)
    if stored < replayed:
        message = f"background_replay needs the template's predictions of {replayed} steps, and prefix has {stored}"
        raise ValueError(message)


def _predict(
    composition: Composition[P], chains: Sequence[_Chain], layers: Sequence[Layer[P]], known: Tensor | None, i: int
) -> Tensor:
    """Predictions for the background (row 0) and the layers; chains[0] is the background's, whose row may be known."""
    x, solver = chains[0].x, chains[0].solver
    branches = [layer.predictor for layer in layers]
    if known is None:
        branches = [composition.background, *branches]
    else:
        known, chains = known.to(x.device), chains[1:]
        if not branches:
            return known
    # All chains are at the same noise level, so one solver scales for all of them.
    rows = solver.scale(torch.cat([chain.x for chain in chains]), i)
    eps = composition.batch_predictor(rows, solver.timesteps[i], branches)
    return eps if known is None else torch.cat([known.to(eps.dtype), eps])


def _blend(rows: Tensor, layers: Collection[Layer[P]]) -> Tensor:
    """Equation 8: background * (1 - sum of masks) + sum of mask * layer. rows: the background, then the layers."""
    if not layers:
        return rows[:1]
    masks = torch.cat([layer.mask for layer in layers]).to(rows)
    return rows[:1] * (1 - masks.sum(0, keepdim=True)) + (rows[1:] * masks).sum(0, keepdim=True)
