"""The mini Grounding DINO: its configuration, its tokenizer and its starting weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import BertConfig, BertTokenizer, GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig
from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# The ids of bert-base-uncased that Grounding DINO relies on; transformers' port has the last four built in
# (SPECIAL_TOKENS of modeling_grounding_dino.py), so that a small vocabulary has to keep them too.
FIXED_TOKENS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
FIRST_WORD_ID = 104
TOKENS = 1030
PICTURE_SIDE_PX = 128
LONGEST_SIDE_PX = 512
# Text features of this size give first logits near the prior instead of losses in the hundreds.
TEXT_SCALE = 0.1
PRIOR_LOGIT = -3.0


def token_list(words: Sequence[str]) -> list[str]:
    """The vocabulary file's lines: `words` from id 104 on, the fixed tokens at their ids, `[unused..]` elsewhere."""
    tokens = [f"[unused{index}]" for index in range(TOKENS)]
    for token, index in FIXED_TOKENS.items():
        tokens[index] = token
    plain = sorted({word for word in words if word.isalpha()})
    if len(plain) > FIXED_TOKENS["."] - FIRST_WORD_ID:
        raise ValueError(f"{len(plain)} words do not fit between the fixed token ids")
    tokens[FIRST_WORD_ID : FIRST_WORD_ID + len(plain)] = plain
    return tokens


def make_tokenizer(words: Sequence[str]) -> BertTokenizer:
    """A BERT tokenizer of whole words; any other word becomes `[UNK]`."""
    vocabulary = {token: index for index, token in enumerate(token_list(words))}
    return BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=64)


def make_image_processor() -> GroundingDinoImageProcessorPil:
    """The published preprocessing at the mini world's size: shorter side 128 px, ImageNet statistics, no padding."""
    return GroundingDinoImageProcessorPil(
        size={"shortest_edge": PICTURE_SIDE_PX, "longest_edge": LONGEST_SIDE_PX}, do_pad=False
    )


def make_config() -> GroundingDinoConfig:
    """About a million parameters; feature levels of stride 8 and 16 (16 x 16 and 8 x 8 cells at 128 px)."""
    swin = SwinConfig(
        image_size=PICTURE_SIDE_PX,
        embed_dim=32,
        depths=[2, 2, 2],
        num_heads=[2, 4, 8],
        # groundingdino-py always shifts windows; 4 cells keep every level larger than a window, as that needs.
        window_size=4,
        mlp_ratio=2.0,
        drop_path_rate=0.0,
        # The usual 0.02 suits widths of hundreds; at these it leaves every block close to doing nothing.
        initializer_range=0.1,
        out_indices=[2, 3],  # taken by __post_init__
    )
    bert = BertConfig(
        vocab_size=TOKENS,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.1,
    )
    return GroundingDinoConfig(
        backbone_config=swin,
        text_config=bert,
        d_model=96,
        encoder_layers=2,
        encoder_ffn_dim=192,
        encoder_attention_heads=6,
        encoder_n_points=2,
        decoder_layers=3,
        decoder_ffn_dim=192,
        decoder_attention_heads=6,
        decoder_n_points=4,
        num_feature_levels=2,
        num_queries=30,
        max_text_len=64,
        dropout=0.0,
        fusion_droppath=0.0,
        position_embedding_type="sine",
    )


def make_model(seed: int) -> GroundingDinoForObjectDetection:
    """A detector with new weights whose logits start near a focal-loss prior of five per cent.

    The contrastive head is a bare dot product, without scale or bias (GroundingDinoContrastiveEmbedding). Both come
    from the layer norms in front of it: small text features, and one direction shared by the text's bias and, with
    opposite sign, by the biases of the two visual norms. After Lin et al., Focal Loss, section 3.3.
    """
    torch.manual_seed(seed)
    model = GroundingDinoForObjectDetection(make_config())
    width = model.config.d_model
    direction = torch.ones(width) / width**0.5
    text_norm = model.model.encoder.layers[-1].text_enhancer_layer.layer_norm_after
    with torch.no_grad():
        text_norm.weight.fill_(TEXT_SCALE)
        text_norm.bias.copy_(direction)
        for norm in (model.model.enc_output_norm, model.model.decoder.layer_norm):
            norm.bias.copy_(PRIOR_LOGIT * direction)
        model.model.encoder_output_bbox_embed.layers[-1].bias.copy_(_TYPICAL_PERSON)
    return model


# The first guess of width and height is a standing person of a third by two thirds of the picture: the proposals of
# the encoder start from 0.05 (level 0), logit -2.9.
_TYPICAL_PERSON = torch.tensor([0.0, 0.0, 2.2, 3.6])


def save(model: GroundingDinoForObjectDetection, tokenizer: BertTokenizer, folder: Path) -> None:
    """Write `folder` as a published checkpoint is laid out: config, float16 weights, tokenizer, preprocessing."""
    folder.mkdir(parents=True, exist_ok=True)
    half: Any = make_model(0)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    make_image_processor().save_pretrained(folder)
