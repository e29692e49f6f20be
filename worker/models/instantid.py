"""InstantID (arXiv 2401.07519) on the parts of diffusers: face tokens from embeddings, and hints for IdentityNet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel, StableDiffusionXLPipeline, UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.errors import BundleError
from worker.blend.windows import Window
from worker.models.attention import attend_to_faces, attend_to_tokens
from worker.models.keypoints import Canvas
from worker.models.weights import check_fit, checkpoint, pickled

# Size of a face's embedding from insightface's recognisers (glintr100 of antelopev2, and the mini one), on which
# InstantID's Resampler was trained (instantX-research/InstantID, pipeline_stable_diffusion_xl_instantid.py,
# `image_emb_dim`).
EMBEDDING_SIZE = 512


@dataclass(frozen=True, kw_only=True)
class Face:
    """The face of a branch. tokens: (2, n, d), row 0 unconditional; hint: (1, c, h, w), of the keypoints."""

    tokens: Tensor
    hint: Tensor
    identity_scale: float
    adapter_scale: float


@dataclass(frozen=True, kw_only=True)
class InstantId:
    """The networks of InstantID beside the UNet, IdentityNet in two parts.

    resampler: (b, photos, 512) -> (b, tokens, d). embedding: (b, 3, H, W) -> (b, c, h, w), IdentityNet's first part,
    whose output is the same in every step.
    """

    resampler: nn.Module
    embedding: nn.Module
    identitynet: ControlNetModel

    @classmethod
    def of(cls, resampler: nn.Module, identitynet: ControlNetModel) -> InstantId:
        """Splits IdentityNet in two; its second part then expects hints and a `Context`."""
        embedding = identitynet.controlnet_cond_embedding
        identitynet.controlnet_cond_embedding = nn.Identity()
        attend_to_tokens(identitynet)
        return cls(resampler=resampler, embedding=embedding, identitynet=identitynet)

    def to(self, device: torch.device | str) -> None:
        """Moves the networks to a device."""
        for network in (self.resampler, self.embedding, self.identitynet):
            network.to(device)

    @torch.inference_mode()
    def face_tokens(self, embeddings: NDArray[np.float32]) -> Tensor:
        """Tokens of one person, (2, photos * 16, d): row 0 unconditional. embeddings: (photos, 512), raw.

        Several photos make a longer sequence. The unconditional tokens are those of a zero embedding, not zeros, and
        repeated to the same length: attention over repeated tokens is attention over them once.
        """
        if embeddings.ndim != 2 or not len(embeddings):
            message = f"embeddings of shape {embeddings.shape}: expected (photos, size)"
            raise ValueError(message)
        weight = next(self.resampler.parameters())
        rows = torch.from_numpy(np.ascontiguousarray(embeddings)).to(weight)[:, None]
        tokens = self.resampler(torch.cat([torch.zeros_like(rows[:1]), rows]))
        conditional = tokens[1:].reshape(1, -1, tokens.shape[-1])
        return torch.cat([tokens[:1].repeat(1, len(embeddings), 1), conditional])

    @torch.inference_mode()
    def hint(self, drawing: Canvas, window_px: Window | None = None) -> Tensor:
        """IdentityNet's embedding of a keypoint drawing, or of the part in a window, (1, c, h, w) in latents."""
        weight = next(self.embedding.parameters())
        picture = torch.from_numpy(drawing).to(weight).div(255).permute(2, 0, 1)[None]
        hint: Tensor = self.embedding(picture if window_px is None else window_px.crop(picture))
        return hint


def load_instantid(pipeline: StableDiffusionXLPipeline, adapter: Path, identitynet: ControlNetModel) -> InstantId:
    """Puts the adapter's keys and values into the pipeline's UNet and takes out its Resampler.

    The UNet then expects face tokens in a `Context`. They are the same in all steps, so the Resampler runs once a job.
    Raises BundleError for a file that is missing, contains more than tensors, or was made for another UNet or other
    embeddings.
    """
    unet = pipeline.unet
    weights = pickled(adapter)
    with checkpoint(adapter):
        wanted = adapter_layout(unet)
        check_fit(wanted, weights["ip_adapter"], source=adapter)
        pipeline.load_ip_adapter(weights, subfolder="", weight_name="", image_encoder_folder=None)
    resampler = unet.encoder_hid_proj.image_projection_layers[0]
    empty = [name for name, weight in resampler.named_parameters() if weight.is_meta]
    if empty:
        raise BundleError(f"checkpoint {adapter} lacks a part of the Resampler: {empty[0]}")
    wide = unet.config.cross_attention_dim
    if resampler.proj_out.out_features != wide:
        raise BundleError(f"checkpoint {adapter} gives tokens of {resampler.proj_out.out_features}, not of {wide}")
    size = resampler.proj_in.in_features
    if size != EMBEDDING_SIZE:
        # An IP-Adapter of pictures has the same layout: it would load, and then every job would fail.
        raise BundleError(f"checkpoint {adapter} reads embeddings of {size}, not a face's of {EMBEDDING_SIZE}")
    attend_to_faces(unet)
    return InstantId.of(resampler, identitynet)


def adapter_layout(unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """The keys and values that an adapter of this UNet holds, without memory.

    One pair a text attention, numbered 1, 3, 5, ... in the order of `attn_processors`: down, up, mid
    (tencent-ailab/IP-Adapter, ip_adapter.py; diffusers reads it alike).
    """
    layout = {}
    names = [name.removesuffix(".processor") for name in unet.attn_processors]
    for number, name in enumerate(names):
        if name.endswith("attn2"):
            attention = unet.get_submodule(name)
            for kind, own in (("to_k_ip", attention.to_k), ("to_v_ip", attention.to_v)):
                layout[f"{number}.{kind}.weight"] = torch.empty_like(own.weight, device="meta")
    return layout
