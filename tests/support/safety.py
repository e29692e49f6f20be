"""A safety checker's checkpoint as it was published, but tiny: random weights, thresholds as a test wants them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig

# Cosines are within -1 and 1.
ALWAYS, NEVER = -2.0, 2.0
_SIDE_PX = 32


def configuration() -> CLIPConfig:
    """Of the tiny network."""
    words = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    eyes = {**words, "hidden_size": 16, "num_attention_heads": 2, "image_size": _SIDE_PX, "patch_size": 8}
    return CLIPConfig(text_config=words, vision_config=eyes, projection_dim=8)


def write_safety(folder: Path, threshold: float) -> Path:
    """The folder with a checker that forbids what is nearer than this to any of its concepts."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network = StableDiffusionSafetyChecker(configuration())
    weights = {
        # As the published file names them: saved by a transformers with one level more, and its table of positions.
        name.replace("vision_model.", "vision_model.vision_model.", 1): tensor
        for name, tensor in network.state_dict().items()
    }
    weights["vision_model.vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    weights["concept_embeds"] = torch.randn(17, 8)
    weights["special_care_embeds"] = torch.randn(3, 8)
    weights["concept_embeds_weights"] = torch.full((17,), threshold)
    weights["special_care_embeds_weights"] = torch.full((3,), NEVER)
    torch.save(weights, folder / "pytorch_model.bin")
    configuration().save_pretrained(folder)
    extractor = {
        "feature_extractor_type": "CLIPFeatureExtractor",
        "do_resize": True,
        "size": _SIDE_PX,
        "resample": 3,
        "do_center_crop": True,
        "crop_size": _SIDE_PX,
        "do_normalize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    return folder
