"""What a denoiser keeps over the steps of a job, and releases afterwards."""

from __future__ import annotations

import gc
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch

from shared.errors import JobCanceled
from shared.orders import PersonalizeOrder
from tests.benchmarks.large import APART, cast_of, order_of
from tests.support.tiny import tiny_generator
from tests.unit.worker.models.test_half import branches_of
from worker.models.bundle import Generation
from worker.models.denoiser import Denoiser
from worker.models.keypoints import KeypointStyle
from worker.models.rows import Part, rows_of
from worker.stages.personalize import personalize, prepare
from worker.stages.render import render


def test_keys_of_the_words_are_computed_once_and_again_after_a_release() -> None:
    generator = tiny_generator()
    unet = generator.sdxl.unet
    denoiser = Denoiser(unet, generator.instantid.identitynet, width_px=128, height_px=128)
    asked = []
    name = next(name for name in unet.attn_processors if name.endswith("attn2.processor"))
    keys = unet.get_submodule(name.removesuffix(".processor")).to_k
    keys.register_forward_hook(lambda *_: asked.append(1))
    branches = branches_of(generator, denoiser)
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1, -1)
    before = [denoiser.predict(x, torch.tensor(t), branches) for t in (900.0, 500.0, 100.0)]
    assert len(asked) == 1
    denoiser.release()
    after = denoiser.predict(x, torch.tensor(500.0), branches)
    assert len(asked) == 2
    torch.testing.assert_close(after, before[1])


def test_people_with_more_and_fewer_photos_are_drawn_together_as_alone_and_none_makes_the_others_longer() -> None:
    generation = Generation(generator=tiny_generator(), keypoint_style=KeypointStyle(), batched=True)
    order = order_of("best", steps=2, side_px=128, people=3)
    cast = cast_of(order, APART, torch.zeros(2, 4, 16, 16))
    rng = np.random.default_rng(0)
    photos = [rng.standard_normal((count, 512), dtype=np.float32) for count in (1, 3, 2)]
    ready = prepare(generation, order, replace(cast, identities=photos))
    branches = [layer.predictor for layer in ready.composition.layers]
    x, t = ready.x.expand(3, -1, -1, -1), torch.tensor(500.0)
    together = ready.composition.batch_predictor(x, t, branches)
    alone = torch.cat([branch(x[:1], t) for branch in branches])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    parts = [Part(text=one.text, face=one.face, window=None, guided=True) for one in branches]
    faces = rows_of(parts, width_px=128, height_px=128, latent_px=8).context.faces
    assert faces is not None
    assert branches[1].face is not None
    assert faces.tokens.shape[1] == branches[1].face.tokens.shape[1]


def test_a_job_that_is_taken_back_leaves_nothing_of_its_steps() -> None:
    generation = Generation(generator=tiny_generator(), keypoint_style=KeypointStyle(), batched=True)
    order = order_of("best", steps=2, side_px=128)
    held = denoisers()
    gc.disable()
    try:
        for step in (1, 2):
            take_back(generation, order, step)
            assert denoisers() == held
    finally:
        gc.enable()


def take_back(generation: Generation, order: PersonalizeOrder, at: int) -> None:
    """Both stages of a job, each of which ends at a step with an error."""

    def stop(step: int, _steps: int) -> None:
        if step == at:
            raise JobCanceled("taken back")

    cast = cast_of(order, APART, torch.zeros(2, 4, 16, 16))
    with suppress(JobCanceled):
        render(generation, order.drawing, stop)
    with suppress(JobCanceled):
        personalize(generation, order, cast, stop)


def denoisers() -> int:
    """How many there are, whether somebody still knows them or not."""
    return sum(type(one) is Denoiser for one in gc.get_objects())
