"""Checkpoint files of full size that use no disk: a real header, then a sparse file of zeros for the weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.support.published import published_networks

_CODES = {torch.float16: ("F16", 2), torch.float32: ("F32", 4), torch.int64: ("I64", 8)}


def write_sparse(path: Path, layout: Mapping[str, Tensor], dtype: torch.dtype = torch.float16) -> None:
    """A safetensors file with these names and shapes (format: github.com/huggingface/safetensors, README)."""
    code, size = _CODES[dtype]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in layout.items():
        end = at + size * math.prod(tensor.shape)
        header[name] = {"dtype": code, "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    words = json.dumps(header).encode()
    words += b" " * (-len(words) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(words).to_bytes(8, "little") + words)
        file.truncate(8 + len(words) + at)


def published_resampler() -> dict[str, tuple[int, ...]]:
    """The Resampler's tensors as InstantX/InstantID's ip-adapter.bin names them (its ip_adapter/resampler.py)."""
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, 16, 1280),
        "proj_in.weight": (1280, 512),
        "proj_in.bias": (1280,),
        "proj_out.weight": (2048, 1280),
        "proj_out.bias": (2048,),
        "norm_out.weight": (2048,),
        "norm_out.bias": (2048,),
    }
    for layer in range(4):
        attention, feed_forward = f"layers.{layer}.0", f"layers.{layer}.1"
        for norm in ("norm1", "norm2"):
            shapes |= {f"{attention}.{norm}.{kind}": (1280,) for kind in ("weight", "bias")}
        shapes[f"{attention}.to_q.weight"] = (1280, 1280)
        shapes[f"{attention}.to_kv.weight"] = (2560, 1280)
        shapes[f"{attention}.to_out.weight"] = (1280, 1280)
        shapes |= {f"{feed_forward}.0.{kind}": (1280,) for kind in ("weight", "bias")}
        shapes[f"{feed_forward}.1.weight"] = (5120, 1280)
        shapes[f"{feed_forward}.3.weight"] = (1280, 5120)
    return shapes


def write_published_generator(folder: Path, tokenizers: Path) -> None:
    """The generation part of the `sdxl` bundle at full size, in the published layout, half precision.

    tokenizers: an SDXL folder whose tokenizers and scheduler do. Each file takes only its header on disk.
    """
    networks = published_networks()
    for part, stem in (
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
        ("text_encoder_2", "model"),
    ):
        layout = dict(networks[part].state_dict())
        if part == "text_encoder":
            # The published file is older than the flattened CLIPTextModel.
            layout = {f"text_model.{name}": tensor for name, tensor in layout.items()}
        save = networks[part].config.save_pretrained if part.startswith("text") else networks[part].save_config
        save(folder / "sdxl" / part)
        write_sparse(folder / "sdxl" / part / f"{stem}.fp16.safetensors", layout)
    for part in ("tokenizer", "tokenizer_2", "scheduler", "model_index.json"):
        (folder / "sdxl" / part).symlink_to(tokenizers / part)
    networks["identitynet"].save_config(folder / "identitynet")
    write_sparse(folder / "identitynet" / "diffusion_pytorch_model.safetensors", networks["identitynet"].state_dict())
