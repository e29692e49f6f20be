from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from worker.blend.masks import MASK_KINDS, Area, draw_mask, feather, in_pixels, make_exclusive, shrink, to_latents

SIZE_PX = (64, 48)
LATENTS = (8, 6)


@st.composite
def areas(draw: st.DrawFn) -> Area:
    x1, y1 = draw(st.integers(0, 55)), draw(st.integers(0, 39))
    width, height = draw(st.integers(8, 40)), draw(st.integers(8, 40))
    score = draw(st.sampled_from([0.4, 0.7, 1.0]))
    return Area(box_px=(x1, y1, min(64, x1 + width), min(48, y1 + height)), score=score)


casts = st.lists(areas(), min_size=1, max_size=5)
kinds = st.sampled_from(sorted(MASK_KINDS))


def composed(cast: list[Area], kind: str, feather_px: float = 0.0) -> Tensor:
    soft = in_pixels(cast, kind, size_px=SIZE_PX, feather_px=feather_px)
    return torch.cat(to_latents(soft, width=LATENTS[0], height=LATENTS[1], hard=feather_px <= 0))


@settings(deadline=None, max_examples=60)
@given(casts, kinds, st.sampled_from([0.0, 3.0, 12.0]))
def test_masks_and_the_background_are_a_partition_of_unity(cast: list[Area], kind: str, feather_px: float) -> None:
    masks = composed(cast, kind, feather_px)
    assert masks.shape == (len(cast), 1, LATENTS[1], LATENTS[0])
    assert masks.min() >= 0
    background = 1 - masks.sum(0)
    assert background.min() >= -1e-6
    torch.testing.assert_close(background + masks.sum(0), torch.ones_like(background))


@settings(deadline=None, max_examples=60)
@given(casts, kinds)
def test_without_feathering_every_latent_has_one_owner(cast: list[Area], kind: str) -> None:
    masks = composed(cast, kind)
    assert set(masks.unique().tolist()) <= {0.0, 1.0}
    assert masks.sum(0).max() <= 1


@settings(deadline=None, max_examples=60)
@given(casts, kinds, st.randoms(use_true_random=False))
def test_who_owns_a_pixel_does_not_depend_on_the_order_of_the_cast(cast: list[Area], kind: str, random: Random) -> None:
    cast = list(dict.fromkeys(cast))
    drawn = [draw_mask(area, kind, width_px=64, height_px=48) for area in cast]
    order = random.sample(range(len(cast)), len(cast))
    straight = make_exclusive(drawn, cast)
    shuffled = make_exclusive([drawn[i] for i in order], [cast[i] for i in order])
    for place, i in enumerate(order):
        assert torch.equal(straight[i], shuffled[place])


def test_a_higher_score_owns_the_overlap() -> None:
    cast = [Area(box_px=(0, 0, 40, 48), score=0.5), Area(box_px=(24, 0, 64, 48), score=0.9)]
    masks = [draw_mask(area, "box", width_px=64, height_px=48) for area in cast]
    first, second = make_exclusive(masks, cast)
    assert second.sum() == 40 * 48
    assert first.sum() == 24 * 48


def test_equal_scores_divide_the_overlap_by_the_nearer_centre() -> None:
    cast = [Area(box_px=(0, 0, 40, 48), score=0.5), Area(box_px=(24, 0, 64, 48), score=0.5)]
    masks = [draw_mask(area, "box", width_px=64, height_px=48) for area in cast]
    first, second = make_exclusive(masks, cast)
    assert first[:, :32].all()
    assert not first[:, 32:].any()
    assert second[:, 32:].all()
    assert not second[:, :32].any()


def test_an_ellipse_touches_its_box_and_leaves_its_corners() -> None:
    area = Area(box_px=(8, 4, 56, 44), score=1.0)
    ellipse = draw_mask(area, "ellipse", width_px=64, height_px=48)
    box = draw_mask(area, "box", width_px=64, height_px=48)
    assert not (ellipse * (1 - box)).any()
    assert ellipse[24, 8] == ellipse[24, 55] == ellipse[4, 32] == ellipse[43, 32] == 1
    assert ellipse[4, 8] == ellipse[43, 55] == 0
    assert ellipse.sum() == pytest.approx(torch.pi * 24 * 20, rel=0.01)


def test_feathering_softens_the_edge_and_keeps_the_middle() -> None:
    mask = draw_mask(Area(box_px=(16, 0, 48, 48), score=1.0), "box", width_px=64, height_px=48)
    (soft,) = feather([mask], 8.0)
    assert soft[24, 32] == pytest.approx(1.0, abs=1e-3)
    assert soft[24, 2] == pytest.approx(0.0, abs=1e-3)
    assert soft[24, 15] + soft[24, 16] == pytest.approx(1.0, abs=1e-4)
    assert 0.2 < soft[24, 15] < 0.5


def test_a_latent_goes_to_the_mask_that_covers_most_of_it() -> None:
    mask = draw_mask(Area(box_px=(3, 0, 20, 48), score=1.0), "box", width_px=64, height_px=48)
    (hard,) = to_latents([mask], width=8, height=6, hard=True)
    assert hard[0, 0, 0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("box", [(10.0, 0.0, 10.0, 8.0), (20.0, 0.0, 10.0, 8.0), (0.0, 9.0, 10.0, 8.0)])
def test_a_box_without_area_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="no area"):
        draw_mask(Area(box_px=box, score=1.0), "box", width_px=64, height_px=48)


@settings(deadline=None, max_examples=60)
@given(casts, kinds, st.sampled_from([2, 8, 16]))
def test_a_shrunken_mask_ends_where_the_mask_ends_and_is_whole_a_rim_further_in(
    cast: list[Area], kind: str, rim_px: int
) -> None:
    mask = torch.stack(in_pixels(cast, kind, size_px=SIZE_PX)).sum(0)
    shrunken = shrink(mask, rim_px)
    assert shrunken[mask == 0].sum() == 0
    assert shrunken.max() <= 1
    distance = torch.from_numpy(ndimage.distance_transform_cdt(np.pad(mask.numpy(), 16, mode="edge"), "chessboard"))
    deep = distance[16:-16, 16:-16] > rim_px
    torch.testing.assert_close(shrunken[deep], torch.ones_like(shrunken[deep]))
