"""What is compared: a row is a way to make the picture, and how many people are in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import ValidationError

from shared.job import MaskKind, Mode, Preset, Sampling, Scheduler

Method = Literal["blend", "template", "together", "pasted"]
DEFAULT = "default"
# What the promises are about: our own way, the one that keeps the background, and what a user would try instead.
TABLE = (DEFAULT, "template", "together", "pasted", "literal-1.0")
# What is saved, one thing at a time and as the presets put it together, against everything computed in full.
SPEED = (
    "best", "balanced", "fast",
    "keep1.0", "keep0.5",
    "crop0.1", "crop0.05",
    "guided0.8", "guided0.6",
    "keep1.0-crop0.05", "keep1.0-guided0.6",
    "steps8", "steps8-guidance1.0", "steps8-guidance1.0-dpmpp_2m",
)  # fmt: skip
ALL = (
    *TABLE,
    "literal", "staged", "shared",
    "box", "ellipse",
    "0.0", "0.15", "0.3", "0.45", "0.6",
    "k1", "k2", "k3", "k4",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row. method `blend` is the product's; sampling is what it asks for, the kind of mask elsewhere."""

    name: str
    people: int
    method: Method
    sampling: Sampling

    @property
    def mask(self) -> MaskKind:
        """The kind of the masks."""
        return self.sampling.mask


# Fields by the values that name them, and fields by the letters before a number.
_NAMED: Mapping[str, str] = {
    value: field
    for field, values in (("mode", Mode), ("mask", MaskKind), ("preset", Preset), ("scheduler", Scheduler))
    for value in get_args(values)
}
_NUMBERED: Mapping[str, tuple[str, Callable[[str], float]]] = {
    "keep": ("keep", float),
    "crop": ("crop_margin", float),
    "guided": ("guidance_stop", float),
    "guidance": ("guidance_scale", float),
    "steps": ("steps", int),
    "": ("split", float),
}


def row_of(name: str, *, people: int, mode: Mode | None = None) -> Row:
    """The row of a name: words joined by "-", each a method, a value of the sampling's, or letters and a number.

    What is not named is the product's default, with `people` and `mode` instead of its own. Raises ValueError.
    """
    method: Method = "blend"
    asked: dict[str, object] = {} if mode is None else {"mode": mode}
    for word in name.split("-"):
        if word == DEFAULT:
            continue
        if word in get_args(Method):
            method = next(known for known in get_args(Method) if known == word)
        elif word in _NAMED:
            asked[_NAMED[word]] = word
        elif word in {"k1", "k2", "k3", "k4", "k5"}:
            people = int(word[1:])
        else:
            field, value = _number_of(word, name)
            asked[field] = value
    if method == "pasted":
        # Its own masks are the boxes, whatever the product's are.
        asked["mask"] = "box"
    try:
        return Row(name=name, people=people, method=method, sampling=Sampling.model_validate(asked))
    except ValidationError as error:
        wrong = error.errors()[0]
        raise ValueError(f"row {name!r}: {wrong['loc'][0]} {wrong['input']}: {wrong['msg']}") from error


def _number_of(word: str, name: str) -> tuple[str, float]:
    letters = word.rstrip("0123456789.")
    try:
        field, read = _NUMBERED[letters]
        return field, read(word[len(letters) :])
    except (KeyError, ValueError) as error:
        known = ", ".join([*get_args(Method), *_NAMED, *(f"{one}N" for one in _NUMBERED if one)])
        raise ValueError(f"row {name!r}: {word!r} is none of {known}, a split from 0 to 1, or k1 to k5") from error
