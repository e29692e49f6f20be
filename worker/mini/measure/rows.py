"""What is compared: a row is a way to make the picture, and how many people are in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from shared.job import MaskKind, Mode, Sampling

Method = Literal["blend", "template", "together", "pasted"]
DEFAULT = "default"
# What the promises are about: our own way, the one that keeps the background, and what a user would try instead.
TABLE = (DEFAULT, "template", "together", "pasted", "literal-1.0")
ALL = (
    *TABLE,
    "literal", "staged", "shared",
    "box", "ellipse",
    "0.0", "0.15", "0.3", "0.45", "0.6",
    "k1", "k2", "k3", "k4",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row. method `blend` is the product's; mode, split and mask are its settings, and mean nothing elsewhere."""

    name: str
    people: int
    method: Method
    mode: Mode
    split: float
    mask: MaskKind


def row_of(name: str, *, people: int, mode: Mode | None = None) -> Row:
    """The row of a name: words joined by "-", each a method, a mode, a kind of mask, a split or "k" and a number.

    What is not named is the product's default, with `people` and `mode` instead of its own. Raises ValueError.
    """
    default = Sampling()
    method: Method = "blend"
    coupling, split, mask = mode or default.mode, default.split, default.mask
    for word in name.split("-"):
        if word == DEFAULT:
            continue
        if word in get_args(Method):
            method = next(known for known in get_args(Method) if known == word)
        elif word in get_args(Mode):
            coupling = next(known for known in get_args(Mode) if known == word)
        elif word in get_args(MaskKind):
            mask = next(known for known in get_args(MaskKind) if known == word)
        elif word in {"k1", "k2", "k3", "k4", "k5"}:
            people = int(word[1:])
        else:
            split = _split_of(word, name)
    if method == "pasted":
        # Its own masks are the boxes, whatever the product's are.
        mask = "box"
    return Row(name=name, people=people, method=method, mode=coupling, split=split, mask=mask)


def _split_of(word: str, name: str) -> float:
    try:
        split = float(word)
    except ValueError:
        split = -1.0
    if not 0 <= split <= 1:
        raise ValueError(f"row {name!r}: {word!r} is no method, mode, mask, split from 0 to 1, or k1 to k5")
    return split
