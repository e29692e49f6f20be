"""All branches of a step in one UNet forward: SDXL rows and InstantID rows side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor

from shared.errors import OutOfMemory
from worker.models.instantid import Face
from worker.models.sdxl import Text, time_ids


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One branch of the loop: what it draws, how strongly, and whose face it wears (None: plain SDXL)."""

    denoiser: Denoiser
    text: Text
    guidance_scale: float
    face: Face | None = None

    @property
    def guided(self) -> bool:
        """Whether the branch needs its unconditional row."""
        return self.guidance_scale > 1

    def __call__(self, x: Tensor, t: Tensor, /) -> Tensor:
        """The guided prediction of this branch alone, (1, c, h, w)."""
        return self.denoiser.predict(x, t, [self])

    def rows(self, both: Tensor) -> Tensor:
        """The rows this branch needs of a pair (unconditional, conditional)."""
        return both if self.guided else both[1:]


class Denoiser:
    """The networks of a job's steps. `batched`: all branches in one forward, until memory says otherwise."""

    def __init__(
        self,
        unet: UNet2DConditionModel,
        identitynet: ControlNetModel,
        *,
        width_px: int,
        height_px: int,
        batched: bool = True,
    ) -> None:
        self._unet = unet
        self._identitynet = identitynet
        self._time_ids = time_ids(width_px=width_px, height_px=height_px).to(device=unet.device, dtype=unet.dtype)
        self._batched = batched

    def predict(self, x: Tensor, t: Tensor, branches: Sequence[Branch]) -> Tensor:
        """Guided predictions, (b, c, h, w); row i of x belongs to branches[i].

        When the device has no room for all branches at once they run one by one, here and in all later steps. Raises
        OutOfMemory when there is no room for a single one.
        """
        if self._batched and len(branches) > 1:
            try:
                return self._forward(x, t, branches)
            except torch.OutOfMemoryError:
                self._batched = False
            # After the except clause: inside it the exception still holds the failed forward's activations.
            if x.is_cuda:
                torch.cuda.empty_cache()
        try:
            return torch.cat([self._forward(x[i : i + 1], t, [branch]) for i, branch in enumerate(branches)])
        except torch.OutOfMemoryError as error:
            message = f"no room on {x.device} for one branch of {tuple(x.shape[1:])} latents"
            raise OutOfMemory(message) from error

    @torch.inference_mode()
    def _forward(self, x: Tensor, t: Tensor, branches: Sequence[Branch]) -> Tensor:
        counts = [2 if branch.guided else 1 for branch in branches]
        rows = torch.cat([x[i : i + 1].expand(count, -1, -1, -1) for i, count in enumerate(counts)])
        rows = rows.to(self._unet.dtype)
        states = torch.cat([branch.rows(branch.text.states) for branch in branches])
        sizes = {
            "text_embeds": torch.cat([branch.rows(branch.text.pooled) for branch in branches]),
            "time_ids": self._time_ids.expand(len(rows), -1),
        }
        worn = _worn_faces(branches)
        if worn is None:
            # One token of zeros: its value is zero in every layer, so nothing is added to plain SDXL.
            tokens, attention, down, middle = states[:, :1] * 0, None, None, None
        else:
            tokens = _among(worn.rows, worn.tokens, len(rows))
            scales = _among(worn.rows, worn.adapter_scales.to(rows), len(rows))
            attention = {"ip_adapter_masks": [scales.expand(-1, -1, *rows.shape[2:])]}
            down, middle = self._residuals(rows, t, sizes, worn)
        eps = self._unet(
            rows,
            t,
            encoder_hidden_states=states,
            added_cond_kwargs={**sizes, "image_embeds": [tokens[:, None]]},
            cross_attention_kwargs=attention,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            return_dict=False,
        )[0]
        parts = zip(branches, eps.split(counts), strict=True)
        return torch.cat([_guide(own, branch.guidance_scale) for branch, own in parts])

    def _residuals(
        self, rows: Tensor, t: Tensor, sizes: dict[str, Tensor], worn: _WornFaces
    ) -> tuple[list[Tensor], Tensor]:
        """IdentityNet's residuals for all rows of the UNet: zeros for the rows that wear no face."""
        down, middle = self._identitynet(
            rows[worn.rows],
            t,
            # InstantID's one departure from a ControlNet: it reads the face tokens, not the text.
            encoder_hidden_states=worn.tokens,
            controlnet_cond=worn.drawings,
            added_cond_kwargs={name: value[worn.rows] for name, value in sizes.items()},
            return_dict=False,
        )
        scales = worn.identity_scales.to(rows)
        scaled = [_among(worn.rows, residual * scales, len(rows)) for residual in (*down, middle)]
        return scaled[:-1], scaled[-1]


@dataclass(frozen=True, kw_only=True)
class _WornFaces:
    """The faces of a forward, one entry a row that wears one. rows: their numbers; scales: (k, 1, 1, 1)."""

    rows: list[int]
    tokens: Tensor
    drawings: Tensor
    identity_scales: Tensor
    adapter_scales: Tensor


def _worn_faces(branches: Sequence[Branch]) -> _WornFaces | None:
    rows: list[int] = []
    faces: list[Face] = []
    tokens: list[Tensor] = []
    at = 0
    for branch in branches:
        count = 2 if branch.guided else 1
        if branch.face is not None:
            rows += range(at, at + count)
            faces += [branch.face] * count
            tokens.append(branch.rows(branch.face.tokens))
        at += count
    if not faces:
        return None
    # Persons with fewer photos have shorter sequences. Repeating one whole leaves attention over it as it was.
    length = math.lcm(*(own.shape[1] for own in tokens))
    return _WornFaces(
        rows=rows,
        tokens=torch.cat([own.repeat(1, length // own.shape[1], 1) for own in tokens]),
        drawings=torch.cat([face.drawing for face in faces]),
        identity_scales=torch.tensor([face.identity_scale for face in faces]).view(-1, 1, 1, 1),
        adapter_scales=torch.tensor([face.adapter_scale for face in faces]).view(-1, 1, 1, 1),
    )


def _among(rows: Sequence[int], values: Tensor, total: int) -> Tensor:
    """`values` put at `rows` of a tensor of `total` rows, zeros elsewhere."""
    if len(rows) == total:
        return values
    everything = values.new_zeros(total, *values.shape[1:])
    everything[list(rows)] = values
    return everything


def _guide(eps: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (arXiv 2207.12598, equation 6) over rows (unconditional, conditional); one row stays."""
    if len(eps) == 1:
        return eps
    unconditional, conditional = eps.chunk(2)
    return unconditional + scale * (conditional - unconditional)
