"""The numbers of the measure: what they say of faces, places and backgrounds that are known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.job import Sampling
from worker.mini.measure.background import SAME_DB, edges_of, far_outside, psnr_db, seam_ratio, ssim
from worker.mini.measure.cases import draw_case, draw_others, draw_strangers
from worker.mini.measure.metrics import Bounds, CaseMetrics, RejectedCase, RowResults, figures_of
from worker.mini.measure.report import FLAT, Findings, as_json, as_table
from worker.mini.measure.rows import ALL, SPEED, TABLE, row_of
from worker.mini.measure.scores import (
    Estimate,
    greedy,
    identity_score,
    is_first,
    is_swapped,
    mean,
    nothing,
    rate,
    share_of_way,
)
from worker.mini.measure.sheet import Strip, draw_sheet
from worker.mini.world import EVAL_SEEDS

UNIT = np.eye(4, 512, dtype=np.float32)


def matrix(*rows: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(rows, dtype=np.float32)


def noise(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# Intervals.


@pytest.mark.parametrize(
    ("hits", "cases", "low", "high"),
    # As scipy gives it: binomtest(hits, cases).proportion_ci(method="wilson").
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (85, 100, 0.7672, 0.9069)],
)
def test_the_interval_of_a_rate_is_wilsons(hits: int, cases: int, low: float, high: float) -> None:
    found = rate(hits, cases)
    assert (found.value, found.cases) == (hits / cases, cases)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 500), st.integers(1, 500))
def test_a_rate_lies_in_its_interval(hits: int, cases: int) -> None:
    found = rate(min(hits, cases), cases)
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1


def test_no_cases_are_no_number() -> None:
    for found in (rate(0, 0), mean([]), share_of_way([], [], []), nothing()):
        assert math.isnan(found.value)
        assert found.cases == 0


def test_the_interval_of_a_mean_is_as_wide_as_theory_says_and_always_the_same() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400).tolist()
    found = mean(values)
    half = 1.96 * float(np.std(values)) / 20
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.05)
    assert mean(values) == found


def test_a_score_at_the_floor_is_no_share_of_the_way_and_one_at_the_ceiling_all_of_it() -> None:
    floors, ceilings = [0.1, 0.2, 0.3], [0.7, 0.8, 0.9]
    assert share_of_way(floors, floors, ceilings).value == pytest.approx(0)
    assert share_of_way(ceilings, floors, ceilings).value == pytest.approx(1)
    halfway = share_of_way([0.4, 0.5, 0.6], floors, ceilings)
    assert (halfway.value, halfway.low, halfway.high) == pytest.approx((0.5, 0.5, 0.5))


# Faces.


@pytest.mark.parametrize(
    ("cosines", "scores"),
    [
        (matrix((0.9, 0.1), (0.2, 0.8)), [0.9, 0.8]),
        # The most alike pair goes first, even where that leaves the other with less.
        (matrix((0.9, 0.8), (0.7, 0.1)), [0.9, 0.1]),
        # One face for two people: one of them is missing.
        (matrix((0.3, 0.6)), [0.0, 0.6]),
        # A face too many takes nothing away.
        (matrix((0.2,), (0.5,), (0.1,)), [0.5]),
    ],
)
def test_faces_go_to_references_greedily(cosines: NDArray[np.float32], scores: list[float]) -> None:
    assert greedy(cosines) == pytest.approx(scores)


def test_the_score_is_the_least_of_all_people_and_nobody_scores_nothing() -> None:
    like = (UNIT[0] + UNIT[1]) / np.float32(math.sqrt(2))
    assert identity_score([UNIT[0], like], UNIT[:2]) == pytest.approx(math.sqrt(0.5))
    assert identity_score([UNIT[0]], UNIT[:2]) == 0
    assert identity_score([], UNIT[:2]) == 0


def test_a_face_is_first_only_before_every_stranger() -> None:
    assert is_first(UNIT[0], UNIT[0], UNIT[1:])
    assert not is_first(UNIT[1], UNIT[0], UNIT[1:])


def test_a_swapped_face_is_nearer_to_another_concepts_reference() -> None:
    assert is_swapped(UNIT[1], 0, UNIT[:2])
    assert not is_swapped(UNIT[0], 0, UNIT[:2])


# Surroundings.


def test_equal_pictures_are_as_alike_as_can_be() -> None:
    picture, everywhere = noise(1, 32, 32, 3), np.ones((32, 32), bool)
    assert psnr_db(picture, picture, everywhere) == SAME_DB
    assert ssim(picture, picture, everywhere) == pytest.approx(1)


def test_what_changes_inside_the_masks_does_not_count() -> None:
    template, masks = noise(1, 32, 32, 3), np.zeros((32, 32), np.uint8)
    masks[8:24, 8:24] = 1
    picture = template.copy()
    picture[8:24, 8:24] = 0
    assert psnr_db(picture, template, masks == 0) == SAME_DB
    picture[0, 0] ^= 1
    assert psnr_db(picture, template, masks == 0) == pytest.approx(10 * math.log10(255**2 * 768), abs=1e-6)


def test_masks_that_cover_everything_leave_no_background() -> None:
    picture, nowhere = noise(1, 16, 16, 3), np.zeros((16, 16), bool)
    assert math.isnan(psnr_db(picture, picture, nowhere))
    assert math.isnan(ssim(picture, picture, nowhere))


def test_far_outside_begins_beyond_the_reach_in_every_direction() -> None:
    masks = np.zeros((21, 21), np.uint8)
    masks[10, 10] = 2
    far = far_outside(masks, 4)
    assert not far[6:15, 6:15].any()
    assert far.sum() == 21 * 21 - 81


def test_an_edge_that_the_picture_shows_and_the_template_does_not_is_a_seam() -> None:
    masks = np.zeros((32, 32), np.uint8)
    masks[:, 16:] = 1
    template = np.full((32, 32, 3), 100, np.uint8)
    template[:, ::4] = 110
    picture = template.copy()
    assert seam_ratio(picture, template, masks) == 1
    picture[:, 16:] += 90
    assert seam_ratio(picture, template, masks) > 2
    assert np.flatnonzero(edges_of(masks).any(axis=0)).tolist() == [15, 16]


# Cases and rows.


def test_a_case_follows_from_its_numbers_and_shows_nobody_who_was_trained_on() -> None:
    one, again, other = draw_case(7, 0, 2), draw_case(7, 0, 2), draw_case(7, 1, 2)
    assert (one.seed, one.phrases, one.scene.caption) == (again.seed, again.phrases, again.scene.caption)
    assert np.array_equal(one.scene.picture, again.scene.picture)
    assert one.seed != other.seed
    cast = {figure.identity.seed for figure in one.scene.figures}
    assert all(seed in EVAL_SEEDS for seed in cast)
    assert not cast & {figure.identity.seed for figure in draw_others(one, 7).figures}


def test_there_are_as_many_strangers_as_make_a_hundred_with_oneself() -> None:
    assert len(draw_strangers(7)) == 99


@pytest.mark.parametrize("number", range(30))
def test_a_phrase_names_no_trait_that_the_caption_leaves_open(number: int) -> None:
    case = draw_case(3, number, number % 4 + 1)
    assert len(case.phrases) == case.people
    for phrase, figure in zip(case.phrases, case.scene.figures, strict=True):
        assert phrase in figure.phrases
        if " with " in phrase:
            assert f"a {phrase.split(' ', 1)[1]}" in case.scene.caption


def test_a_rows_name_says_what_is_not_the_default() -> None:
    row = row_of("literal-1.0-box-k3", people=2)
    assert (row.method, row.sampling.mode, row.sampling.split, row.mask, row.people) == (
        "blend", "literal", 1.0, "box", 3,
    )  # fmt: skip
    quick = row_of("fast-keep0.5-crop0.1-guided0.8-guidance2.0-steps6-ddim", people=2).sampling
    assert quick == Sampling(
        preset="fast", keep=0.5, crop_margin=0.1, guidance_stop=0.8, guidance_scale=2.0, steps=6, scheduler="ddim"
    )
    assert row_of("default", people=2, mode="staged").sampling.mode == "staged"
    assert row_of("pasted", people=2).mask == "box"
    assert row_of("together", people=4).method == "together"
    assert {row_of(name, people=2).people for name in TABLE} == {2}
    for names in (ALL, SPEED):
        assert len({row_of(name, people=2) for name in names}) == len(names)


@pytest.mark.parametrize("name", ["liberal", "1.5", "literal-", "k9", "nan", "keep2.0", "keep", "steps0.5", "crop-0.1"])
def test_a_name_that_says_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^row '{name}': "):
        row_of(name, people=2)


# The report.


BOUNDS = Bounds(references=UNIT[:2], ceiling=0.8, ceiling_vae=0.7, floor=0.0)


def metrics(identity: float, *, first: int = 2, swapped: int = 0, faceless: int = 0) -> CaseMetrics:
    return CaseMetrics(
        people=2, identity=identity, bounds=BOUNDS, first=first, swapped=swapped, faceless=faceless, psnr_db=30.0,
        far_psnr_db=40.0, ssim=0.9, seam=1.0, cast_found=True, place_seen=True,
    )  # fmt: skip


def findings() -> Findings:
    found = Findings(seed=7, people=2, bundle="mini@0", place_accuracy=rate(198, 200))
    found.rows["default"] = RowResults(
        metrics=[metrics(0.4), metrics(0.6, first=1, swapped=1), metrics(0.2, first=0, faceless=1)],
        rejected=[RejectedCase(code="phrase_not_found", people=2, bounds=BOUNDS)] * 2,
    )
    found.rows["pasted"] = RowResults()
    found.phrases["transformers"] = {"2 people": {"recall": rate(19, 20), "wrong_person": rate(1, 20)}}
    return found


def test_figures_count_people_and_leave_those_without_a_face_out_of_the_swaps() -> None:
    found = figures_of(findings().rows["default"])
    assert found["top1"] == rate(3, 6)
    assert found["swap_rate"] == rate(1, 5)
    assert found["faceless_rate"] == rate(1, 6)
    assert found["identity"].value == pytest.approx(0.4)
    assert found["identity_share"].value == pytest.approx(0.5)


def test_figures_of_all_jobs_count_a_refused_one_as_nobody_drawn() -> None:
    found = figures_of(findings().rows["default"])
    assert found["served"] == rate(3, 5)
    assert found["top1_of_all"] == rate(3, 10)
    assert found["identity_share_of_all"].value == pytest.approx(0.3)
    assert found["identity_share_of_all"].cases == 5


def test_json_has_the_default_rows_figures_flat_and_every_row_with_its_refusals() -> None:
    written = json.loads(json.dumps(as_json(findings()), allow_nan=False))
    assert all(isinstance(written[name], float) for name in FLAT)
    assert (written["recall"], written["wrong_person"]) == (0.95, 0.05)
    assert written["rows"]["default"]["jobs"] == 5
    assert written["rows"]["default"]["refused"] == {"phrase_not_found": 2}
    assert written["rows"]["default"]["top1"]["cases"] == 6
    assert written["rows"]["pasted"]["top1"]["value"] is None


def test_the_table_names_every_row_its_refusals_and_every_engine() -> None:
    table = as_table(findings())
    for words in ("default", "pasted", "2 phrase_not_found:2", "drawn scenes, transformers", "[18.8%, 81.2%]"):
        assert words in table


def test_what_was_not_measured_yet_still_prints() -> None:
    good = Estimate(value=1.0, low=0.9, high=1.0, cases=20)
    empty = Findings(seed=1, people=2, bundle="mini@0", place_accuracy=good)
    assert as_json(empty)["top1"] is None
    assert "seed 1" in as_table(empty)


def test_the_sheet_has_a_line_a_job_and_says_what_was_refused() -> None:
    case = draw_case(7, 0, 2)
    strip = Strip(case=case, template=case.scene.picture, pictures={"default": case.scene.picture})
    one, two = draw_sheet([strip], ["default", "pasted"]), draw_sheet([strip, strip], ["default", "pasted"])
    assert one.width == two.width
    assert two.height > one.height + 256
