"""The engine `original`: Grounding DINO of its authors, groundingdino-py 0.4.0, with its config and `.pth` files.

The package is from 2023. It uses three methods of BertModel that transformers 5 removed, loads BERT by name, and
supports one width only, 256. This module works around all three without changing the installed package.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import torch
from PIL import Image
from transformers import BertModel

from worker.concepts.boxes import Candidate
from worker.models.dino import PhraseDetector, candidates_of, caption_of, token_groups


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides warnings about deprecated calls in the package: timm, meshgrid, autocast."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


with _quiet():
    from groundingdino.datasets import transforms
    from groundingdino.models.GroundingDINO import transformer as groundingdino_transformer
    from groundingdino.models.GroundingDINO.backbone.backbone import Joiner, build_backbone
    from groundingdino.models.GroundingDINO.backbone.position_encoding import build_position_encoding
    from groundingdino.models.GroundingDINO.backbone.swin_transformer import SwinTransformer
    from groundingdino.models.GroundingDINO.groundingdino import GroundingDINO
    from groundingdino.models.GroundingDINO.transformer import build_transformer
    from groundingdino.models.GroundingDINO.utils import get_sine_pos_embed
    from groundingdino.util.misc import clean_state_dict
    from groundingdino.util.slconfig import SLConfig

# Sizes of groundingdino.util.inference, used if the config has none.
_SHORTEST_SIDE_PX, _LONGEST_SIDE_PX = 800, 1333
# Tensors in the published files that no network reads.
_UNUSED = {"bert.embeddings.position_ids", "label_enc.weight"}
_IMAGENET_MEAN, _IMAGENET_DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@dataclass(frozen=True, kw_only=True, eq=False)
class OriginalDino:
    """Grounding DINO of groundingdino-py; `prepare` turns a picture into the model's input."""

    model: GroundingDINO
    prepare: Any
    token_limit: int
    device: torch.device

    @torch.inference_mode()
    def detect(self, picture: Image.Image, phrases: Sequence[str]) -> list[list[Candidate]]:
        """See PhraseDetector.detect."""
        caption = caption_of(phrases)
        tokenizer = self.model.tokenizer
        input_ids = tokenizer(caption.text)["input_ids"]
        groups = token_groups(input_ids, tokenizer.convert_tokens_to_ids("."), self.token_limit)
        pixels, _ = self.prepare(picture.convert("RGB"), None)
        with _quiet():
            out = self.model(pixels[None].to(self.device), captions=[caption.text])
        found = candidates_of(out["pred_logits"][0], out["pred_boxes"][0], groups, picture.size)
        return [found[row] for row in caption.rows]


def load_original_dino(folder: Path, device: torch.device | str) -> PhraseDetector:
    """The detector of a folder with one config (`.py` or `.json`), one `.pth` file, and BERT in a subfolder.

    The subfolder has the name of `text_encoder_type` in the config. The published GroundingDINO_SwinT_OGC.py and
    GroundingDINO_SwinB_cfg.py work with their files. A config may also contain `swin` (embed_dim, depths, num_heads,
    window_size, mlp_ratio) for a backbone without a published name, `shortest_side_px` and `longest_side_px`. Weights
    are loaded with `weights_only`, in float32. Nothing is downloaded. Raises FileNotFoundError if a file is missing,
    ValueError if the weights do not fit the config.
    """
    args = SLConfig.fromfile(str(_only_file(folder, "*.py", "*.json")))
    bert = folder / args.text_encoder_type
    if not bert.is_dir():
        raise FileNotFoundError(f"{folder} needs the text encoder in {bert}")
    args.text_encoder_type = str(bert)
    args.use_checkpoint = args.use_transformer_ckpt = False
    model = _build(args)
    weights = torch.load(_only_file(folder, "*.pth"), map_location="cpu", weights_only=True)
    missing, unexpected = model.load_state_dict(clean_state_dict(weights.get("model", weights)), strict=False)
    wrong = [name for name in missing if not name.endswith("relative_position_index")]
    wrong += [name for name in unexpected if name not in _UNUSED and not name.endswith("relative_position_index")]
    if wrong:
        raise ValueError(f"the weights in {folder} do not fit its config: {', '.join(wrong[:5])}")
    prepare = transforms.Compose(
        [
            transforms.RandomResize(
                [getattr(args, "shortest_side_px", _SHORTEST_SIDE_PX)],
                max_size=getattr(args, "longest_side_px", _LONGEST_SIDE_PX),
            ),
            transforms.ToTensor(),
            transforms.Normalize(_IMAGENET_MEAN, _IMAGENET_DEVIATION),
        ]
    )
    return OriginalDino(
        model=model.float().eval().to(device),
        prepare=prepare,
        token_limit=args.max_text_len,
        device=torch.device(device),
    )


def _build(args: SLConfig) -> GroundingDINO:
    """What build_groundingdino does, with a backbone of any size."""
    # The constructor prints the name of its text encoder.
    with _quiet(), _bert_of_transformers_4(), contextlib.redirect_stdout(io.StringIO()):
        model = GroundingDINO(
            _backbone(args),
            build_transformer(args),
            num_queries=args.num_queries,
            aux_loss=True,
            iter_update=True,
            query_dim=4,
            num_feature_levels=args.num_feature_levels,
            nheads=args.nheads,
            dec_pred_bbox_embed_share=args.dec_pred_bbox_embed_share,
            two_stage_type=args.two_stage_type,
            two_stage_bbox_embed_share=args.two_stage_bbox_embed_share,
            two_stage_class_embed_share=args.two_stage_class_embed_share,
            num_patterns=args.num_patterns,
            dn_number=0,
            text_encoder_type=args.text_encoder_type,
            sub_sentence_present=args.sub_sentence_present,
            max_text_len=args.max_text_len,
        )
    _fit_width(model.transformer, args.hidden_dim)
    return model


def _fit_width(transformer: Any, width: int) -> None:
    """Makes encoder and decoder compute their sine embeddings for `width` channels.

    Their forward methods call two functions of their module with the constants 256 and 128. Here the methods run with a
    copy of the module's globals in which these two functions scale with the width; at 256 nothing changes.
    """
    names = vars(groundingdino_transformer) | {
        "get_sine_pos_embed": lambda at, num_pos_feats, exchange_xy: get_sine_pos_embed(
            at, num_pos_feats=width * num_pos_feats // 256, exchange_xy=exchange_xy
        ),
        "gen_sineembed_for_position": lambda at: get_sine_pos_embed(at, num_pos_feats=width // 2, exchange_xy=True),
    }
    for part in (transformer.encoder, transformer.decoder):
        method = type(part).forward
        fitted = FunctionType(method.__code__, names, method.__name__, method.__defaults__, method.__closure__)
        part.forward = MethodType(fitted, part)


def _backbone(args: SLConfig) -> Joiner:
    swin = getattr(args, "swin", None)
    if swin is None:
        return build_backbone(args)
    body = SwinTransformer(**swin, out_indices=tuple(args.return_interm_indices), drop_path_rate=0.0)
    joined = Joiner(body, build_position_encoding(args))
    joined.num_channels = [body.num_features[index] for index in args.return_interm_indices]
    return joined


@contextlib.contextmanager
def _bert_of_transformers_4() -> Iterator[None]:
    """Adds the three methods to BertModel that groundingdino-py uses while it is built.

    transformers 5 removed them. Remove this function once groundingdino-py has a release that does not need them.
    """
    old = {
        "get_extended_attention_mask": _extended_attention_mask,
        "invert_attention_mask": _inverted_attention_mask,
        "get_head_mask": _head_mask,
    }
    added = [name for name in old if not hasattr(BertModel, name)]
    for name in added:
        setattr(BertModel, name, old[name])
    try:
        yield
    finally:
        for name in added:
            delattr(BertModel, name)


def _extended_attention_mask(
    self: BertModel, attention_mask: torch.Tensor, _input_shape: object, _device: object = None
) -> torch.Tensor:
    """0 where a token attends to another, else the smallest number of the dtype: (B, 1, T or 1, T)."""
    wide = attention_mask[:, None, :, :] if attention_mask.dim() == 3 else attention_mask[:, None, None, :]
    return (1.0 - wide.to(self.dtype)) * torch.finfo(self.dtype).min


def _inverted_attention_mask(self: BertModel, attention_mask: torch.Tensor) -> torch.Tensor:
    return _extended_attention_mask(self, attention_mask, None)


def _head_mask(_self: BertModel, _head_mask: None, layers: int) -> list[None]:
    """No mask for any head: groundingdino-py passes None."""
    return [None] * layers


def _only_file(folder: Path, *patterns: str) -> Path:
    found = sorted(path for pattern in patterns for path in folder.glob(pattern))
    if len(found) != 1:
        raise FileNotFoundError(f"{folder} must contain one file {' or '.join(patterns)}, but contains {len(found)}")
    return found[0]
