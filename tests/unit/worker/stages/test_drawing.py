"""Render and personalize over real networks with random weights: what must hold whatever they draw."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel

from shared.errors import JobCanceled
from shared.job import Mode
from shared.orders import BranchText, Drawing, PersonalizeOrder, Region
from tests.support.tiny import tiny_generator
from worker.blend.loop import one_by_one
from worker.models.bundle import Generation
from worker.models.keypoints import KeypointStyle
from worker.stages.personalize import Cast, personalize, prepare
from worker.stages.render import Template, render

DRAWING = Drawing(
    prompt="two people", negative_prompt="", width_px=128, height_px=128, steps=4, seed=3, guidance_scale=3.0,
    scheduler="euler",
)  # fmt: skip
FACE = ((20.0, 50.0), (36.0, 50.0), (28.0, 58.0), (22.0, 66.0), (34.0, 66.0))
T = torch.tensor(500.0)
MODES: tuple[Mode, ...] = ("literal", "staged", "shared")


@pytest.fixture(scope="module")
def generation() -> Generation:
    generator = tiny_generator()
    return Generation(generator=generator, keypoint_style=KeypointStyle(), batched=True)


@pytest.fixture(scope="module")
def template(generation: Generation) -> Template:
    return render(generation, DRAWING, quiet)


def quiet(_i: int, _n: int) -> None:
    pass


def region(concept: int, x_px: float) -> Region:
    return Region(
        concept=concept,
        phrase="somebody",
        box_px=(x_px, 16.0, x_px + 48.0, 128.0),
        score=0.5,
        explicit=False,
        face_box_px=(x_px + 8, 40.0, x_px + 40, 80.0),
        keypoints_px=tuple((x + x_px, y) for x, y in FACE),
    )


def order(mode: Mode, split: float, concepts: int = 2, **saved: float) -> PersonalizeOrder:
    return PersonalizeOrder(
        bundle="tiny",
        identities="i",
        template="t",
        regions="r",
        drawing=DRAWING,
        branches=(BranchText(prompt="two people", negative_prompt=""),) * concepts,
        mask="box",
        mode=mode,
        split=split,
        feather_px=0,
        identity_scale=0.8,
        adapter_scale=0.8,
        **saved,
    )


def cast_of(template: Template, places: Sequence[int] = (0, 1)) -> Cast:
    """Two people; `places` says which of them is listed where."""
    people = [np.random.default_rng(seed).standard_normal((1, 512)).astype(np.float32) for seed in (1, 2)]
    return Cast(
        identities=[people[place] for place in places],
        regions=[region(index, 8.0 + 60.0 * place) for index, place in enumerate(places)],
        predictions=template.predictions,
    )


def test_literal_with_every_step_uncoupled_leaves_the_template_outside_the_masks_to_the_pixel(
    generation: Generation, template: Template
) -> None:
    picture = personalize(generation, order("literal", 1.0), cast_of(template), quiet)
    outside = np.ones(picture.shape[:2], bool)
    for x_px in (8, 68):
        outside[16:128, x_px : x_px + 48] = False
    np.testing.assert_array_equal(picture[outside], template.picture[outside])
    assert not np.array_equal(picture[~outside], template.picture[~outside])


def test_the_same_drawing_gives_the_same_template_and_counts_its_steps(
    generation: Generation, template: Template
) -> None:
    steps: list[tuple[int, int]] = []
    again = render(generation, DRAWING, lambda i, n: steps.append((i, n)))
    assert np.array_equal(again.picture, template.picture)
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert template.predictions.shape == (4, 4, 16, 16)


@pytest.mark.parametrize("mode", MODES)
def test_people_are_drawn_into_their_masks(generation: Generation, template: Template, mode: Mode) -> None:
    picture = personalize(generation, order(mode, 0.25), cast_of(template), quiet)
    assert picture.shape == template.picture.shape
    assert not np.array_equal(picture, template.picture)


@pytest.mark.parametrize("mode", ["staged", "shared"])
def test_with_all_steps_the_templates_own_the_picture_is_the_template(
    generation: Generation, template: Template, mode: Mode
) -> None:
    assert np.array_equal(personalize(generation, order(mode, 1.0), cast_of(template), quiet), template.picture)


@pytest.mark.parametrize("mode", MODES)
def test_the_stored_prefix_changes_nothing_but_the_time(generation: Generation, template: Template, mode: Mode) -> None:
    cast = cast_of(template)
    without = Cast(identities=cast.identities, regions=cast.regions, predictions=template.predictions[:0])
    replayed = personalize(generation, order(mode, 0.5), cast, quiet).astype(int)
    computed = personalize(generation, order(mode, 0.5), without, quiet).astype(int)
    assert np.abs(replayed - computed).max() <= 1


@pytest.mark.parametrize("mode", MODES)
def test_the_order_of_the_concepts_changes_nothing(generation: Generation, template: Template, mode: Mode) -> None:
    one = personalize(generation, order(mode, 0.25), cast_of(template), quiet).astype(int)
    other = personalize(generation, order(mode, 0.25), cast_of(template, (1, 0)), quiet).astype(int)
    assert np.abs(one - other).max() <= 1


def test_a_crop_that_is_the_whole_picture_predicts_what_an_uncropped_branch_does(
    generation: Generation, template: Template
) -> None:
    ready = prepare(generation, order("shared", 0.0, crop_margin=1.0), cast_of(template))
    for layer in ready.composition.layers:
        cropped = layer.predictor(ready.x, T)
        torch.testing.assert_close(replace(layer.predictor, window=None)(ready.x, T), cropped, atol=1e-6, rtol=0)


def test_cropped_branches_in_one_forward_are_the_same_one_by_one_and_zero_outside(
    generation: Generation, template: Template
) -> None:
    ready = prepare(generation, order("shared", 0.0, crop_margin=0.02), cast_of(template))
    branches = [ready.composition.background, *(layer.predictor for layer in ready.composition.layers)]
    assert {(one.window.height, one.window.width) for one in branches if one.window} == {(16, 12)}
    x = ready.x.expand(3, -1, -1, -1)
    together = ready.composition.batch_predictor(x, T, branches)
    # Some roundings of float32, which guidance multiplies.
    torch.testing.assert_close(one_by_one(x, T, branches), together, atol=4e-6, rtol=4e-6)
    for branch, eps in zip(branches, together, strict=True):
        if branch.window is not None:
            assert eps.count_nonzero() == branch.window.crop(eps).count_nonzero()


def test_a_kept_background_is_the_templates_and_people_are_still_drawn(
    generation: Generation, template: Template
) -> None:
    picture = personalize(
        generation, order("shared", 0.25, background_replay=1.0, crop_margin=0.1), cast_of(template), quiet
    )
    assert not np.array_equal(picture, template.picture)


def test_guidance_ends_with_its_share_of_the_steps(generation: Generation, template: Template) -> None:
    never = DRAWING.model_copy(update={"guidance_stop": 0.0})
    unguided = DRAWING.model_copy(update={"guidance_scale": 1.0})
    assert np.array_equal(render(generation, never, quiet).picture, render(generation, unguided, quiet).picture)
    half = render(generation, DRAWING.model_copy(update={"guidance_stop": 0.5}), quiet).predictions
    torch.testing.assert_close(half[:2], template.predictions[:2])
    assert not torch.allclose(half[2:], template.predictions[2:])


def test_what_a_step_raises_ends_the_work(generation: Generation, template: Template) -> None:
    seen = []

    def cancel(i: int, _n: int) -> None:
        seen.append(i)
        if i == 2:
            message = "taken back"
            raise JobCanceled(message)

    with pytest.raises(JobCanceled):
        personalize(generation, order("shared", 0.0), cast_of(template), cancel)
    assert seen == [1, 2]


def test_everybody_is_drawn_by_the_one_resident_set_of_networks(generation: Generation, template: Template) -> None:
    def count() -> int:
        kinds = (UNet2DConditionModel, ControlNetModel, AutoencoderKL)
        # By type: asking some libraries' objects for their class imports them.
        return sum(type(thing) in kinds for thing in gc.get_objects())

    networks = generation.generator.sdxl.unet, generation.generator.instantid.identitynet
    places = [weight.data_ptr() for network in networks for weight in network.parameters()]
    before = count()
    during: list[int] = []
    personalize(generation, order("literal", 0.0), cast_of(template), lambda _i, _n: during.append(count()))
    assert set(during) == {before}
    assert [weight.data_ptr() for network in networks for weight in network.parameters()] == places
