"""What the rows of a forward read beside the latents: it is the same in every step, so it is put together once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from worker.blend.windows import Window
from worker.models.instantid import Face
from worker.models.sdxl import Text, time_ids


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """What one branch brings into a forward. guided: with its unconditional row; window: None for the whole picture."""

    text: Text
    face: Face | None
    window: Window | None
    guided: bool

    @property
    def count(self) -> int:
        """How many rows it has."""
        return 2 if self.guided else 1

    def of(self, pair: Tensor) -> Tensor:
        """Its rows of a pair (unconditional, conditional)."""
        return pair if self.guided else pair[1:]


@dataclass(frozen=True, kw_only=True, eq=False)
class WornFaces:
    """The faces of a forward, one entry a row that wears one. rows: their numbers; scales: (k, 1, 1, 1)."""

    rows: list[int]
    tokens: Tensor
    drawings: Tensor
    identity_scales: Tensor
    adapter_scales: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """The rows of all parts, one after the other. counts: how many each part has; parts: (rows,), whose row each is.

    added: text_embeds and time_ids. tokens: (rows, n, d), zeros where no face is worn.
    """

    counts: list[int]
    parts: Tensor
    states: Tensor
    added: dict[str, Tensor]
    worn: WornFaces | None
    tokens: Tensor


def rows_of(parts: Sequence[Part], *, width_px: int, height_px: int, latent_px: int) -> Rows:
    """The rows of these parts of a picture of this size; latent_px: side of a latent in pixels."""
    counts = [part.count for part in parts]
    states = torch.cat([part.of(part.text.states) for part in parts])
    sizes = [
        time_ids(
            width_px=width_px,
            height_px=height_px,
            window_px=None if part.window is None else part.window.times(latent_px),
        ).expand(part.count, -1)
        for part in parts
    ]
    added = {
        "text_embeds": torch.cat([part.of(part.text.pooled) for part in parts]),
        "time_ids": torch.cat(sizes).to(states),
    }
    worn = _worn_faces(parts)
    # A row without a face has tokens of zeros: their values are zero in every layer, so nothing is added to plain SDXL.
    tokens = states[:, :1] * 0 if worn is None else among(worn.rows, worn.tokens, len(states))
    numbers = torch.tensor([number for number, count in enumerate(counts) for _ in range(count)], device=states.device)
    return Rows(counts=counts, parts=numbers, states=states, added=added, worn=worn, tokens=tokens)


def among(rows: Sequence[int], values: Tensor, total: int) -> Tensor:
    """`values` put at `rows` of a tensor of `total` rows, zeros elsewhere."""
    if len(rows) == total:
        return values
    everything = values.new_zeros(total, *values.shape[1:])
    everything[list(rows)] = values
    return everything


def _worn_faces(parts: Sequence[Part]) -> WornFaces | None:
    rows: list[int] = []
    faces: list[Face] = []
    tokens: list[Tensor] = []
    at = 0
    for part in parts:
        if part.face is not None:
            rows += range(at, at + part.count)
            faces += [part.face] * part.count
            tokens.append(part.of(part.face.tokens))
        at += part.count
    if not faces:
        return None
    # Persons with fewer photos have shorter sequences. Repeating one whole leaves attention over it as it was.
    length = math.lcm(*(own.shape[1] for own in tokens))

    def scales(values: Sequence[float]) -> Tensor:
        return torch.tensor(values).view(-1, 1, 1, 1).to(tokens[0])

    return WornFaces(
        rows=rows,
        tokens=torch.cat([own.repeat(1, length // own.shape[1], 1) for own in tokens]),
        drawings=torch.cat([face.drawing for face in faces]),
        identity_scales=scales([face.identity_scale for face in faces]),
        adapter_scales=scales([face.adapter_scale for face in faces]),
    )
