from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import pytest
import torch
from torch import Tensor

from tests.support.analytic import (
    CONFIGURATION,
    SEED,
    STEPS,
    ContextPredictor,
    Knows,
    left_half,
)
from worker.blend.loop import Composition, Denoised, Layer, Mode, Plan, Predictor, denoise, one_by_one
from worker.models.schedulers import SCHEDULERS, draw_noise, make_solver

MODES: tuple[Mode, ...] = get_args(Mode)
SHAPE = (1, 5, 8, 12)
LEFT = left_half(8, 12)
RIGHT = 1 - LEFT
SPLITS = (0.0, 0.3, 1.0)


def run(
    layers: Sequence[Layer[Predictor]] = (),
    plan: Plan | None = None,
    *,
    background: Predictor = ContextPredictor(0),  # noqa: B008 - frozen
    scheduler: str = "euler",
) -> Denoised:
    solver = make_solver(CONFIGURATION, scheduler, steps=STEPS, seed=SEED)
    start = solver.noisy(draw_noise(SHAPE, SEED))
    return denoise(start, solver, Composition(background=background, layers=tuple(layers)), plan)


def picture(seed: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("mode", MODES)
def test_branches_that_know_their_pictures_paint_them_inside_their_masks(mode: Mode, scheduler: str) -> None:
    one, two, behind = picture(1), picture(2), picture(3)
    top = torch.zeros_like(LEFT)
    top[..., :4, :] = 1
    layers = [Layer(mask=LEFT * top, predictor=Knows(one)), Layer(mask=RIGHT * top, predictor=Knows(two))]
    final = run(layers, Plan(mode=mode, split=0.3), background=Knows(behind), scheduler=scheduler).latents
    expected = one * LEFT * top + two * RIGHT * top + behind * (1 - top)
    torch.testing.assert_close(final, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_without_concepts_every_mode_is_plain_sampling(scheduler: str, mode: Mode, split: float) -> None:
    solver = make_solver(CONFIGURATION, scheduler, steps=STEPS, seed=SEED)
    x = solver.noisy(draw_noise(SHAPE, SEED))
    predictor = ContextPredictor(0)
    for i, t in enumerate(solver.timesteps):
        x = solver.step(predictor(solver.scale(x, i), t), i, x)
    assert torch.equal(run((), Plan(mode=mode, split=split), scheduler=scheduler).latents, x)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("plan", [Plan(mode="literal", split=s) for s in SPLITS] + [Plan(mode="staged"), Plan()])
def test_one_concept_everywhere_is_that_concept_alone(plan: Plan, scheduler: str) -> None:
    alone = run(background=ContextPredictor(1), scheduler=scheduler).latents
    everywhere = Layer(mask=torch.ones_like(LEFT), predictor=ContextPredictor(1))
    torch.testing.assert_close(run([everywhere], plan, scheduler=scheduler).latents, alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("mode", MODES)
def test_masks_of_zeros_leave_the_template(mode: Mode, split: float) -> None:
    nowhere = [Layer(mask=torch.zeros_like(LEFT), predictor=ContextPredictor(n)) for n in (1, 2)]
    assert torch.equal(run(nowhere, Plan(mode=mode, split=split)).latents, run().latents)


@pytest.mark.parametrize("replayed", [False, True])
def test_literal_with_s_of_one_keeps_the_templates_background_exactly(replayed: bool) -> None:
    template = run()
    plan = Plan(mode="literal", split=1.0, prefix=template.predictions if replayed else None)
    final = run([Layer(mask=LEFT, predictor=ContextPredictor(1))], plan).latents
    right = RIGHT.bool().expand(SHAPE)
    assert torch.equal(final[right], template.latents[right])
    assert not torch.equal(final[~right], template.latents[~right])


@pytest.mark.parametrize("mode", MODES)
def test_the_order_of_disjoint_concepts_does_not_matter(mode: Mode) -> None:
    layers = [Layer(mask=LEFT, predictor=ContextPredictor(1)), Layer(mask=RIGHT, predictor=ContextPredictor(2))]
    plan = Plan(mode=mode, split=0.3)
    torch.testing.assert_close(run(layers, plan).latents, run(list(reversed(layers)), plan).latents, atol=1e-6, rtol=0)


@pytest.mark.parametrize("mode", ["staged", "shared"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_replayed_prefix_gives_the_same_picture_without_asking_the_background(scheduler: str, mode: Mode) -> None:
    template = run(scheduler=scheduler)
    layers = [Layer(mask=LEFT, predictor=ContextPredictor(1))]
    computed = run(layers, Plan(mode=mode, split=0.5), scheduler=scheduler)
    background = Counting(ContextPredictor(0))
    plan = Plan(mode=mode, split=0.5, prefix=template.predictions)
    replayed = run(layers, plan, background=background, scheduler=scheduler)
    assert torch.equal(replayed.latents, computed.latents)
    assert len(background.asked) == STEPS // 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_kept_background_is_the_templates_to_the_end_and_is_never_predicted(scheduler: str, mode: Mode) -> None:
    template = run(scheduler=scheduler)
    background = Counting(ContextPredictor(0))
    plan = Plan(mode=mode, split=0.3, background_replay=1.0, prefix=template.predictions)
    final = run(
        [Layer(mask=LEFT, predictor=ContextPredictor(1))], plan, background=background, scheduler=scheduler
    ).latents
    right = RIGHT.bool().expand(SHAPE)
    torch.testing.assert_close(final[right], template.latents[right], atol=1e-5, rtol=0)
    assert not torch.equal(final[~right], template.latents[~right])
    assert not background.asked


def test_after_the_kept_steps_the_background_is_predicted_from_what_it_reads() -> None:
    background = Counting(ContextPredictor(0))
    plan = Plan(background_replay=0.6, prefix=run().predictions)
    run([Layer(mask=LEFT, predictor=ContextPredictor(1))], plan, background=background)
    assert len(background.asked) == STEPS - 6


def test_steps_cannot_be_kept_without_the_templates_predictions() -> None:
    with pytest.raises(ValueError, match="of 5 steps, and prefix has 4"):
        run(plan=Plan(background_replay=0.5, prefix=run().predictions[:4]))


@pytest.mark.parametrize("scheduler", ["euler", "ddim"])
def test_blending_predictions_is_blending_latents_for_first_order_solvers(scheduler: str) -> None:
    layers = [Layer(mask=LEFT, predictor=ContextPredictor(1))]
    solver = make_solver(CONFIGURATION, scheduler, steps=STEPS, seed=SEED)
    x = solver.noisy(draw_noise(SHAPE, SEED))
    for i, t in enumerate(solver.timesteps):
        other = make_solver(CONFIGURATION, scheduler, steps=STEPS, seed=SEED)
        seen = solver.scale(x, i)
        # One-step solvers remember nothing but their place, so a fresh one is walked there with zeros.
        for j in range(i):
            other.step(torch.zeros_like(x), j, x)
        x = (
            solver.step(ContextPredictor(0)(seen, t), i, x) * RIGHT
            + other.step(ContextPredictor(1)(seen, t), i, x) * LEFT
        )
    torch.testing.assert_close(run(layers, scheduler=scheduler).latents, x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("mode", MODES)
def test_all_branches_together_are_all_branches_one_by_one(mode: Mode) -> None:
    layers = (Layer(mask=LEFT, predictor=ContextPredictor(1)), Layer(mask=RIGHT, predictor=ContextPredictor(2)))
    batches = []

    def together(x: Tensor, t: Tensor, branches: Sequence[ContextPredictor]) -> Tensor:
        batches.append(len(branches))
        return one_by_one(x, t, branches)

    solver = make_solver(CONFIGURATION, "euler", steps=STEPS, seed=SEED)
    start = solver.noisy(draw_noise(SHAPE, SEED))
    composition = Composition(background=ContextPredictor(0), layers=layers, batch_predictor=together)
    joint = denoise(start, solver, composition, Plan(mode=mode))
    assert batches == [3] * STEPS
    torch.testing.assert_close(joint.latents, run(layers, Plan(mode=mode)).latents, atol=1e-6, rtol=0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_same_seed_gives_the_same_picture(scheduler: str, mode: Mode) -> None:
    layers = [Layer(mask=LEFT, predictor=ContextPredictor(1))]
    plan = Plan(mode=mode, split=0.3)
    assert torch.equal(run(layers, plan, scheduler=scheduler).latents, run(layers, plan, scheduler=scheduler).latents)


def test_in_literal_a_concept_never_reads_the_blend() -> None:
    alone = run(background=ContextPredictor(1)).latents
    final = run([Layer(mask=LEFT, predictor=ContextPredictor(1))], Plan(mode="literal", split=0.0)).latents
    left = LEFT.bool().expand(SHAPE)
    assert torch.equal(final[left], alone[left])


@pytest.mark.parametrize("mode", MODES)
def test_a_layer_takes_part_only_from_its_start_to_its_stop(mode: Mode) -> None:
    branch = Counting(ContextPredictor(1))
    layer = Layer(mask=LEFT, predictor=branch, start=0.2, stop=0.6)
    run([layer], Plan(mode=mode))
    timesteps = make_solver(CONFIGURATION, "euler", steps=STEPS, seed=SEED).timesteps
    assert branch.asked == timesteps[2:6].tolist()


def test_steps_are_reported_from_one_and_what_the_report_raises_ends_the_run() -> None:
    class Enough(Exception):
        pass

    seen = []

    def on_step(i: int, n: int) -> None:
        seen.append((i, n))
        if i == 3:
            raise Enough

    solver = make_solver(CONFIGURATION, "euler", steps=STEPS, seed=SEED)
    background = Counting(ContextPredictor(0))
    with pytest.raises(Enough):
        denoise(draw_noise(SHAPE, SEED), solver, Composition(background=background), on_step=on_step)
    assert seen == [(1, STEPS), (2, STEPS), (3, STEPS)]
    assert len(background.asked) == 3


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("mode", MODES)
def test_previews_show_the_picture_that_the_branches_know(mode: Mode, scheduler: str) -> None:
    one, behind = picture(1), picture(2)
    seen: list[Tensor] = []
    solver = make_solver(CONFIGURATION, scheduler, steps=STEPS, seed=SEED)
    layers: tuple[Layer[Predictor], ...] = (Layer(mask=LEFT, predictor=Knows(one)),)
    composition: Composition[Predictor] = Composition(background=Knows(behind), layers=layers)
    start = solver.noisy(draw_noise(SHAPE, SEED))
    shown = denoise(start, solver, composition, Plan(mode=mode), lambda i, _: seen.append if i % 3 == 0 else None)
    assert len(seen) == STEPS // 3
    for clean in seen:
        torch.testing.assert_close(clean, one * LEFT + behind * RIGHT, atol=1e-3, rtol=0)
    assert torch.equal(
        shown.latents, run(layers, Plan(mode=mode), background=Knows(behind), scheduler=scheduler).latents
    )


@dataclass(frozen=True)
class Counting:
    """A predictor that notes the timesteps it is asked for."""

    predictor: Predictor
    asked: list[float] = field(default_factory=list)

    def __call__(self, x: Tensor, t: Tensor, /) -> Tensor:
        self.asked.append(float(t))
        return self.predictor(x, t)
