"""LoRAs of SDXL's networks: loaded once by diffusers and peft, applied and removed between jobs.

They are never merged into the weights, so a network without LoRAs is bitwise the original.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffusers import StableDiffusionXLPipeline
from diffusers.utils.state_dict_utils import (
    convert_state_dict_to_diffusers,
    convert_state_dict_to_peft,
    convert_unet_state_dict_to_peft,
)
from peft.tuners.lora import LoraLayer
from torch import nn

from shared.errors import BundleError
from shared.loras import AllowedLora
from shared.orders import AppliedLora
from worker.models.weights import Tensors, checkpoint, file_tensors

_NETWORKS = ("unet", "text_encoder", "text_encoder_2")
# Tensors of other kinds of adapters; diffusers would silently ignore some of them.
_OTHER_KINDS = ("dora_scale", "lokr_", "hada_", "lora_mid")


@dataclass(frozen=True, kw_only=True)
class Loras:
    """The loaded LoRAs. files: name -> sha256 (hex) of the file; networks: those that a LoRA may change."""

    files: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[nn.Module, ...] = ()

    def apply(self, applied: Sequence[AppliedLora]) -> None:
        """Applies these LoRAs and removes all others."""
        scales = {one.name: one.scale for one in applied}
        for network in self.networks:
            for module in network.modules():
                if not isinstance(module, LoraLayer):
                    continue
                own = [name for name in scales if name in module.lora_A]
                for name in own:
                    module.set_scale(name, scales[name])
                # Without LoRAs of its own the layer is plain; `enable_adapters` would make applied ones trainable.
                module.set_adapter(own, inference_mode=True)


def load_loras(pipeline: StableDiffusionXLPipeline, allowed: Mapping[str, AllowedLora]) -> Loras:
    """Loads every allowed file, applies none. Raises BundleError, naming the file and the first wrong tensor."""
    files = {}
    for name, one in allowed.items():
        path = Path(one.file)
        files[name] = _load(pipeline, name, path)
    networks = tuple(getattr(pipeline, name) for name in _NETWORKS)
    found = Loras(files=files, networks=networks if files else ())
    for network in found.networks:
        network.requires_grad_(requires_grad=False)
    found.apply(())
    return found


def _load(pipeline: StableDiffusionXLPipeline, name: str, path: Path) -> str:
    tensors = file_tensors(path)
    with checkpoint(path):
        for key in tensors:
            if any(kind in key for kind in _OTHER_KINDS):
                raise BundleError(f"LoRA {path} is of an unsupported kind: it contains {key}")
        converted, _, _ = pipeline.lora_state_dict(
            dict(tensors), unet_config=pipeline.unet.config, return_lora_metadata=True
        )
        _check(pipeline, converted, path)
        with warnings.catch_warnings():
            # Several LoRAs in one network are intended.
            warnings.filterwarnings("ignore", message="Already found a `peft_config`", category=UserWarning)
            pipeline.load_lora_weights(dict(tensors), adapter_name=name)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(pipeline: StableDiffusionXLPipeline, converted: Tensors, path: Path) -> None:
    """Checks that every tensor fits a layer of a network, and that every layer has both its matrices."""
    left = dict(converted)
    for part in _NETWORKS:
        own = {key.removeprefix(f"{part}."): left.pop(key) for key in converted if key.startswith(f"{part}.")}
        network = getattr(pipeline, part)
        named = _renamed(part, network, own)
        for key, tensor in named.items():
            module, _, matrix = key.rpartition(".lora_")
            layer = _layer(network, module)
            if layer is None or matrix not in {"A.weight", "B.weight"}:
                raise BundleError(f"LoRA {path} does not fit: {part} has no layer for {key}")
            wide = layer.weight.shape
            fits = tensor.shape[1:] == wide[1:] if matrix == "A.weight" else tensor.shape[0] == wide[0]
            if not fits:
                found = f"{tuple(tensor.shape)}, and the layer {tuple(wide)}"
                raise BundleError(f"LoRA {path} does not fit: {part}.{key} is {found}")
            other = f"{module}.lora_{'B' if matrix == 'A.weight' else 'A'}.weight"
            if other not in named:
                raise BundleError(f"LoRA {path} is incomplete: {part}.{other} is missing")
    if left or not converted:
        raise BundleError(
            f"LoRA {path} does not fit: {next(iter(left), 'it holds no tensor')} is of no network of SDXL"
        )


def _renamed(part: str, network: nn.Module, own: Tensors) -> dict[str, Any]:
    """The tensors with the names that peft gives them."""
    if not own:
        return {}
    if part == "unet":
        return dict(own if any("lora_A" in key for key in own) else convert_unet_state_dict_to_peft(dict(own)))
    found = convert_state_dict_to_peft(convert_state_dict_to_diffusers(dict(own)))
    # transformers 5.6 took one level out of CLIPTextModel.
    if not hasattr(network, "text_model"):
        found = {key.removeprefix("text_model."): tensor for key, tensor in found.items()}
    return dict(found)


def _layer(network: nn.Module, name: str) -> Any:
    """The plain layer with this name, also below a LoRA that was applied before."""
    try:
        layer: Any = network.get_submodule(name)
    except AttributeError:
        return None
    layer = layer.base_layer if isinstance(layer, LoraLayer) else layer
    return layer if isinstance(layer, nn.Linear | nn.Conv2d) else None
