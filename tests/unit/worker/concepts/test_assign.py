from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.concepts.assign import Matched, NobodyFound, Outcome, SamePerson, assign
from worker.concepts.boxes import Box, Candidate


def person(place: int) -> Box:
    """People in a row, a hundred pixels apart."""
    return (place * 100.0, 20.0, place * 100.0 + 80, 200.0)


def seen(*scores: float) -> list[Candidate]:
    """One phrase's candidates: the score of each person of the row, best first, those of 0 left out."""
    found = [Candidate(box_px=person(place), score=score) for place, score in enumerate(scores) if score]
    return sorted(found, key=lambda one: -one.score)


def places(outcome: Outcome) -> list[int]:
    assert isinstance(outcome, Matched), outcome
    return [round(match.box_px[0] / 100) for match in outcome.matches]


def test_each_concept_gets_the_person_it_names() -> None:
    assert places(assign(["a man", "a woman"], [seen(0.1, 0.9), seen(0.8, 0.1)])) == [1, 0]


def test_equal_phrases_go_from_left_to_right() -> None:
    both = seen(0.7, 0.9)
    assert places(assign(["a woman", "a woman"], [both, both])) == [0, 1]
    three = seen(0.9, 0.5, 0.7)
    assert places(assign(["a woman"] * 3, [three] * 3)) == [0, 1, 2]


def test_place_words_settle_two_people_of_one_kind() -> None:
    blind = [seen(0.8, 0.75), seen(0.75, 0.8)]
    assert places(assign(["the woman on the right", "the woman on the left"], blind)) == [1, 0]


def test_a_clear_score_outweighs_place_words() -> None:
    # Somebody of the wrong kind stands on the left; the detector is sure of the woman.
    assert places(assign(["the woman on the left"], [seen(0.4, 0.9)])) == [1]


def test_places_count_everybody_first_and_then_those_meant() -> None:
    man, women = seen(0, 0, 0.9), seen(0.8, 0.8, 0)
    assert places(assign(["a man", "the woman on the right"], [man, women])) == [2, 1]
    everybody = [seen(0.9, 0, 0, 0.9), seen(0, 0.8, 0.8, 0)]
    outcome = assign(["the man on the left", "the woman second from the left"], everybody)
    assert places(outcome) == [0, 1]


def test_people_whom_no_phrase_means_count_when_a_place_does() -> None:
    women = seen(0, 0.8, 0.8, 0)
    assert places(assign(["the woman second from the left"], [women], everybody=seen(0.9, 0.9, 0.9, 0.9))) == [1]
    assert places(assign(["the woman second from the left"], [women])) == [2]


def test_the_other_one_is_left_for_a_phrase_without_a_place() -> None:
    assert places(assign(["a woman", "the woman on the left"], [seen(0.9, 0.6), seen(0.9, 0.8)])) == [1, 0]


def test_nobody_under_the_threshold_is_found() -> None:
    outcome = assign(["a man", "a child"], [seen(0.9, 0), seen(0.2, 0.34)])
    assert outcome == NobodyFound(concepts=(1,), best_score=0.34)


def test_nobody_stands_at_a_place_that_does_not_exist() -> None:
    outcome = assign(["the man third from the left"], [seen(0.9, 0.9)])
    assert isinstance(outcome, NobodyFound)
    assert outcome.concepts == (0,)


def test_two_concepts_never_share_a_person_nor_take_a_stranger() -> None:
    outcome = assign(["the man", "the man with glasses"], [seen(0.9, 0), seen(0.95, 0.4)])
    assert outcome == SamePerson(concepts=(0, 1), box_px=person(0))


def test_left_and_right_of_one_person_is_one_person() -> None:
    outcome = assign(["the man on the left", "the man on the right"], [seen(0.9), seen(0.9)])
    assert outcome == SamePerson(concepts=(0, 1), box_px=person(0))


def test_a_chosen_box_is_taken_as_it_is_and_out_of_reach_for_others() -> None:
    box = (5.0, 20.0, 80.0, 200.0)
    outcome = assign(["a woman", "a woman"], [seen(0.9, 0.8), seen(0.9, 0.8)], chosen={1: box})
    assert isinstance(outcome, Matched)
    assert outcome.matches[1].box_px == box
    assert outcome.matches[0].box_px == person(1)
    taken = assign(["a woman", "a woman"], [seen(0.9), []], chosen={1: box})
    assert taken == SamePerson(concepts=(0, 1), box_px=person(0))


def test_chosen_boxes_need_no_candidates() -> None:
    outcome = assign(["a", "b"], [[], []], chosen={0: person(0), 1: person(1)})
    assert places(outcome) == [0, 1]


def test_a_list_of_candidates_a_phrase_is_required() -> None:
    with pytest.raises(ValueError, match="2 phrases but 1"):
        assign(["a man", "a woman"], [[]])


_TABLES = st.integers(1, 4).flatmap(
    lambda concepts: st.integers(1, 5).flatmap(
        lambda people: st.permutations(range(1, concepts * people + 1)).map(
            lambda ranks: [
                [round(rank / (concepts * people + 1), 3) for rank in ranks[i * people : (i + 1) * people]]
                for i in range(concepts)
            ]
        )
    )
)


@given(_TABLES, st.randoms())
def test_the_order_of_concepts_and_candidates_does_not_matter(table: list[list[float]], random: object) -> None:
    phrases = [f"person {i}" for i in range(len(table))]
    order = sorted(range(len(table)), key=lambda _: random.random())  # type: ignore[attr-defined]
    straight = assign(phrases, [seen(*row) for row in table])
    turned = assign([phrases[i] for i in order], [list(reversed(seen(*table[i]))) for i in order])
    if isinstance(straight, Matched):
        assert isinstance(turned, Matched)
        total = sum(match.score for match in straight.matches)
        assert sum(match.score for match in turned.matches) == pytest.approx(total, abs=2e-3)
    else:
        assert type(turned) is type(straight)


@given(_TABLES)
def test_a_match_is_one_to_one_complete_and_above_the_threshold(table: list[list[float]]) -> None:
    outcome = assign([f"person {i}" for i in range(len(table))], [seen(*row) for row in table])
    if isinstance(outcome, Matched):
        assert [match.concept for match in outcome.matches] == list(range(len(table)))
        assert len({match.box_px for match in outcome.matches}) == len(table)
        assert all(match.score >= 0.35 for match in outcome.matches)
    elif isinstance(outcome, SamePerson):
        assert len(outcome.concepts) >= 2


@given(_TABLES, st.integers(0, 3), st.integers(0, 4))
def test_a_chosen_box_always_wins(table: list[list[float]], concept: int, place: int) -> None:
    concept %= len(table)
    outcome = assign(
        [f"person {i}" for i in range(len(table))], [seen(*row) for row in table], chosen={concept: person(place)}
    )
    if isinstance(outcome, Matched):
        assert outcome.matches[concept].box_px == person(place)
        assert all(m.box_px != person(place) for m in outcome.matches if m.concept != concept)
