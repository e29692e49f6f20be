"""What counts as the same body."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.fingerprint import Fingerprint


def digest(body: bytes, content_type: str = "application/json", *, query: bytes = b"", cuts: Sequence[int] = ()) -> str:
    """The fingerprint of a body that comes in pieces."""
    fingerprint = Fingerprint(query=query, content_type=content_type)
    places = [0, *sorted(cuts), len(body)]
    for start, end in pairwise(places):
        fingerprint.feed(body[start:end])
    assert fingerprint.size_bytes == len(body)
    return fingerprint.digest()


def form(*parts: tuple[str, bytes], boundary: str = "b") -> tuple[bytes, str]:
    """A multipart body and its type."""
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in parts
    ]
    return b"".join(lines) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


@given(
    parts=st.lists(st.tuples(st.sampled_from(["a", "b", "photo"]), st.binary(max_size=40)), max_size=4),
    cuts=st.lists(st.integers(0, 120), max_size=6),
)
def test_a_form_is_its_parts_however_framed_and_however_cut(parts: list[tuple[str, bytes]], cuts: list[int]) -> None:
    one, other = form(*parts, boundary="xxWall1"), form(*parts, boundary="xxAnother-wall")
    assert digest(*one, cuts=[cut for cut in cuts if cut < len(one[0])]) == digest(*other)


@given(
    one=st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=6)), max_size=3),
    other=st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=6)), max_size=3),
)
def test_other_parts_are_another_form(one: list[tuple[str, bytes]], other: list[tuple[str, bytes]]) -> None:
    same = digest(*form(*one, boundary="xxWall1")) == digest(*form(*other, boundary="xxWall2"))
    assert same is (one == other)


@given(body=st.binary(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_any_other_body_is_its_bytes(body: bytes, cuts: list[int]) -> None:
    assert digest(body, cuts=[cut for cut in cuts if cut < len(body)]) == digest(body)
    assert digest(body) != digest(body + b" ")


def test_query_and_type_belong_to_the_request() -> None:
    assert digest(b"{}") != digest(b"{}", query=b"dry_run=true")
    assert digest(b"{}") != digest(b"{}", "text/plain")
    assert digest(b"{}", "application/json") == digest(b"{}", "Application/JSON; charset=utf-8")


@pytest.mark.parametrize("boundary", ["", "x", "x" * 3000, "\xff"])
def test_a_broken_form_is_its_bytes(boundary: str) -> None:
    content_type = f"multipart/form-data; boundary={boundary}"
    assert digest(b"no form", content_type) == digest(b"no form", content_type, cuts=[3])
    assert digest(b"no form", content_type) != digest(b"no fort", content_type)
