"""The first training stage of the mini Grounding DINO: backbone and text alone learn to see what words mean.

Detection from scratch is slow; segmentation is not. Every cell of the backbone's maps is told which words denote the
person it lies on, and that person's kind and traits. The heads below are dropped afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss
from transformers.models.grounding_dino.modeling_grounding_dino import (
    generate_masks_with_special_tokens_and_transfer_map,
)

from worker.mini.train.dino_batches import KIND_NUMBERS, Batch
from worker.mini.train.dino_phrases import TRAITS

if TYPE_CHECKING:
    from transformers import GroundingDinoForObjectDetection

_STRIDES_PX = (8, 16)


class Alignment(nn.Module):
    """Backbone and text of a detector with three small heads: words, attributes, and whether anybody is there."""

    def __init__(self, detector: GroundingDinoForObjectDetection) -> None:
        super().__init__()
        width = detector.config.d_model
        self.detector = detector.model
        self.words = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.attributes = nn.Linear(width, len(KIND_NUMBERS) + len(TRAITS) + 1)
        self.bias = nn.Parameter(torch.tensor(-3.0))

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Scalar losses by name, with their sum as `total`."""
        model = self.detector
        mask = torch.ones(batch.owners.shape, dtype=torch.long)
        maps, positions = model.backbone(batch.pixels, mask)
        text = self._text(batch)
        terms: dict[str, torch.Tensor] = {}
        for level, ((source, _), position) in enumerate(zip(maps, positions, strict=True)):
            cells = (model.input_proj_vision[level](source) + position).flatten(2).transpose(1, 2)
            cells = cells + model.level_embed[level]
            start, step = _STRIDES_PX[level] // 2, _STRIDES_PX[level]
            owners = batch.owners[:, start::step, start::step].flatten(1)
            somebody = owners > 0
            rows, picked = torch.arange(len(owners))[:, None], (owners - 1).clamp(min=0)
            target = batch.denotes[rows, picked] & somebody[..., None]
            logits = self.words(cells) @ text.transpose(1, 2) / cells.shape[-1] ** 0.5 + self.bias
            real = batch.attention_mask.bool()[:, None].expand_as(target)
            focal = sigmoid_focal_loss(logits[real], target[real].float(), alpha=0.4, reduction="sum")
            terms[f"words{level}"] = focal / target.sum().clamp(min=1) * 4
            seen = self.attributes(cells)
            terms[f"somebody{level}"] = functional.binary_cross_entropy_with_logits(seen[..., -1], somebody.float())
            own = batch.attributes[rows, picked][somebody]
            terms[f"attributes{level}"] = 3 * functional.binary_cross_entropy_with_logits(seen[..., :-1][somebody], own)
        terms["total"] = torch.stack(list(terms.values())).sum()
        return terms

    def _text(self, batch: Batch) -> torch.Tensor:
        """Text features (B, T, width) before fusion, each phrase on its own, as in GroundingDinoModel.forward."""
        model = self.detector
        visible, position_ids = generate_masks_with_special_tokens_and_transfer_map(
            cast("torch.LongTensor", batch.input_ids), special_tokens=model.special_tokens
        )
        out = model.text_backbone(
            batch.input_ids, visible[:, None], torch.zeros_like(batch.input_ids), position_ids, return_dict=True
        )
        features: torch.Tensor = model.text_projection(out.last_hidden_state)
        return features
