"""A job on a GPU: everything that meets in an operation lies on the GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from shared.orders import PersonalizeOrder
from tests.benchmarks.large import APART, cast_of, order_of
from tests.support.fake_cuda import CUDA, FakeCuda
from tests.support.tiny import tiny_generator
from worker.blend.loop import Mode
from worker.models.bundle import Generation
from worker.models.keypoints import KeypointStyle
from worker.models.schedulers import SCHEDULERS
from worker.stages.personalize import personalize
from worker.stages.render import background_of, render, start_of

SIDE_PX = 128


@pytest.fixture(scope="module")
def card() -> Iterator[FakeCuda]:
    with FakeCuda() as card:
        yield card


@pytest.fixture(scope="module")
def generation(card: FakeCuda) -> Generation:
    return generation_on(card)


def generation_on(card: FakeCuda, *, quantized: bool = False, batched: bool = True) -> Generation:
    generator = tiny_generator(quantized=quantized)
    # Fake tensors cannot go to and fro.
    generator = replace(generator, sdxl=replace(generator.sdxl, text_encoders_on_host=False))
    card.move_generator(generator)
    return Generation(generator=generator, keypoint_style=KeypointStyle(), batched=batched)


def drawn(generation: Generation, order: PersonalizeOrder) -> Tensor:
    """The whole way from words to a picture; gives the template's predictions."""
    template = render(generation, order.drawing, lambda _i, _n: None)
    sketches: list[bytes] = []
    cast = cast_of(order, APART, template.predictions)
    picture = personalize(generation, order, cast, lambda _i, _n: sketches.append)
    assert picture.shape == template.picture.shape == (SIDE_PX, SIDE_PX, 3)
    assert len(sketches) == order.drawing.steps
    return template.predictions


@pytest.mark.parametrize("mode", get_args(Mode))
def test_a_job_is_drawn_on_the_gpu_in_every_mode(generation: Generation, mode: Mode) -> None:
    predictions = drawn(generation, order_of("best", steps=2, side_px=SIDE_PX, mode=mode, split=0.5))
    assert (predictions.device, predictions.dtype) == (CUDA, torch.float16)


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
def test_every_scheduler_steps_on_the_gpu(generation: Generation, scheduler: str) -> None:
    solver, x = start_of(generation, order_of("best", steps=4, side_px=SIDE_PX, scheduler=scheduler).drawing)
    for i in range(4):
        eps = torch.zeros_like(solver.scale(x, i))
        assert solver.clean(eps, i, x).device == CUDA
        x = solver.step(eps, i, x)
    assert x.device == CUDA


@pytest.mark.parametrize(("quantized", "batched"), [(True, True), (False, False)])
def test_so_is_one_of_a_quantized_generator_and_one_whose_branches_run_one_by_one(
    card: FakeCuda, *, quantized: bool, batched: bool
) -> None:
    generation = generation_on(card, quantized=quantized, batched=batched)
    assert drawn(generation, order_of("balanced", steps=2, side_px=SIDE_PX, people=3)).device == CUDA


def test_what_was_left_on_the_host_is_refused_there(generation: Generation) -> None:
    order = order_of("best", steps=2, side_px=SIDE_PX)
    background = background_of(generation, order.drawing)
    _, x = start_of(generation, order.drawing)
    text = replace(background.text, pooled=torch.zeros(2, background.text.pooled.shape[1]))
    with pytest.raises(RuntimeError, match="on the same device"):
        replace(background, text=text)(x, torch.tensor(500.0))
