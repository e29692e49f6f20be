"""Windows: the part of the latents that a branch predicts, to save computing the whole picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

# A network that was trained on whole pictures predicts small patches badly.
_LEAST_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Window:
    """A rectangle of latents, in latents."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, x: Tensor) -> Tensor:
        """The part of (..., h, w) that is in the window, as a view."""
        return x[..., self.top : self.top + self.height, self.left : self.left + self.width]

    def paste(self, part: Tensor, *, height: int, width: int) -> Tensor:
        """(..., height, width) with `part` in the window and zeros around it."""
        if part.shape[-2:] == (height, width):
            return part
        whole = part.new_zeros(*part.shape[:-2], height, width)
        self.crop(whole)[:] = part
        return whole

    def times(self, factor: int) -> Window:
        """The same window of a picture `factor` times as large."""
        return Window(
            top=self.top * factor, left=self.left * factor, height=self.height * factor, width=self.width * factor
        )


def windows_around(masks: Sequence[Tensor], *, margin: float, multiple: int) -> list[Window]:
    """One window a mask (1, 1, h, w), all of one size, so that they fit in one batch.

    Each holds everything its mask touches, and around that `margin`, a share of the picture's sides, as far as the
    picture goes; none is narrower or lower than half of the picture. Sides are multiples of `multiple`, or the whole
    side of the picture. A margin of 1 is the whole picture.
    """
    if not masks:
        return []
    height, width = masks[0].shape[-2:]
    rows = [_span(mask.amax(dim=(0, 1, 3)), margin * height) for mask in masks]
    columns = [_span(mask.amax(dim=(0, 1, 2)), margin * width) for mask in masks]
    tall, wide = _side(rows, height, multiple), _side(columns, width, multiple)
    return [
        Window(top=_start(down, tall, height), left=_start(across, wide, width), height=tall, width=wide)
        for down, across in zip(rows, columns, strict=True)
    ]


def _span(profile: Tensor, margin: float) -> tuple[int, int]:
    """The wanted range along one side; it may extend beyond the picture."""
    touched = profile.nonzero().flatten()
    first, last = (int(touched[0]), int(touched[-1]) + 1) if len(touched) else (0, 0)
    return math.floor(first - margin), math.ceil(last + margin)


def _side(spans: Sequence[tuple[int, int]], side: int, multiple: int) -> int:
    # The part outside the picture does not count.
    longest = max(min(end, side) - max(start, 0) for start, end in spans)
    wanted = max(longest, math.ceil(side * _LEAST_SHARE))
    return min(side, math.ceil(wanted / multiple) * multiple)


def _start(span: tuple[int, int], length: int, side: int) -> int:
    """Start of a window of this length: around the middle of the span, inside the picture."""
    start, end = max(span[0], 0), min(span[1], side)
    return max(0, min(start - (length - (end - start)) // 2, side - length))
