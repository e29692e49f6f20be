"""Write a Grounding DINO checkpoint of transformers in the layout of its authors' package.

    python -m worker.mini.train.dino_original worker/mini/checkpoints/dino worker/mini/checkpoints/dino-original

The same weights under the other names: transformers' conversion script, read backwards.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import AutoTokenizer, BertModel, GroundingDinoForObjectDetection

if TYPE_CHECKING:
    from transformers import BertConfig, GroundingDinoConfig, SwinConfig

# Regular expressions, applied in this order, from names in transformers to names in groundingdino.
_RENAMED = (
    (r"^model\.backbone\.conv_encoder\.model\.swin\.(?:encoder\.)?", "backbone.0."),
    (r"^backbone\.0\.embeddings\.patch_embeddings\.projection\.", "backbone.0.patch_embed.proj."),
    (r"^backbone\.0\.embeddings\.norm\.", "backbone.0.patch_embed.norm."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.relative_position_bias\.", ".attn."),
    (r"(backbone\.0\..*)\.attention\.o_proj\.", r"\1.attn.proj."),
    (r"(backbone\.0\..*)\.attention\.qkv\.", r"\1.attn.qkv."),
    (r"^model\.input_proj_vision\.", "input_proj."),
    (r"^model\.text_backbone\.", "bert."),
    (r"^model\.text_projection\.", "feat_map."),
    (r"^model\.query_position_embeddings\.", "transformer.tgt_embed."),
    (r"^model\.encoder_output_bbox_embed\.", "transformer.enc_out_bbox_embed."),
    (r"^model\.(enc_output|enc_output_norm|level_embed)\b", r"transformer.\1"),
    (r"^model\.encoder\.layers\.(\d+)\.text_enhancer_layer\.", r"transformer.encoder.text_layers.\1."),
    (r"^model\.encoder\.layers\.(\d+)\.fusion_layer\.", r"transformer.encoder.fusion_layers.\1."),
    (r"^model\.encoder\.layers\.(\d+)\.deformable_layer\.", r"transformer.encoder.layers.\1."),
    (r"(text_layers\.\d+)\.layer_norm_before\.", r"\1.norm1."),
    (r"(text_layers\.\d+)\.layer_norm_after\.", r"\1.norm2."),
    (r"\.vision_param$", ".gamma_v"),
    (r"\.text_param$", ".gamma_l"),
    (r"\.layer_norm_vision\.", ".layer_norm_v."),
    (r"\.layer_norm_text\.", ".layer_norm_l."),
    (r"(fusion_layers\..*\.(?:values_|out_)?)vision_proj\.", r"\1v_proj."),
    (r"(fusion_layers\..*\.(?:values_|out_)?)text_proj\.", r"\1l_proj."),
    (r"(encoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.norm1."),
    (r"(encoder\.layers\.\d+)\.final_layer_norm\.", r"\1.norm2."),
    (r"^model\.decoder\.layer_norm\.", "transformer.decoder.norm."),
    (r"^model\.decoder\.reference_points_head\.", "transformer.decoder.ref_point_head."),
    (r"^model\.decoder\.", "transformer.decoder."),
    (r"(decoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.norm2."),
    (r"(decoder\.layers\.\d+)\.encoder_attn_text_layer_norm\.", r"\1.catext_norm."),
    (r"(decoder\.layers\.\d+)\.encoder_attn_layer_norm\.", r"\1.norm1."),
    (r"(decoder\.layers\.\d+)\.final_layer_norm\.", r"\1.norm3."),
    (r"\.encoder_attn_text\.", ".ca_text."),
    (r"\.encoder_attn\.", ".cross_attn."),
    (r"(transformer\..*)\.fc1\.", r"\1.linear1."),
    (r"(transformer\..*)\.fc2\.", r"\1.linear2."),
)  # fmt: skip


def original_weights(weights: dict[str, torch.Tensor], pooler: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a GroundingDinoForObjectDetection under groundingdino's names; separate q, k, v become one.

    pooler: weight and bias of BERT's pooler, which groundingdino has and never reads.
    """
    joined = dict(weights)
    for name in weights:
        for parts, whole in (
            (("q_proj", "k_proj", "v_proj"), r"qkv.\2"),
            (("query", "key", "value"), r"in_proj_\2"),
        ):
            found = re.fullmatch(rf"(.*\.){parts[0]}\.(weight|bias)", name)
            if found and "text_backbone" not in name:
                values = [joined.pop(f"{found[1]}{part}.{found[2]}") for part in parts]
                joined[found[1] + found.expand(whole)] = torch.cat(values)
    norms = r"^model\.backbone\.conv_encoder\.model\.hidden_states_norms\.stage(\d+)\."
    renamed = {}
    for name, value in joined.items():
        if name.startswith("model.backbone.conv_encoder.model.swin.layernorm."):
            continue  # of the whole Swin; the detector reads the stages' own norms
        new = re.sub(norms, lambda stage: f"backbone.0.norm{int(stage[1]) - 1}.", name)
        for pattern, replacement in _RENAMED:
            new = re.sub(pattern, replacement, new)
        renamed[new] = value
    return renamed | {f"bert.pooler.dense.{name}": value for name, value in pooler.items()}


def original_settings(config: GroundingDinoConfig, image_size: dict[str, int]) -> dict[str, Any]:
    """The settings that groundingdino's builder reads, in the words of GroundingDINO_SwinT_OGC.py."""
    swin = cast("SwinConfig", config.backbone_config)
    return {
        "modelname": "groundingdino",
        "swin": {
            "embed_dim": swin.embed_dim,
            "depths": list(swin.depths),
            "num_heads": list(swin.num_heads),
            "window_size": swin.window_size,
            "mlp_ratio": swin.mlp_ratio,
        },
        "return_interm_indices": [index - 1 for index in swin.out_indices or ()],
        "position_embedding": config.position_embedding_type,
        "pe_temperatureH": config.positional_embedding_temperature,
        "pe_temperatureW": config.positional_embedding_temperature,
        "enc_layers": config.encoder_layers,
        "dec_layers": config.decoder_layers,
        "pre_norm": False,
        "dim_feedforward": config.encoder_ffn_dim,
        "hidden_dim": config.d_model,
        "dropout": 0.0,
        "nheads": config.encoder_attention_heads,
        "num_queries": config.num_queries,
        "query_dim": config.query_dim,
        "num_patterns": 0,
        "num_unicoder_layers": 0,
        "num_feature_levels": config.num_feature_levels,
        "enc_n_points": config.encoder_n_points,
        "dec_n_points": config.decoder_n_points,
        "two_stage_type": "standard",
        "two_stage_bbox_embed_share": config.two_stage_bbox_embed_share,
        "two_stage_class_embed_share": False,
        "transformer_activation": config.activation_function,
        "dec_pred_bbox_embed_share": config.decoder_bbox_embed_share,
        "embed_init_tgt": config.embedding_init_target,
        "max_text_len": config.max_text_len,
        "text_encoder_type": "text_encoder",
        "use_text_enhancer": True,
        "use_fusion_layer": True,
        "use_text_cross_attention": True,
        "text_dropout": 0.0,
        "fusion_dropout": 0.0,
        "fusion_droppath": 0.0,
        "sub_sentence_present": True,
        "shortest_side_px": image_size["shortest_edge"],
        "longest_side_px": image_size["longest_edge"],
    }


def convert(source: Path, target: Path) -> None:
    """Write config.json, weights.pth (float16) and text_encoder/ into `target`."""
    model = GroundingDinoForObjectDetection.from_pretrained(source, dtype=torch.float16, local_files_only=True)
    image_size = json.loads((source / "preprocessor_config.json").read_text())["size"]
    target.mkdir(parents=True, exist_ok=True)
    text_encoder: Any = BertModel(cast("BertConfig", model.config.text_config))
    text_encoder.load_state_dict(model.model.text_backbone.state_dict(), strict=False)
    text_encoder.half().save_pretrained(target / "text_encoder")
    AutoTokenizer.from_pretrained(source, local_files_only=True).save_pretrained(target / "text_encoder")
    weights = original_weights(model.state_dict(), text_encoder.pooler.dense.state_dict())
    torch.save({"model": weights}, target / "weights.pth")
    (target / "config.json").write_text(json.dumps(original_settings(model.config, image_size), indent=2) + "\n")


def main() -> None:
    """Convert one folder into another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    asked = parser.parse_args()
    convert(asked.source, asked.target)


if __name__ == "__main__":
    main()
