"""All branches of a step in one UNet forward: SDXL rows and InstantID rows side by side, in windows of one size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor

from shared.errors import OutOfMemory
from worker.blend.windows import Window
from worker.models.cuda_graph import CudaGraph, Work
from worker.models.instantid import Face
from worker.models.rows import AppliedFaces, Part, Rows, among, rows_of
from worker.models.sdxl import Text


@dataclass(frozen=True, kw_only=True, eq=False)
class Branch:
    """One branch of the loop: its text, guidance and face (None: plain SDXL).

    unguided_from_t: at this timestep and below there is no guidance and no unconditional row. window: the part of the
    picture that the branch predicts; None is everything, and outside the window it predicts zeros.
    """

    denoiser: Denoiser
    text: Text
    guidance_scale: float
    unguided_from_t: float = -math.inf
    face: Face | None = None
    window: Window | None = None

    def __call__(self, x: Tensor, t: Tensor, /) -> Tensor:
        """The guided prediction of this branch alone, (1, c, h, w)."""
        return self.denoiser.predict(x, t, [self])

    def guided(self, t: Tensor) -> bool:
        """Whether the branch needs its unconditional row at this timestep."""
        return self.guidance_scale > 1 and float(t) > self.unguided_from_t


class Denoiser:
    """The networks of a job's steps. batched: all branches in one forward, as long as memory suffices.

    latent_px: side of a latent in pixels, 8 for SDXL's VAE. cuda_graphs: record forwards on CUDA once and replay them.
    Leaving it as a context releases the memory of the steps.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        identitynet: ControlNetModel,
        *,
        width_px: int,
        height_px: int,
        latent_px: int = 8,
        batched: bool = True,
        cuda_graphs: bool = False,
    ) -> None:
        self._unet = unet
        self._identitynet = identitynet
        self._size_px = {"width_px": width_px, "height_px": height_px}
        self._latent_px = latent_px
        self._batched = batched
        self._cuda_graphs = cuda_graphs
        self._known: dict[tuple[tuple[Branch, bool], ...], Work] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_how: object) -> None:
        self.release()

    def release(self) -> None:
        """Drops the prepared inputs and recordings; the next step builds them again."""
        self._known.clear()

    @property
    def multiple(self) -> int:
        """Sides of windows, in latents, must be multiples of this so that the networks can halve them."""
        halvings = len(self._unet.config.block_out_channels) - 1
        return 1 << halvings

    def predict(self, x: Tensor, t: Tensor, branches: Sequence[Branch]) -> Tensor:
        """Guided predictions, (b, c, h, w); row i of x belongs to branches[i].

        Branches with windows of one size share a forward. When device memory does not suffice they run one by one, here
        and in all later steps. Raises OutOfMemory when memory does not suffice for a single branch.
        """
        height, width = x.shape[2:]
        groups: dict[tuple[int, int], list[int]] = {}
        for i, branch in enumerate(branches):
            window = branch.window
            groups.setdefault((height, width) if window is None else (window.height, window.width), []).append(i)
        predictions: dict[int, Tensor] = {}
        for members in groups.values():
            own = [branches[i] for i in members]
            views = torch.cat([_view(x[i : i + 1], branches[i].window) for i in members])
            for i, eps in zip(members, self._fitting(views, t, own).split(1), strict=True):
                window = branches[i].window
                predictions[i] = eps if window is None else window.paste(eps, height=height, width=width)
        return torch.cat([predictions[i] for i in range(len(branches))])

    def _fitting(self, x: Tensor, t: Tensor, branches: Sequence[Branch]) -> Tensor:
        """Branches of one size, in one forward if memory suffices."""
        if self._batched and len(branches) > 1:
            try:
                return self._forward(x, t, branches)
            except torch.OutOfMemoryError:
                self._batched = False
                self.release()
            # After the except clause: inside it, the exception still references the activations of the failed forward.
            if x.is_cuda:
                torch.cuda.empty_cache()
        try:
            return torch.cat([self._forward(x[i : i + 1], t, [branch]) for i, branch in enumerate(branches)])
        except torch.OutOfMemoryError as error:
            message = f"memory of {x.device} does not suffice for one branch of {tuple(x.shape[1:])} latents"
            raise OutOfMemory(message) from error

    @torch.inference_mode()
    def _forward(self, x: Tensor, t: Tensor, branches: Sequence[Branch]) -> Tensor:
        """All branches in one forward. The combination changes only a few times in a job, so its inputs are cached."""
        key = tuple((branch, branch.guided(t)) for branch in branches)
        if key not in self._known:
            work = partial(self._step, self._rows(key), [branch.guidance_scale for branch in branches])
            self._known[key] = CudaGraph(work) if self._cuda_graphs and x.is_cuda else work
        return self._known[key](x, t)

    def _step(self, rows: Rows, scales: Sequence[float], x: Tensor, t: Tensor) -> Tensor:
        latents = x[rows.parts].to(self._unet.dtype)
        down, middle = (None, None) if rows.applied is None else self._residuals(latents, t, rows.applied)
        eps = self._unet(
            latents,
            t,
            encoder_hidden_states=rows.context,
            added_cond_kwargs=rows.added,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            return_dict=False,
        )[0]
        return torch.cat([_guide(own, scale) for own, scale in zip(eps.split(rows.counts), scales, strict=True)])

    def _residuals(self, latents: Tensor, t: Tensor, applied: AppliedFaces) -> tuple[list[Tensor], Tensor]:
        """IdentityNet's residuals for all rows of the UNet: zeros for rows without a face."""
        down, middle = self._identitynet(
            latents[applied.rows],
            t,
            encoder_hidden_states=applied.context,
            controlnet_cond=applied.hints,
            added_cond_kwargs=applied.added,
            return_dict=False,
        )
        scaled = [among(applied.rows, residual * applied.scales, len(latents)) for residual in (*down, middle)]
        return scaled[:-1], scaled[-1]

    def _rows(self, branches: Sequence[tuple[Branch, bool]]) -> Rows:
        """The inputs of these branches for every step, each with or without its unconditional row."""
        parts = [Part(text=one.text, face=one.face, window=one.window, guided=guided) for one, guided in branches]
        return rows_of(parts, **self._size_px, latent_px=self._latent_px)


def _view(x: Tensor, window: Window | None) -> Tensor:
    return x if window is None else window.crop(x)


def _guide(eps: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (arXiv 2207.12598, equation 6) over rows (unconditional, conditional); one row stays."""
    if len(eps) == 1:
        return eps
    unconditional, conditional = eps.chunk(2)
    return unconditional + scale * (conditional - unconditional)
