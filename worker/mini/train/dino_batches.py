"""Training batches for the mini Grounding DINO: scenes warped and degraded, captions, and who each token denotes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from worker.mini.train.dino_phrases import TRAITS, Person, denoted, draw_phrases

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import BertTokenizer

    from worker.mini.train.dataset import Scenes

MOST_PEOPLE = 5
KIND_NUMBERS = {"man": 0, "woman": 1, "child": 2}
# Share of the batches and pictures in one, by width: about the same work each.
_WIDTHS = {128: (0.5, 16), 192: (0.2, 12), 256: (0.3, 8)}
# ImageNet's statistics, as in the published preprocessing.
_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
_DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """B pictures of one size, with T tokens and up to P people.

    pixels (B, 3, H, W) normalised; input_ids and attention_mask (B, T); boxes (B, P, 4) as centre and size in 0..1;
    present (B, P) whether there is such a person; denotes (B, P, T) whether the token's phrase denotes the person;
    owners (B, H, W) long, 0 for the place, i + 1 for person i; attributes (B, P, 3 + traits) 0 or 1.
    """

    pixels: torch.Tensor
    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    boxes: torch.Tensor
    present: torch.Tensor
    denotes: torch.Tensor
    owners: torch.Tensor
    attributes: torch.Tensor


def draw_batch(
    sets: Mapping[int, Scenes], tokenizer: BertTokenizer, rng: np.random.Generator, *, clean_share: float
) -> Batch:
    """A batch of one width, half of the pictures mirrored, each with its own warp, degradation and caption.

    clean_share: how many of the pictures are left as they were drawn.
    """
    widths = [width for width in _WIDTHS if width in sets]
    shares = np.array([_WIDTHS[width][0] for width in widths])
    scenes = sets[widths[int(rng.choice(len(widths), p=shares / shares.sum()))]]
    height_px, width_px = scenes.pictures.shape[1:3]
    rows = np.sort(rng.choice(len(scenes.labels), _WIDTHS[width_px][1], replace=False))
    pictures, owners, casts = [], [], []
    for row in rows:
        picture, owner = scenes.pictures[row], scenes.owners[row]
        people = [
            Person(kind=figure["kind"], traits=tuple(figure["traits"]), box_px=tuple(figure["box"]))
            for figure in scenes.labels[row]["figures"]
        ]
        if rng.random() < 0.5:
            picture, owner = picture[:, ::-1], owner[:, ::-1]
            people = [_mirrored(person, width_px) for person in reversed(people)]
            owner = np.where(owner > 0, len(people) + 1 - owner.astype(np.int64), 0)
        pictures.append(np.ascontiguousarray(picture))
        owners.append(owner.astype(np.int64))
        casts.append(people)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    boxes, present = _boxes(casts, width_px, height_px)
    pixels, owner_maps, boxes = _warp(pixels, torch.from_numpy(np.stack(owners)), boxes, generator)
    pixels = torch.where(_some(len(rows), clean_share, generator), pixels, degrade(pixels, generator))
    input_ids, attention_mask, denotes = _captions(casts, tokenizer, rng)
    return Batch(
        pixels=(pixels - _MEAN) / _DEVIATION,
        input_ids=input_ids,
        attention_mask=attention_mask,
        boxes=boxes,
        present=present,
        denotes=denotes,
        owners=owner_maps,
        attributes=_attributes(casts),
    )


def degrade(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pictures (B, 3, H, W) in 0..1 as a mediocre generator might leave them.

    Blur or down- and up-sampling by 2 to 4, another colour, contrast and light, noise, and blotches of a flat colour.
    """
    count, _, height_px, width_px = pixels.shape
    out = pixels
    for factor in (2.0, 3.0, 4.0):
        small = functional.interpolate(pixels, scale_factor=1 / factor, mode="area")
        coarse = functional.interpolate(small, size=(height_px, width_px), mode="bilinear")
        out = torch.where(_some(count, 0.16, generator), coarse, out)
    blurred = functional.avg_pool2d(functional.pad(out, (1, 1, 1, 1), mode="replicate"), 3, 1)
    out = torch.where(_some(count, 0.25, generator), blurred, out)
    colour = 1 + 0.25 * (torch.rand(count, 3, 1, 1, generator=generator) - 0.5)
    light = 0.2 * (torch.rand(count, 1, 1, 1, generator=generator) - 0.5)
    contrast = 1 + 0.4 * (torch.rand(count, 1, 1, 1, generator=generator) - 0.5)
    tinted = ((out - 0.5) * contrast + 0.5) * colour + light
    out = torch.where(_some(count, 0.6, generator), tinted, out)
    noise = torch.randn(out.shape, generator=generator) * 0.06 * torch.rand(count, 1, 1, 1, generator=generator)
    cells = torch.randn(count, 3, height_px // 8, width_px // 8, generator=generator) * 0.05
    smear = functional.interpolate(cells, size=(height_px, width_px), mode="bicubic")
    out = out + torch.where(_some(count, 0.5, generator), noise, torch.zeros(()))
    out = out + torch.where(_some(count, 0.4, generator), smear, torch.zeros(()))
    for index in range(count):
        if torch.rand((), generator=generator) < 0.3:
            side = int(torch.randint(6, 22, (), generator=generator))
            top = int(torch.randint(height_px - side, (), generator=generator))
            left = int(torch.randint(width_px - side, (), generator=generator))
            out[index, :, top : top + side, left : left + side] = torch.rand(3, 1, 1, generator=generator)
    return out.clamp(0, 1)


def _warp(
    pixels: torch.Tensor, owners: torch.Tensor, boxes: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Zoom by up to 12 %, move by up to 4 % and ripple by a pixel or two; the boxes follow zoom and move."""
    count, _, height_px, width_px = pixels.shape
    zoom = 1 + 0.24 * (torch.rand(count, 2, generator=generator) - 0.5)
    move = 0.16 * (torch.rand(count, 2, generator=generator) - 0.5)
    ys = (torch.arange(height_px) + 0.5) * 2 / height_px - 1
    xs = (torch.arange(width_px) + 0.5) * 2 / width_px - 1
    grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], dim=-1)
    grid = grid[None] * zoom[:, None, None] + move[:, None, None]
    ripple = torch.randn(count, 2, 5, 5, generator=generator) * 0.012
    ripple = ripple * _some(count, 0.5, generator)
    grid = grid + functional.interpolate(ripple, size=(height_px, width_px), mode="bicubic").permute(0, 2, 3, 1)
    warped = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    maps = functional.grid_sample(
        owners[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    # At p the picture shows what was at zoom * p + move, both in -1..1; so an old edge q lands at (q - move) / zoom.
    centre, size = boxes[..., :2], boxes[..., 2:]
    corners = torch.cat([centre - size / 2, centre + size / 2], dim=-1) * 2 - 1
    corners = (corners - move.repeat(1, 2)[:, None]) / zoom.repeat(1, 2)[:, None]
    corners = ((corners + 1) / 2).clamp(0, 1)
    low, high = corners[..., :2], corners[..., 2:]
    # Busts end at the lower edge of the picture; the border is continued there, so the box is too.
    cut = boxes[..., 1] + boxes[..., 3] / 2 > 0.99
    high = torch.stack([high[..., 0], torch.where(cut, torch.ones(()), high[..., 1])], dim=-1)
    return warped, maps[:, 0].long(), torch.cat([(low + high) / 2, high - low], dim=-1)


def _captions(
    casts: list[list[Person]], tokenizer: BertTokenizer, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    drawn = [draw_phrases(people, rng) for people in casts]
    captions = [" . ".join(phrase.text for phrase in phrases) + " ." for phrases in drawn]
    tokens = tokenizer(captions, padding=True, return_tensors="pt")
    denotes = torch.zeros(len(casts), MOST_PEOPLE, tokens["input_ids"].shape[1], dtype=torch.bool)
    for index, (phrases, people) in enumerate(zip(drawn, casts, strict=True)):
        start = 1
        for phrase in phrases:
            stop = start + len(phrase.text.split())
            for person in denoted(phrase, people) or ():
                denotes[index, person, start:stop] = True
            start = stop + 1
    return tokens["input_ids"], tokens["attention_mask"], denotes


def _boxes(casts: list[list[Person]], width_px: int, height_px: int) -> tuple[torch.Tensor, torch.Tensor]:
    boxes = torch.full((len(casts), MOST_PEOPLE, 4), 0.5)
    present = torch.zeros(len(casts), MOST_PEOPLE, dtype=torch.bool)
    for index, people in enumerate(casts):
        for number, person in enumerate(people):
            x1, y1, x2, y2 = person.box_px
            centre_and_size = [(x1 + x2) / 2 / width_px, (y1 + y2) / 2 / height_px]
            centre_and_size += [(x2 - x1) / width_px, (y2 - y1) / height_px]
            boxes[index, number] = torch.tensor(centre_and_size)
            present[index, number] = True
    return boxes, present


def _attributes(casts: list[list[Person]]) -> torch.Tensor:
    attributes = torch.zeros(len(casts), MOST_PEOPLE, len(KIND_NUMBERS) + len(TRAITS))
    for index, people in enumerate(casts):
        for number, person in enumerate(people):
            attributes[index, number, KIND_NUMBERS[person.kind]] = 1
            for trait in person.traits:
                attributes[index, number, len(KIND_NUMBERS) + TRAITS.index(trait)] = 1
    return attributes


def _mirrored(person: Person, width_px: int) -> Person:
    x1, y1, x2, y2 = person.box_px
    return Person(kind=person.kind, traits=person.traits, box_px=(width_px - x2, y1, width_px - x1, y2))


def _some(count: int, share: float, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(count, 1, 1, 1, generator=generator) < share
