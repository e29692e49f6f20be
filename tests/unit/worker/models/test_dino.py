from __future__ import annotations

import pytest
import torch

from worker.models.dino import candidates_of, caption_of, token_groups


def test_phrases_become_one_caption_that_ends_with_a_full_stop() -> None:
    caption = caption_of(["A man", "the  woman on the left."])
    assert caption.text == "a man . the woman on the left ."
    assert caption.rows == (0, 1)


def test_equal_phrases_are_asked_once_and_answered_alike() -> None:
    caption = caption_of(["a woman", "A Woman", "a man"])
    assert caption.text == "a woman . a man ."
    assert caption.rows == (0, 0, 1)


def test_a_full_stop_inside_a_phrase_does_not_cut_it_in_two() -> None:
    assert caption_of(["dr. who? a man"]).text == "dr who a man ."


@pytest.mark.parametrize("phrases", [[], [""], ["a man", " . ? "]])
def test_a_phrase_without_a_word_is_refused(phrases: list[str]) -> None:
    with pytest.raises(ValueError, match="look for"):
        caption_of(phrases)


def test_each_phrase_owns_the_tokens_between_full_stops() -> None:
    # [CLS] a man . the woman on the left . [SEP]
    ids = [101, 1, 2, 1012, 3, 4, 5, 3, 6, 1012, 102]
    assert token_groups(ids, 1012, 64) == [slice(1, 3), slice(4, 9)]


def test_more_tokens_than_the_detector_reads_are_refused_not_cut_off() -> None:
    with pytest.raises(ValueError, match="11 tokens long together; the detector reads 10"):
        token_groups([101, 1, 2, 1012, 3, 4, 5, 3, 6, 1012, 102], 1012, 10)


def test_the_score_is_the_best_token_of_the_phrase_and_boxes_are_pixels() -> None:
    logits = torch.full((2, 11), -9.0)
    logits[0, 2] = 2.0
    logits[1, 1] = 3.0
    logits[1, 6] = 1.0
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.4], [0.1, 0.5, 0.4, 1.0]])
    man, woman = candidates_of(logits, boxes, [slice(1, 3), slice(4, 9)], (200, 100))
    assert [round(one.score, 3) for one in man] == [0.953, 0.881]
    assert man[1].box_px == pytest.approx((80, 30, 120, 70))
    # The box that reaches out of the picture ends at its edge.
    assert woman[0].box_px == pytest.approx((0, 0, 60, 100))
    assert len(woman) == 1
