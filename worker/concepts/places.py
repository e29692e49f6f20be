"""Place words of a phrase: "on the left", "second from the right", "in the middle"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4}
_FROM_SIDE = re.compile(r"\b(first|second|third|fourth|fifth) (?:person |one )?from (?:the )?(left|right)\b")
_LEFT, _RIGHT = (
    re.compile(rf"\b(?:{side}most|(?:on|to|at) the (?:far )?{side}(?: side| hand)?|on {side}(?: side| hand)?)\b")
    for side in ("left", "right")
)
_MIDDLE = re.compile(r"\b(?:in|at) the (?:middle|centre|center)\b")


_ALL = (_FROM_SIDE, _LEFT, _RIGHT, _MIDDLE)


def without_place(phrase: str) -> str:
    """The phrase in lower case without its place words; the whole phrase if it consists only of place words.

    A detector reads "the woman on the left" mostly as "the woman"; the place is evaluated by geometry.
    """
    text = " ".join(phrase.lower().split())
    bare = text
    for words in _ALL:
        bare = words.sub(" ", bare)
    return " ".join(bare.split()) or text


def place_in_row(phrase: str, count: int) -> tuple[int, ...] | None:
    """The indexes, from the left, that the place words of the phrase select in a row of `count` people.

    None if the phrase has no place words. Empty if there is no such place, for example the second of one. The middle of
    an even number has two indexes.
    """
    text = " ".join(phrase.lower().split())
    index: Sequence[int]
    if found := _FROM_SIDE.search(text):
        steps = _ORDINALS[found[1]]
        index = (steps if found[2] == "left" else count - 1 - steps,)
    elif _MIDDLE.search(text):
        index = tuple(sorted({(count - 1) // 2, count // 2}))
    elif _LEFT.search(text):
        index = (0,)
    elif _RIGHT.search(text):
        index = (count - 1,)
    else:
        return None
    return tuple(i for i in index if 0 <= i < count)
