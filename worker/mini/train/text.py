"""Make the tokenizer of the world's words and teach both text encoders to say what a caption shows.

    python -m worker.mini.train.text --steps 1500

From the states that the UNet will read (the last but one layer of each encoder, side by side) and from the pooled
state, heads must name the place, the night, and for each person from left to right the kind and the traits named.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer as WordPieces
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from worker.mini.identity import HAIR_COLOURS
from worker.mini.train.dataset import load
from worker.mini.train.generator import Training, averaged_state
from worker.mini.train.generator_shapes import CONTEXT_WIDTH, TEXT_TOKENS, TEXT_WIDTH, text_config
from worker.mini.world import KINDS, PLACES, VOCABULARY

_SLOTS = 5
_LAYERS = 3
_TRAITS = ("with glasses", "with a beard", "with a moustache", *(f"with {colour} hair" for colour in HAIR_COLOURS))


@dataclass(frozen=True, kw_only=True, eq=False)
class Text:
    """One tokenizer serves both encoders, which differ only in their start and the second's projection."""

    tokenizer: CLIPTokenizer
    first: CLIPTextModel
    second: CLIPTextModelWithProjection

    def encode(self, captions: list[str]) -> tuple[Tensor, Tensor]:
        """States (N, TEXT_TOKENS, CONTEXT_WIDTH) and pooled (N, TEXT_WIDTH), as SDXL's `encode_prompt`."""
        ids = self.tokenizer(
            captions, padding="max_length", max_length=TEXT_TOKENS, truncation=True, return_tensors="pt"
        ).input_ids
        first = self.first(ids, output_hidden_states=True)
        second = self.second(ids, output_hidden_states=True)
        return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1), second.text_embeds


def new_tokenizer() -> CLIPTokenizer:
    """A CLIP tokenizer in which every word of the world is one token; other words fall into letters."""
    learned = WordPieces(BPE(end_of_word_suffix="</w>"))
    trainer = BpeTrainer(
        vocab_size=4096,
        min_frequency=1,
        end_of_word_suffix="</w>",
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    learned.train_from_iterator(VOCABULARY, trainer)
    model = json.loads(learned.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    endings = [letter + "</w>" for letter in sorted(ByteLevel.alphabet())]
    for token in (*endings, "<|startoftext|>", "<|endoftext|>"):
        vocabulary.setdefault(token, len(vocabulary))
    merges = [tuple(merge) for merge in model["merges"]]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=TEXT_TOKENS)


def new_text() -> Text:
    """The untrained encoders with their tokenizer."""
    tokenizer = new_tokenizer()
    config = text_config(
        vocabulary=len(tokenizer), begin=tokenizer.bos_token_id, end=tokenizer.eos_token_id, layers=_LAYERS
    )
    return Text(tokenizer=tokenizer, first=CLIPTextModel(config), second=CLIPTextModelWithProjection(config))


def load_text(folder: Path) -> Text:
    """The saved encoders under an SDXL folder, frozen."""
    text = Text(
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        first=CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32),
        second=CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2", dtype=torch.float32),
    )
    text.first.requires_grad_(requires_grad=False).eval()
    text.second.requires_grad_(requires_grad=False).eval()
    return text


class Reader(nn.Module):
    """What must be told of a caption: place, night, and kind and traits of the people from left to right."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(_SLOTS + 1, CONTEXT_WIDTH) * 0.1)
        self.attend = nn.MultiheadAttention(CONTEXT_WIDTH, 4, batch_first=True)
        self.person = nn.Linear(CONTEXT_WIDTH, len(KINDS) + 1 + len(_TRAITS))
        self.setting = nn.Linear(CONTEXT_WIDTH, len(PLACES) + 1)
        self.pooled = nn.Linear(TEXT_WIDTH, len(PLACES) + 1 + _SLOTS * (len(KINDS) + 1))

    def forward(self, states: Tensor, pooled: Tensor, wanted: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The summed loss, and the share of captions whose place and kinds are all read correctly."""
        read = self.attend(self.queries.expand(len(states), -1, -1), states, states, need_weights=False)[0]
        setting, person = self.setting(read[:, 0]), self.person(read[:, 1:])
        kinds, traits = person[..., : len(KINDS) + 1], person[..., len(KINDS) + 1 :]
        short = self.pooled(pooled)
        short_kinds = short[:, len(PLACES) + 1 :].unflatten(1, (_SLOTS, -1))
        loss = functional.binary_cross_entropy_with_logits(traits, wanted["traits"]) * 4
        for places, night, cast in (
            (setting[:, 1:], setting[:, 0], kinds),
            (short[:, 1 : len(PLACES) + 1], short[:, 0], short_kinds),
        ):
            loss = loss + functional.cross_entropy(places, wanted["place"])
            loss = loss + functional.binary_cross_entropy_with_logits(night, wanted["night"])
            loss = loss + functional.cross_entropy(cast.flatten(0, 1), wanted["kinds"].flatten())
        right = (kinds.argmax(-1) == wanted["kinds"]).all(1) & (setting[:, 1:].argmax(1) == wanted["place"])
        return loss, right.float().mean()


def wanted_of(labels: list[dict[str, Any]]) -> dict[str, Tensor]:
    """What the captions say: place (N,), night (N,), kinds (N, 5) with 0 for nobody, traits (N, 5, traits)."""
    kinds = torch.zeros(len(labels), _SLOTS, dtype=torch.long)
    traits = torch.zeros(len(labels), _SLOTS, len(_TRAITS))
    for row, label in enumerate(labels):
        # Captions name people from left to right; only a caption in which each one stands alone can tell their traits.
        parts = label["caption"].removesuffix(" at night").removesuffix(" " + label["place"]).split(" and ")
        alone = len(parts) == len(label["figures"])
        for slot, figure in enumerate(label["figures"]):
            kinds[row, slot] = KINDS.index(figure["kind"]) + 1
            for number, trait in enumerate(_TRAITS):
                traits[row, slot, number] = float(alone and parts[slot].endswith(trait))
    return {
        "place": torch.tensor([PLACES.index(label["place"]) for label in labels]),
        "night": torch.tensor([float(label["night"]) for label in labels]),
        "kinds": kinds,
        "traits": traits,
    }


def main() -> None:
    """Train, or go on training, and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=Path, default=Path("var/world"))
    parser.add_argument("--state", type=Path, default=Path("var/train"), help="folder of the training state and curve")
    parser.add_argument("--out", type=Path, default=Path("worker/mini/checkpoints/sdxl"))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    labels = [label for scenes in load(asked.world).values() for label in scenes.labels]
    text, reader = new_text(), Reader()
    modules = {"first": text.first, "second": text.second, "reader": reader}
    training = Training("text", modules, folder=asked.state, steps=asked.steps, lr=asked.lr)
    for step in training:
        rows = np.random.default_rng([2, step]).integers(len(labels), size=asked.batch)
        batch = [labels[row] for row in rows]
        loss, right = reader(*text.encode([label["caption"] for label in batch]), wanted_of(batch))
        training.descend(loss)
        if step % 50 == 0:
            training.log(loss=float(loss.detach()), right=float(right))
    text.first.load_state_dict(averaged_state(training.state_path, "first"))
    text.second.load_state_dict(averaged_state(training.state_path, "second"))
    text.first.to(torch.float16).save_pretrained(asked.out / "text_encoder")
    text.second.to(torch.float16).save_pretrained(asked.out / "text_encoder_2")
    text.tokenizer.save_pretrained(asked.out / "tokenizer")
    text.tokenizer.save_pretrained(asked.out / "tokenizer_2")


if __name__ == "__main__":
    main()
