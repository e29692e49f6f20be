"""The peers' schedules over the product's weights, as one would write them down: one forward a branch, whole pictures.

OMG (arXiv 2403.10983, its InstantID script): both stages draw the template beside the picture, two rows of guidance
each; from 16 of 50 steps on every concept has forwards of its own, and noise predictions are blended by the masks.
The paper's listing (Algorithm 1): SDXL and InstantID of every concept in all steps, each with latents of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor2_0, IPAdapterAttnProcessor2_0
from torch import Tensor

from worker.models.attention import ContextAttention
from worker.models.denoiser import Branch
from worker.models.sdxl import time_ids
from worker.stages.personalize import PreparedRun

_OMG_START = 16 / 50


@dataclass(frozen=True, kw_only=True, eq=False)
class Peer:
    """Networks and the picture's side."""

    unet: Any
    identitynet: Any
    side_px: int

    @contextmanager
    def stock(self) -> Iterator[None]:
        """The networks attend as diffusers ships them, over the same weights, and afterwards as they did before."""
        own = [(network, network.attn_processors) for network in (self.unet, self.identitynet)]
        for network, processors in own:
            network.set_attn_processor({name: _stock(one) for name, one in processors.items()})
        try:
            yield
        finally:
            for network, processors in own:
                network.set_attn_processor(dict(processors))

    @torch.inference_mode()
    def predict(self, x: Tensor, t: Tensor, branch: Branch, pictures: int = 1) -> Tensor:
        """One branch's guided prediction, the same for each of so many pictures beside each other."""
        rows = x.to(self.unet.dtype).expand(2 * pictures, -1, -1, -1)
        states = branch.text.states.repeat_interleave(pictures, 0)
        sizes = time_ids(width_px=self.side_px, height_px=self.side_px).to(rows).expand(len(rows), -1)
        added = {"text_embeds": branch.text.pooled.repeat_interleave(pictures, 0), "time_ids": sizes}
        tokens, residuals = states[:, :1] * 0, {}
        if branch.face is not None:
            tokens = branch.face.tokens
            down, middle = self.identitynet(
                rows,
                t,
                encoder_hidden_states=tokens,
                controlnet_cond=branch.face.hint.expand(2, -1, -1, -1),
                conditioning_scale=branch.face.identity_scale,
                added_cond_kwargs=added,
                return_dict=False,
            )
            residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        eps = self.unet(
            rows,
            t,
            encoder_hidden_states=(states, [tokens[:, None]]),
            added_cond_kwargs=added,
            return_dict=False,
            **residuals,
        )[0]
        without, with_words = eps[:1], eps[pictures : pictures + 1]
        guided: Tensor = without + branch.guidance_scale * (with_words - without)
        return guided.to(x.dtype)

    def omg(self, ready: PreparedRun) -> Tensor:
        """Latents after OMG's two stages."""
        with self.stock():
            return self._omg(ready)

    def paper(self, ready: PreparedRun) -> Tensor:
        """Latents after Algorithm 1 as printed, with its SDXL line once a step."""
        with self.stock():
            return self._paper(ready)

    def _omg(self, ready: PreparedRun) -> Tensor:
        scene, layers = ready.composition.background, ready.composition.layers
        for stage in (1, 2):
            x, solver = ready.x, copy.deepcopy(ready.solver)
            for i, t in enumerate(solver.timesteps):
                seen = solver.scale(x, i)
                eps = self.predict(seen, t, scene, pictures=2)
                if stage == 2 and i >= round(_OMG_START * len(solver.timesteps)):
                    eps = _blend(eps, [self.predict(seen, t, own.predictor) for own in layers], ready)
                x = solver.step(eps, i, x)
        return x

    def _paper(self, ready: PreparedRun) -> Tensor:
        scene, layers = ready.composition.background, ready.composition.layers
        for stage in (1, 2):
            solvers = [copy.deepcopy(ready.solver) for _ in range(len(layers) + 1)]
            chains = [ready.x] * len(solvers)
            branches = [scene, *(layer.predictor for layer in layers)] if stage == 2 else [scene]
            for i, t in enumerate(solvers[0].timesteps):
                for n, branch in enumerate(branches):
                    eps = self.predict(solvers[n].scale(chains[n], i), t, branch)
                    chains[n] = solvers[n].step(eps, i, chains[n])
                if stage == 2:
                    chains[0] = _blend(chains[0], chains[1:], ready)
        return chains[0]


def _stock(processor: Any) -> Any:
    if not isinstance(processor, ContextAttention):
        return processor
    if processor.face_key is None or processor.face_value is None:
        return AttnProcessor2_0()
    with torch.device("meta"):
        made = IPAdapterAttnProcessor2_0(processor.face_key.out_features, processor.face_key.in_features, (16,))
    made.to_k_ip[0], made.to_v_ip[0] = processor.face_key, processor.face_value
    return made


def _blend(behind: Tensor, people: Sequence[Tensor], ready: PreparedRun) -> Tensor:
    blended = behind
    for layer, own in zip(ready.composition.layers, people, strict=True):
        blended = blended * (1 - layer.mask) + own * layer.mask
    return blended
