"""Grounding DINO: where in a picture is "the woman on the left"?

One protocol, `PhraseDetector`, and several engines, which `load_dino` chooses by name. The engines share what is here:
how phrases become one caption, which tokens belong to which phrase, and how logits and relative boxes become scored
boxes in pixels. transformers' port is the default; the authors' own package is in dino_original.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers import AutoImageProcessor, AutoTokenizer, GroundingDinoForObjectDetection

from shared.errors import BundleError
from worker.concepts.boxes import Candidate
from worker.concepts.places import without_place
from worker.models.weights import Mismatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

# Candidates with a lower score are noise; `assign` has its own, higher threshold.
FLOOR = 0.05
_ANYBODY = "a person"
_SEPARATORS = str.maketrans({".": " ", "?": " "})


class PhraseDetector(Protocol):
    """Finds people in a picture by phrases."""

    def detect(self, picture: Image.Image, phrases: Sequence[str]) -> list[list[Candidate]]:
        """For each phrase its candidates, best first, boxes in pixels of `picture`.

        Raises ValueError for an empty phrase and for more words than the text encoder takes.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class PhraseDetections:
    """candidates: one list a phrase, best first. everybody: all people, when a phrase with a place counts them."""

    candidates: list[list[Candidate]]
    everybody: list[Candidate]


def detect_phrases(detector: PhraseDetector, picture: Image.Image, phrases: Sequence[str]) -> PhraseDetections:
    """Detects each phrase alone and without its place words, and all people when a phrase has place words.

    Phrases in one query disturb each other: of five people the mini detector then finds a third as many. Places are
    assigned afterwards, by counting. Raises the errors of `PhraseDetector.detect`.
    """
    bare = [without_place(phrase) for phrase in phrases]
    counted = any(without != " ".join(phrase.lower().split()) for without, phrase in zip(bare, phrases, strict=True))
    asked = dict.fromkeys([*bare, *([_ANYBODY] if counted else [])])
    found = {words: detector.detect(picture, [words])[0] for words in asked}
    return PhraseDetections(candidates=[found[words] for words in bare], everybody=found.get(_ANYBODY, []))


@dataclass(frozen=True, kw_only=True)
class Caption:
    """Several phrases as one caption. text: for the tokenizer; rows: the group of tokens of each phrase."""

    text: str
    rows: tuple[int, ...]


def caption_of(phrases: Sequence[str]) -> Caption:
    """The phrases in lower case, each closed by a full stop, equal ones once.

    The full stops keep each phrase's tokens to themselves; without the last one, the last phrase's tokens stop
    attending to each other. Full stops and question marks inside a phrase would split it, so they are removed.
    Raises ValueError for a phrase without a word, and for no phrase.
    """
    clean = [" ".join(phrase.lower().translate(_SEPARATORS).split()) for phrase in phrases]
    for phrase, given in zip(clean, phrases, strict=True):
        if not phrase:
            raise ValueError(f"the phrase {given!r} has no words to look for")
    if not clean:
        raise ValueError("no phrases to look for")
    unique = list(dict.fromkeys(clean))
    return Caption(text=" . ".join(unique) + " .", rows=tuple(unique.index(phrase) for phrase in clean))


def token_groups(input_ids: Sequence[int], separator: int, limit: int) -> list[slice]:
    """The tokens of each phrase: between [CLS] and the first full stop, then from one full stop to the next.

    Raises ValueError when there are more tokens than `limit`: the detector would silently cut them off.
    """
    if len(input_ids) > limit:
        raise ValueError(f"the phrases are {len(input_ids)} tokens long together; the detector reads {limit}")
    stops = [index for index, token in enumerate(input_ids) if token == separator]
    return [slice(start + 1, stop) for start, stop in zip([0, *stops], stops, strict=False)]


def candidates_of(
    logits: torch.Tensor, boxes: torch.Tensor, groups: Sequence[slice], size_px: tuple[int, int]
) -> list[list[Candidate]]:
    """Scored boxes for each group of tokens, best first.

    logits: (queries, tokens). boxes: (queries, 4), centre and size as shares of the picture. size_px: width and height.
    A phrase's score is the greatest probability among its tokens (Liu et al., Grounding DINO, section 3.4).
    """
    width_px, height_px = size_px
    relative = boxes.float().cpu()
    centre, size = relative[:, :2], relative[:, 2:]
    corners = torch.cat([centre - size / 2, centre + size / 2], dim=-1).clamp(0, 1)
    corners = corners * torch.tensor([width_px, height_px, width_px, height_px])
    probability = logits.float().cpu().sigmoid()
    found = []
    for group in groups:
        score = probability[:, group].amax(-1)
        order = torch.argsort(score, descending=True, stable=True)
        found.append(
            [
                Candidate(box_px=_box(corners[query]), score=float(score[query]))
                for query in order.tolist()
                if score[query] >= FLOOR
            ]
        )
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class TransformersDino:
    """Grounding DINO of transformers."""

    model: GroundingDinoForObjectDetection
    tokenizer: Any
    image_processor: Any

    @torch.inference_mode()
    def detect(self, picture: Image.Image, phrases: Sequence[str]) -> list[list[Candidate]]:
        """See PhraseDetector.detect."""
        caption = caption_of(phrases)
        text = self.tokenizer([caption.text], return_tensors="pt")
        groups = token_groups(
            text["input_ids"][0].tolist(),
            self.tokenizer.convert_tokens_to_ids("."),
            self.model.config.max_text_len,
        )
        image = self.image_processor(images=picture.convert("RGB"), return_tensors="pt")
        out = self.model(
            pixel_values=image["pixel_values"].to(self.model.device, self.model.dtype),
            pixel_mask=image["pixel_mask"].to(self.model.device) if "pixel_mask" in image else None,
            input_ids=text["input_ids"].to(self.model.device),
            attention_mask=text["attention_mask"].to(self.model.device),
        )
        found = candidates_of(out.logits[0], out.pred_boxes[0], groups, picture.size)
        return [found[row] for row in caption.rows]


def load_dino(engine: str, folder: Path, device: torch.device) -> PhraseDetector:
    """The detector of an engine (setting TROUPE_DINO_ENGINE), from the folder that the catalog names for it.

    Raises OSError when a file is missing, BundleError when the weights do not fit.
    """
    if engine == "original":
        # Its import patches other packages and warns, so only those who choose this engine pay for it.
        from worker.models.dino_original import load_original_dino  # noqa: PLC0415

        return load_original_dino(folder, device)
    return load_transformers_dino(folder, device, torch.float32)


def load_transformers_dino(folder: Path, device: torch.device | str, dtype: torch.dtype) -> PhraseDetector:
    """The detector of a folder laid out like IDEA-Research/grounding-dino-tiny or -base. Never asks the network.

    Raises OSError when a file is missing, BundleError when the weights do not fit the configuration.
    """
    # The types of the Auto classes describe a download from a hub, not a folder.
    from_folder: Any = AutoImageProcessor
    # transformers fills missing tensors with random numbers and ignores unknown ones, so both are checked here.
    model, report = GroundingDinoForObjectDetection.from_pretrained(
        folder, dtype=dtype, local_files_only=True, output_loading_info=True
    )
    missing, unexpected = sorted(report["missing_keys"]), sorted(report["unexpected_keys"])
    wrong = Mismatch(missing=tuple(missing), shapes=(), unexpected=tuple(unexpected))
    if wrong:
        raise BundleError(f"checkpoint {folder / 'model.safetensors'} does not fit its configuration: {wrong}")
    return TransformersDino(
        model=model.eval().to(device),
        tokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True),
        image_processor=from_folder.from_pretrained(folder, local_files_only=True),
    )


def _box(corners: torch.Tensor) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = corners.tolist()
    return (x1, y1, x2, y2)
