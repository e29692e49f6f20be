"""The loss of the mini Grounding DINO, at the encoder's proposals and after every layer of the decoder.

transformers' own loss assigns the proposals one to one, and on small data its box terms stay flat and drown the rest.
Here the proposals learn as a dense detector does: every cell of a person learns the box, the few at its centre learn
the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from scipy.optimize import linear_sum_assignment
from torch import nn
from torch.nn import functional
from torchvision.ops import generalized_box_iou, sigmoid_focal_loss

from worker.mini.train.dino_batches import KIND_NUMBERS, Batch
from worker.mini.train.dino_phrases import TRAITS

if TYPE_CHECKING:
    from transformers import GroundingDinoForObjectDetection

# Carion et al., DETR, section 3.1, as used by DINO and Grounding DINO (config.bbox_cost, config.giou_cost).
_CLASS_COST, _L1_COST, _GIOU_COST = 2.0, 5.0, 2.0
# In the loss the words count three times as much: here boxes are easy and who is who is not.
_WEIGHTS = {"words": 6.0, "l1": 5.0, "giou": 2.0, "attributes": 3.0}
# A query this close to a person is no mistake: duplicates go with non-maximum suppression.
_SAME_PERSON_IOU = 0.6
_CENTRE_PX, _BAND_PX = 8.5, 16.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """One layer: logits (B, N, T), -inf at padding; boxes (B, N, 4), centre and size in 0..1; features (B, N, C)."""

    logits: torch.Tensor
    boxes: torch.Tensor
    features: torch.Tensor


class Detection(nn.Module):
    """A detector with its loss, and two heads, dropped later, that name kind and traits without any words."""

    def __init__(self, detector: GroundingDinoForObjectDetection) -> None:
        super().__init__()
        self.detector = detector
        width, names = detector.config.d_model, len(KIND_NUMBERS) + len(TRAITS)
        self.cell_attributes, self.query_attributes = nn.Linear(width, names), nn.Linear(width, names)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Scalar losses by name; `total` is the sum that is trained on."""
        proposals, layers = predict(self.detector, batch)
        dense = _dense_loss(proposals, batch, self.cell_attributes)
        terms = {f"encoder_{name}": value for name, value in dense.items()}
        for number, layer in enumerate(layers):
            matched = _matched_loss(layer, batch, self.query_attributes)
            terms |= {f"layer{number}_{name}": value for name, value in matched.items()}
        terms["total"] = torch.stack([_WEIGHTS[name.split("_")[1]] * value for name, value in terms.items()]).sum()
        return terms


def predict(model: GroundingDinoForObjectDetection, batch: Batch) -> tuple[Prediction, list[Prediction]]:
    """The encoder's proposals at every cell, and each decoder layer's predictions; the last one answers.

    The layers' heads are applied as in GroundingDinoForObjectDetection.forward, which gives only the last layer's.
    """
    out = model.model(
        pixel_values=batch.pixels, input_ids=batch.input_ids, attention_mask=batch.attention_mask, return_dict=True
    )
    tokens = batch.input_ids.shape[1]
    proposals = Prediction(
        logits=out.enc_outputs_class[..., :tokens],
        boxes=out.enc_outputs_coord_logits.sigmoid(),
        features=out.encoder_last_hidden_state_vision,
    )
    layers = []
    for level in range(out.intermediate_hidden_states.shape[1]):
        hidden = out.intermediate_hidden_states[:, level]
        reference = out.init_reference_points if level == 0 else out.intermediate_reference_points[:, level - 1]
        logits = model.class_embed[level](hidden, out.encoder_last_hidden_state_text, batch.attention_mask.bool())
        boxes = (model.bbox_embed[level](hidden) + torch.special.logit(reference, eps=1e-5)).sigmoid()
        layers.append(Prediction(logits=logits[..., :tokens], boxes=boxes, features=hidden))
    return proposals, layers


def _dense_loss(proposals: Prediction, batch: Batch, attributes: nn.Linear) -> dict[str, torch.Tensor]:
    cells, owners = _cells(batch)
    size = torch.tensor(batch.pixels.shape[-1:-3:-1])
    centres = batch.boxes[..., :2]
    distance = ((cells[None, :, None] - centres[:, None]) * size).abs().amax(-1)  # (B, N, P) in pixels
    distance = distance.masked_fill(~batch.present[:, None], float("inf"))
    nearest = distance.argmin(-1)
    closest = distance.gather(-1, nearest[..., None])[..., 0]
    rows = torch.arange(len(nearest))[:, None]
    denoted = batch.denotes[rows, nearest]
    target = denoted & (closest < _CENTRE_PX)[..., None]
    undecided = denoted & ((closest >= _CENTRE_PX) & (closest < _BAND_PX))[..., None]
    words = _words_loss(proposals.logits, target, batch, ignored=undecided)
    return {"words": words, **_person_loss(proposals, batch, owners - 1, attributes)}


def _matched_loss(layer: Prediction, batch: Batch, attributes: nn.Linear) -> dict[str, torch.Tensor]:
    wanted = batch.present & batch.denotes.any(-1)
    owner = torch.full(layer.boxes.shape[:2], -1)
    overlap = torch.stack(
        [_giou(boxes, people) for boxes, people in zip(layer.boxes.detach(), batch.boxes, strict=True)]
    )
    overlap = overlap.masked_fill(~wanted[:, None], -1)
    best, person = overlap.max(-1)
    owner = torch.where(best > _SAME_PERSON_IOU, person, owner)
    probability = layer.logits.detach().sigmoid()
    for row in range(len(owner)):
        people = torch.nonzero(wanted[row])[:, 0]
        if len(people):
            spoken = batch.denotes[row, people].float()
            likeness = probability[row] @ spoken.T / spoken.sum(-1)
            distance = torch.cdist(layer.boxes[row].detach(), batch.boxes[row, people], p=1)
            cost = -_CLASS_COST * likeness + _L1_COST * distance - _GIOU_COST * overlap[row][:, people]
            queries, which = linear_sum_assignment(cost.numpy())
            owner[row, torch.from_numpy(queries)] = people[torch.from_numpy(which)]
    rows = torch.arange(len(owner))[:, None]
    target = batch.denotes[rows, owner.clamp(min=0)] & (owner >= 0)[..., None]
    words = _words_loss(layer.logits, target, batch, ignored=torch.zeros_like(target))
    return {"words": words, **_person_loss(layer, batch, owner, attributes)}


def _words_loss(logits: torch.Tensor, target: torch.Tensor, batch: Batch, *, ignored: torch.Tensor) -> torch.Tensor:
    """Focal loss over the real tokens, by the number of true ones (Lin et al., section 3.2: alpha 0.25, gamma 2)."""
    counted = batch.attention_mask.bool()[:, None] & ~ignored
    focal: torch.Tensor = sigmoid_focal_loss(
        logits[counted], target[counted].float(), alpha=0.25, gamma=2.0, reduction="sum"
    )
    return focal / target.sum().clamp(min=1)


def _person_loss(
    layer: Prediction, batch: Batch, owner: torch.Tensor, attributes: nn.Linear
) -> dict[str, torch.Tensor]:
    """Box and attributes of the person (B, N) that each cell or query belongs to; -1 belongs to nobody."""
    owned = owner >= 0
    rows, picked = torch.arange(len(owner))[:, None], owner.clamp(min=0)
    if not owned.any():
        nothing = layer.boxes.sum() * 0
        return {"l1": nothing, "giou": nothing, "attributes": nothing}
    boxes, truth = layer.boxes[owned], batch.boxes[rows, picked][owned]
    named, own = attributes(layer.features[owned]), batch.attributes[rows, picked][owned]
    return {
        "l1": functional.l1_loss(boxes, truth, reduction="none").sum(-1).mean(),
        "giou": (1 - _paired_giou(boxes, truth)).mean(),
        "attributes": functional.binary_cross_entropy_with_logits(named, own),
    }


def _giou(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    overlap: torch.Tensor = generalized_box_iou(_corners(boxes), _corners(others))
    return overlap


def _paired_giou(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Generalised IoU (Rezatofighi et al., 2019, algorithm 1) of box i with other i."""
    a, b = _corners(boxes), _corners(others)
    inner = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    outer = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(-1)
    union = boxes[:, 2:].prod(-1) + others[:, 2:].prod(-1) - inner
    return inner / union - (outer - union) / outer


def _corners(boxes: torch.Tensor) -> torch.Tensor:
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def _cells(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres (N, 2) in 0..1 of the cells of both levels, in the encoder's order, and the owner (B, N) at each."""
    height_px, width_px = batch.pixels.shape[-2:]
    centres, owners = [], []
    for stride in (8, 16):
        ys, xs = (torch.arange(stride // 2, side, stride) for side in (height_px, width_px))
        grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], dim=-1).view(-1, 2)
        centres.append(grid / torch.tensor([width_px, height_px]))
        owners.append(batch.owners[:, ys][:, :, xs].flatten(1))
    return torch.cat(centres), torch.cat(owners, dim=1)
