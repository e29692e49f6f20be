"""The inputs of a forward besides the latents: the same in every step, so they are built once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from worker.blend.windows import Window
from worker.models.attention import Context, Faces
from worker.models.instantid import Face
from worker.models.sdxl import Text, time_ids


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One branch of a forward. guided: with its unconditional row; window: None for the whole picture."""

    text: Text
    face: Face | None
    window: Window | None
    guided: bool

    @property
    def count(self) -> int:
        """Number of rows."""
        return 2 if self.guided else 1

    def of(self, pair: Tensor) -> Tensor:
        """The rows of this branch out of a pair (unconditional, conditional)."""
        return pair if self.guided else pair[1:]


@dataclass(frozen=True, kw_only=True, eq=False)
class AppliedFaces:
    """IdentityNet's input, one entry a row with a face. rows: (k,), indexes of the rows; scales: (k, 1, 1, 1).

    context: the face tokens; added: text_embeds and time_ids.
    """

    rows: Tensor
    context: Context
    added: dict[str, Tensor]
    hints: Tensor
    scales: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """The rows of all parts in sequence. counts: rows of each part; parts: (rows,), index of each row's part.

    context: text and faces for the UNet; added: text_embeds and time_ids; applied: None without a face.
    """

    counts: list[int]
    parts: Tensor
    context: Context
    added: dict[str, Tensor]
    applied: AppliedFaces | None


def rows_of(parts: Sequence[Part], *, width_px: int, height_px: int, latent_px: int) -> Rows:
    """The rows of these parts, for a picture of this size; latent_px: side of a latent in pixels."""
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
    numbers = torch.tensor([number for number, count in enumerate(counts) for _ in range(count)], device=states.device)
    faces = _faces(parts, states.device)
    return Rows(
        counts=counts,
        parts=numbers,
        context=Context(states=states, faces=faces),
        added=added,
        applied=None if faces is None else _applied(parts, faces, added),
    )


def among(rows: Tensor, values: Tensor, total: int) -> Tensor:
    """A tensor with `total` rows that has `values` at `rows` and zeros elsewhere."""
    if len(rows) == total:
        return values
    return values.new_zeros(total, *values.shape[1:]).index_copy_(0, rows, values)


def _faces(parts: Sequence[Part], device: torch.device) -> Faces | None:
    """The face tokens of all rows that have a face."""
    rows: list[int] = []
    tokens: list[Tensor] = []
    scales: list[float] = []
    at = 0
    for part in parts:
        if part.face is not None:
            rows += range(at, at + part.count)
            tokens.append(part.of(part.face.tokens))
            scales += [part.face.adapter_scale] * part.count
        at += part.count
    if not rows:
        return None
    # People with fewer photos have shorter sequences, which are padded.
    lengths = [own.shape[1] for own in tokens for _ in range(len(own))]
    longest = max(lengths)
    valid = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return Faces(
        rows=torch.tensor(rows, device=device),
        tokens=torch.cat([pad(own, (0, 0, 0, longest - own.shape[1])) for own in tokens]),
        scales=torch.tensor(scales).view(-1, 1, 1).to(tokens[0]),
        valid=None if valid.all() else valid[:, None, None].to(device),
    )


def _applied(parts: Sequence[Part], faces: Faces, added: dict[str, Tensor]) -> AppliedFaces:
    """IdentityNet's input for the same faces."""
    applied = [part.face for part in parts if part.face is not None for _ in range(part.count)]
    return AppliedFaces(
        rows=faces.rows,
        # Unlike other ControlNets, IdentityNet attends to the face tokens, not to the text.
        context=Context(states=faces.tokens, valid=faces.valid),
        added={name: value[faces.rows] for name, value in added.items()},
        hints=torch.cat([face.hint for face in applied]),
        scales=torch.tensor([face.identity_scale for face in applied]).view(-1, 1, 1, 1).to(faces.tokens),
    )
