"""The published networks' configurations, as data: what checkpoints of full size must look like.

Sources: config.json of stabilityai/stable-diffusion-xl-base-1.0 (unet, vae, text encoders), of InstantX/InstantID
(ControlNetModel), and of IDEA-Research/grounding-dino-tiny and -base. What has its library's default is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    SwinConfig,
)

Configuration = Mapping[str, Any]


def _frozen(**values: Any) -> Configuration:
    return MappingProxyType(values)


_DOWN = _frozen(
    in_channels=4,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    block_out_channels=(320, 640, 1280),
    layers_per_block=2,
    transformer_layers_per_block=(1, 2, 10),
    attention_head_dim=(5, 10, 20),
    cross_attention_dim=2048,
    addition_embed_type="text_time",
    addition_time_embed_dim=256,
    projection_class_embeddings_input_dim=2816,
    use_linear_projection=True,
)
UNET = _frozen(
    **_DOWN,
    sample_size=128,
    out_channels=4,
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
)
IDENTITYNET = _frozen(**_DOWN, conditioning_embedding_out_channels=(16, 32, 96, 256))
VAE = _frozen(
    down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4,
    block_out_channels=(128, 256, 512, 512),
    layers_per_block=2,
    latent_channels=4,
    sample_size=1024,
    scaling_factor=0.13025,
    force_upcast=True,
)
TEXT_ENCODER = _frozen(
    hidden_size=768,
    intermediate_size=3072,
    num_hidden_layers=12,
    num_attention_heads=12,
    projection_dim=768,
    hidden_act="quick_gelu",
)
TEXT_ENCODER_2 = _frozen(
    hidden_size=1280,
    intermediate_size=5120,
    num_hidden_layers=32,
    num_attention_heads=20,
    projection_dim=1280,
    hidden_act="gelu",
)
# InstantX/InstantID, infer.py: Resampler(dim=1280, depth=4, dim_head=64, heads=20, num_queries=16, 512 -> 2048).
RESAMPLER = _frozen(
    embed_dims=512, output_dims=2048, hidden_dims=1280, depth=4, dim_head=64, heads=20, num_queries=16, ffn_ratio=4
)
DINO_TINY = _frozen(embed_dim=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24), window_size=7, image_size=224)
DINO_BASE = _frozen(embed_dim=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32), window_size=12, image_size=384)


def published_networks(
    surroundings: Callable[[], AbstractContextManager[Any]] = init_empty_weights,
) -> dict[str, Any]:
    """The generator's networks at full size; names as a bundle's folder has them.

    surroundings: what they are made in. They have no memory for their weights where it is not given.
    """
    with surroundings():
        return {
            "unet": UNet2DConditionModel(**UNET),
            "identitynet": ControlNetModel(**IDENTITYNET),
            "vae": AutoencoderKL(**VAE),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**TEXT_ENCODER)),
            "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**TEXT_ENCODER_2)),
            "resampler": IPAdapterPlusImageProjection(**RESAMPLER),
        }


def published_dino(swin: Configuration) -> Any:
    """Grounding DINO of transformers at full size, without memory for its weights."""
    backbone = SwinConfig(**swin, out_indices=(2, 3, 4))
    # Not init_empty_weights: that would take shared weights apart, and they would be counted several times.
    with torch.device("meta"):
        return GroundingDinoForObjectDetection(GroundingDinoConfig(backbone_config=backbone))


def parameters(network: Any) -> int:
    """How many parameters a network has."""
    return sum(parameter.numel() for parameter in network.parameters())
