"""Lines of a batch: cut, checked, told apart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.batches.lines import MAX_LINE_BYTES, InvalidLine, LineReader, LineSplitter, RawLine, ValidLine
from api.batches.product import ProductBatch, lines_of
from api.http.problems import InvalidFields, parse_json
from shared.limits import MINI_LIMITS

PHOTO = "0" * 64
PEOPLE = [{"phrase": "the man", "photos": [PHOTO]}]


def line(custom_id: str = "a", **changed: object) -> bytes:
    return json.dumps({"custom_id": custom_id, "prompt": "a man", "concepts": PEOPLE, **changed}).encode()


def read(*texts: bytes) -> list[ValidLine | InvalidLine]:
    return LineReader(MINI_LIMITS).read(RawLine(number=number, data=text) for number, text in enumerate(texts, 1))


def wrong(one: ValidLine | InvalidLine) -> list[tuple[str, str | None]]:
    assert isinstance(one, InvalidLine), one
    return [(error.code, error.pointer) for error in one.errors]


@given(
    lines=st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"-")), max_size=10),
    step=st.integers(1, 9),
)
def test_lines_are_the_same_however_the_stream_is_chopped(lines: list[bytes], step: int) -> None:
    data = b"\n".join(lines)
    splitter = LineSplitter()
    found = [one for first in range(0, len(data), step) for one in splitter.feed(data[first : first + step])]
    found += splitter.end()
    expected = [(number, text) for number, text in enumerate(lines, 1) if text.strip()]
    if expected and expected[0][0] == 1:
        stripped = expected[0][1].removeprefix(b"\xef\xbb\xbf")
        expected = [(1, stripped), *expected[1:]] if stripped.strip() else expected[1:]
    assert [(one.number, one.data) for one in found] == expected


def test_a_line_that_is_too_long_is_not_kept_and_the_next_one_is_read() -> None:
    splitter = LineSplitter()
    for _ in range(50):
        assert splitter.feed(b"x" * 10_000) == []
        assert sum(map(len, splitter._pieces)) <= MAX_LINE_BYTES
    assert splitter.feed(b"x\n{}\n") == [RawLine(number=1, data=None), RawLine(number=2, data=b"{}")]


def test_a_good_line_is_a_job_of_the_batch_lane_with_every_value_filled_in() -> None:
    (one,) = read(line(sampling={"seed": 7}))
    assert isinstance(one, ValidLine)
    assert (one.custom_id, one.spec.lane, one.spec.sampling.seed) == ("a", "batch", 7)
    assert one.spec.sampling.steps == MINI_LIMITS.steps
    assert not hasattr(one.spec, "custom_id")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"nonsense", ("json_invalid", "")),
        (b"\xff\xfe{}", ("json_invalid", "")),
        (b"[]", ("model_type", "")),
        (line(custom_id=""), ("string_too_short", "/custom_id")),
        (line(prompt=""), ("string_too_short", "/prompt")),
        (line(color="red"), ("extra_forbidden", "/color")),
        (line(max_tries="2"), ("int_type", "/max_tries")),
        (line(lane="interactive"), ("lane_not_batch", "/lane")),
        (line(sampling={"width_px": 100}), ("size_not_allowed", "/sampling/width_px")),
        (
            line(concepts=[{**PEOPLE[0], "box_px": [0, 0, 500, 500]}]),
            ("box_outside", "/concepts/0/box_px"),
        ),
        (b'{"custom_id": "\\ud800"}', ("json_invalid", "")),
    ],
)
def test_a_line_that_is_wrong_says_where_and_why(text: bytes, expected: tuple[str, str]) -> None:
    (one,) = read(text)
    assert expected in wrong(one)


def test_a_bad_line_keeps_its_id_where_it_can_be_read() -> None:
    (one,) = read(line(custom_id="mine", prompt=""))
    assert isinstance(one, InvalidLine)
    assert one.custom_id == "mine"


def test_the_second_line_of_an_id_is_wrong() -> None:
    first, second, third = read(line("a"), line("a"), line("b"))
    assert isinstance(first, ValidLine)
    assert wrong(second) == [("duplicate_custom_id", "/custom_id")]
    assert isinstance(third, ValidLine)


def test_every_scene_meets_every_cast_and_a_scene_has_one_seed() -> None:
    body = {
        "scenes": [
            {"name": "beach", "prompt": "a man on the beach", "embed_settings": True},
            {"prompt": "a man at home"},
        ],
        "casts": [{"name": name, "concepts": PEOPLE} for name in ("ben", "carl")],
    }
    lines = list(lines_of(parse_json(ProductBatch, json.dumps(body).encode()), LineReader(MINI_LIMITS)))
    assert [one.custom_id for one in lines] == ["beach-ben", "beach-carl", "2-ben", "2-carl"]
    seeds = [one.spec.sampling.seed for one in lines if isinstance(one, ValidLine)]
    assert seeds[0] == seeds[1]
    assert seeds[2] == seeds[3]
    assert [one.spec.embed_settings for one in lines if isinstance(one, ValidLine)] == [True, True, False, False]


def test_scenes_and_casts_hold_numbers_as_numbers() -> None:
    scene = {"prompt": "a man", "sampling": {"steps": "20"}}
    with pytest.raises(InvalidFields) as caught:
        parse_json(ProductBatch, json.dumps({"scenes": [scene], "casts": [{"concepts": PEOPLE}]}).encode())
    assert [(one.pointer, one.code) for one in caught.value.fields] == [("/scenes/0/sampling/steps", "int_type")]


def test_zip_needs_as_many_scenes_as_casts() -> None:
    body = {"scenes": [{"prompt": "a man"}] * 2, "casts": [{"concepts": PEOPLE}], "mode": "zip"}
    with pytest.raises(InvalidFields, match="2 scenes and 1 casts"):
        parse_json(ProductBatch, json.dumps(body).encode())
