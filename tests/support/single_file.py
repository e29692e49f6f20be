"""SDXL of diffusers as one file under the names of Stability-AI/generative-models, as most fine-tunes come."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_RESNET = (
    ("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("time_emb_proj", "emb_layers.1"), ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"), ("conv_shortcut", "skip_connection"),
)  # fmt: skip
_ENDS = (
    ("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"),
    ("add_embedding.linear_1", "label_emb.0.0"), ("add_embedding.linear_2", "label_emb.0.2"),
    ("conv_in", "input_blocks.0.0"), ("conv_norm_out", "out.0"), ("conv_out", "out.2"),
)  # fmt: skip
_TEXT = (
    ("text_model.encoder.layers", "transformer.resblocks"), ("self_attn.out_proj", "attn.out_proj"),
    ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"),
    ("text_model.embeddings.token_embedding", "token_embedding"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.final_layer_norm", "ln_final"),
)  # fmt: skip


def unet_name(name: str, layers: int, attended: Sequence[bool]) -> str:
    """A UNet's tensor. layers: per block; attended: for each block upwards, whether it attends."""
    if found := re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name):
        way, block, kind, layer, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        if kind == "downsamplers":
            return f"input_blocks.{(block + 1) * (layers + 1)}.0.{rest.replace('conv', 'op')}"
        if kind == "upsamplers":
            return f"output_blocks.{block * (layers + 1) + layers}.{2 if attended[block] else 1}.{rest}"
        at = 1 + block * (layers + 1) + layer if way == "down" else block * (layers + 1) + layer
        side = "input" if way == "down" else "output"
        return f"{side}_blocks.{at}.{'1.' + rest if kind == 'attentions' else '0.' + _swapped(rest, _RESNET)}"
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name):
        resnet = found[1] == "resnets"
        return (
            f"middle_block.{2 * int(found[2]) if resnet else 1}.{_swapped(found[3], _RESNET) if resnet else found[3]}"
        )
    return _swapped(name, _ENDS)


def vae_tensor(name: str, tensor: Tensor, blocks: int) -> tuple[str, Tensor]:
    """A VAE's tensor; its attention was made of convolutions."""
    if ".mid_block.attentions.0." in name:
        old = (("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out"))
        wide = tensor[..., None, None] if tensor.ndim == 2 else tensor
        return _swapped(name.replace("mid_block.attentions.0", "mid.attn_1"), old), wide
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{blocks - 1 - int(m[1])}.block", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample", name)
    return name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut"), tensor


def second_text(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The second text encoder as open_clip has it: one projection for query, key and value."""
    found = {}
    for name, tensor in tensors.items():
        if ".q_proj." in name:
            kind = name.rsplit(".", maxsplit=1)[-1]
            parts = [tensors[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"]
            found[_swapped(name.split("self_attn")[0], _TEXT) + f"attn.in_proj_{kind}"] = torch.cat(parts)
        elif name == "text_projection.weight":
            found["text_projection"] = tensor.T.contiguous()
        elif ".k_proj." not in name and ".v_proj." not in name:
            found[_swapped(name, _TEXT)] = tensor
    return found


def _swapped(name: str, pairs: Sequence[tuple[str, str]]) -> str:
    for ours, theirs in pairs:
        name = name.replace(ours, theirs)
    return name
