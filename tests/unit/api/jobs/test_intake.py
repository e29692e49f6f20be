"""From bytes to a job that can be served, or to every reason why not."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.http.problems import InvalidFields, parse_json
from api.jobs.intake import complete_spec, spec_of_value
from api.jobs.openapi import SUBMIT_BODY
from shared.errors import InvalidField, MalformedBody, SizeNotAllowed, TroupeError
from shared.job import MAX_CONCEPTS, JobSpec
from shared.limits import MINI_LIMITS, SDXL_LIMITS

_PHOTO = "ab" * 32


def asked(**changes: object) -> dict[str, Any]:
    concept = {"phrase": "the man", "photos": [_PHOTO]}
    return {"prompt": "a man on the beach", "concepts": [concept], **changes}


def concept(**changes: object) -> dict[str, Any]:
    return {"phrase": "the man", "photos": [_PHOTO], **changes}


def pointers(value: object) -> list[tuple[str | None, str]]:
    with pytest.raises(InvalidFields) as caught:
        parse_json(JobSpec, json.dumps(value).encode())
    assert caught.value.kind is InvalidField
    return [(field.pointer, field.code) for field in caught.value.fields]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"concepts": [concept()]}, "/prompt: this field is required"),
        (asked(concepts=[]), "/concepts: List should have at least 1 item, not 0"),
        (asked(colour="red"), "/colour: there is no field with this name"),
        (asked(concepts=[concept(photos=["me.png"])]), "/concepts/0/photos/0: a photo id is 64 hexadecimal digits"),
        ([], "the body: Input should be an object"),
        ({}, "2 fields are not valid; /prompt: this field is required"),
    ],
)
def test_one_sentence_says_where_and_what(value: object, words: str) -> None:
    with pytest.raises(InvalidFields, match=f"^{re.escape(words)}"):
        parse_json(JobSpec, json.dumps(value).encode())


def test_the_example_of_the_document_is_accepted() -> None:
    body: dict[str, Any] = SUBMIT_BODY["requestBody"]
    example = body["content"]["application/json"]["example"]
    assert complete_spec(spec_of_value(example), MINI_LIMITS).sampling.seed == 7


@pytest.mark.parametrize(
    ("value", "pointer", "code"),
    [
        (asked(concepts=[]), "/concepts", "too_short"),
        (asked(concepts=[concept()] * (MAX_CONCEPTS + 1)), "/concepts", "too_long"),
        (asked(prompt=""), "/prompt", "string_too_short"),
        (asked(prompt=" \t\u3000"), "/prompt", "string_too_short"),
        (asked(prompt="x" * 1001), "/prompt", "string_too_long"),
        (asked(prompt=None), "/prompt", "string_type"),
        ({"concepts": [concept()]}, "/prompt", "missing"),
        (asked(colour="red"), "/colour", "extra_forbidden"),
        (asked(**{"a/b~c": 1}), "/a~1b~0c", "extra_forbidden"),
        (asked(concepts=[concept(age=3)]), "/concepts/0/age", "extra_forbidden"),
        (asked(concepts=[concept(photos=[])]), "/concepts/0/photos", "too_short"),
        (asked(concepts=[concept(photos=["me.png"])]), "/concepts/0/photos/0", "string_pattern_mismatch"),
        (asked(concepts=[concept(phrase="")]), "/concepts/0/phrase", "string_too_short"),
        (asked(concepts=[concept(phrase="...?")]), "/concepts/0/phrase", "value_error"),
        (asked(concepts=[concept(), concept(box_px=[9, 9, 9, 90])]), "/concepts/1/box_px", "value_error"),
        (asked(concepts=[concept(box_px=[90, 9, 9, 90])]), "/concepts/0/box_px", "value_error"),
        (asked(concepts=[concept(box_px=[-1, 0, 9, 90])]), "/concepts/0/box_px/0", "greater_than_equal"),
        (asked(sampling={"steps": 0}), "/sampling/steps", "greater_than_equal"),
        (asked(sampling={"seed": -1}), "/sampling/seed", "greater_than_equal"),
        (asked(sampling={"seed": 2**63}), "/sampling/seed", "less_than"),
        (asked(sampling={"guidance_scale": "NaN"}), "/sampling/guidance_scale", "float_type"),
        (asked(sampling={"steps": "20"}), "/sampling/steps", "int_type"),
        (asked(sampling={"steps": True}), "/sampling/steps", "int_type"),
        (asked(sampling={"split": "0.2"}), "/sampling/split", "float_type"),
        (asked(concepts=[concept(box_px=["0", 0, 9, 90])]), "/concepts/0/box_px/0", "float_type"),
        (asked(max_tries="2"), "/max_tries", "int_type"),
        (asked(sampling={"scheduler": "magic"}), "/sampling/scheduler", "literal_error"),
        (asked(sampling={"split": 1.5}), "/sampling/split", "less_than_equal"),
        (asked(lane="fast"), "/lane", "literal_error"),
        ([], "", "model_type"),
        ("job", "", "model_type"),
        (None, "", "model_type"),
    ],
)
def test_a_wrong_field_is_pointed_at(value: object, pointer: str, code: str) -> None:
    assert pointers(value) == [(pointer, code)]


def test_a_whole_number_is_a_number_and_a_form_may_hold_text() -> None:
    assert parse_json(JobSpec, json.dumps(asked(sampling={"split": 1, "steps": 20})).encode()).sampling.split == 1.0
    assert spec_of_value(asked(sampling={"steps": "20"})).sampling.steps == 20


def test_all_wrong_fields_are_told_at_once() -> None:
    assert [pointer for pointer, _ in pointers({"prompt": "", "concepts": [], "x": 1})] == [
        "/prompt",
        "/concepts",
        "/x",
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"prompt": "\xff"}',
        b'{"prompt": "\\ud800"}',
        b"[" * 100_000,
        b"{'a': 1}",
        b"\x00",
        b"nul",
    ],
)
def test_broken_json_is_a_malformed_body(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_json(JobSpec, body)


@settings(deadline=None)
@given(
    body=st.one_of(st.binary(max_size=200), st.recursive(st.none() | st.text() | st.floats(), st.lists).map(json.dumps))
)
def test_no_bytes_are_a_bug(body: bytes | str) -> None:
    with pytest.raises((MalformedBody, InvalidFields)):
        parse_json(JobSpec, body.encode() if isinstance(body, str) else body)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([_PHOTO, "the man", 128]),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(
            st.sampled_from([*JobSpec.model_fields, "phrase", "photos", "box_px", "width_px", "steps"]), inner
        )
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=200)
@given(changes=st.dictionaries(st.sampled_from(list(JobSpec.model_fields)), _VALUES))
def test_whatever_is_accepted_is_complete_and_inside_the_picture(changes: dict[str, object]) -> None:
    try:
        spec = complete_spec(spec_of_value(asked(**changes)), MINI_LIMITS)
    except (InvalidFields, TroupeError):
        return
    sampling = spec.sampling
    assert None not in sampling.model_dump().values()
    for one in spec.concepts:
        if one.box_px:
            assert one.box_px[2] <= (sampling.width_px or 0)
            assert one.box_px[3] <= (sampling.height_px or 0)
    assert parse_json(JobSpec, spec.model_dump_json().encode()) == spec


def test_what_is_left_empty_is_the_bundles_own() -> None:
    sampling = complete_spec(spec_of_value(asked(sampling={"steps": 4})), SDXL_LIMITS).sampling
    assert (sampling.width_px, sampling.height_px, sampling.steps, sampling.guidance_scale) == (1024, 1024, 4, 5.0)


def test_a_seed_that_is_given_is_kept_and_one_that_is_not_is_drawn() -> None:
    assert complete_spec(spec_of_value(asked(sampling={"seed": 0})), MINI_LIMITS).sampling.seed == 0
    drawn = {complete_spec(spec_of_value(asked()), MINI_LIMITS).sampling.seed for _ in range(8)}
    assert len(drawn) > 1


@pytest.mark.parametrize("side", ["width_px", "height_px"])
@pytest.mark.parametrize("size_px", [64, 100, 129, 320, 4096])
def test_a_size_that_the_bundle_does_not_draw_is_refused(side: str, size_px: int) -> None:
    with pytest.raises(SizeNotAllowed) as caught:
        complete_spec(spec_of_value(asked(sampling={side: size_px})), MINI_LIMITS)
    assert caught.value.pointer == f"/sampling/{side}"


def test_a_box_must_lie_inside_the_picture_that_will_be_drawn() -> None:
    boxes = [concept(box_px=[0, 0, 128, 128]), concept(box_px=[0, 0, 128.5, 128]), concept(box_px=[0, 0, 50, 129])]
    with pytest.raises(InvalidFields) as caught:
        complete_spec(spec_of_value(asked(concepts=boxes)), MINI_LIMITS)
    assert [field.pointer for field in caught.value.fields] == ["/concepts/1/box_px", "/concepts/2/box_px"]
    wide = asked(concepts=boxes[1:2], sampling={"width_px": 192})
    assert complete_spec(spec_of_value(wide), MINI_LIMITS).sampling.width_px == 192


def test_two_concepts_may_have_the_same_box() -> None:
    boxes = [concept(box_px=[0, 0, 64, 64])] * 2
    assert len(complete_spec(spec_of_value(asked(concepts=boxes)), MINI_LIMITS).concepts) == 2
