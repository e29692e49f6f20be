"""Words that say where somebody stands: "on the left", "second from the right", "in the middle"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4}
_FROM_SIDE = re.compile(r"\b(first|second|third|fourth|fifth) (?:person |one )?from (?:the )?(left|right)\b")
_LEFT = re.compile(r"\b(?:leftmost|(?:on|to|at) the (?:far )?left|on (?:the )?left(?: side| hand)?)\b")
_RIGHT = re.compile(r"\b(?:rightmost|(?:on|to|at) the (?:far )?right|on (?:the )?right(?: side| hand)?)\b")
_MIDDLE = re.compile(r"\b(?:in|at) the (?:middle|centre|center)\b")


def place_in_row(phrase: str, count: int) -> tuple[int, ...] | None:
    """The indexes that the phrase's place words leave in a row of `count` people, counted from the left.

    None where the phrase has no place words. Empty where there is no such place, such as the second of one. The middle
    of an even number is either of two.
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
