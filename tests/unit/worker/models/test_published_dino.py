"""The authors' own release of Grounding DINO at full size: its config, its `.pth` layout, and the port of the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import groundingdino
import pytest
import torch
from groundingdino.util.slconfig import SLConfig
from transformers import BertConfig, BertModel

from shared.errors import BundleError
from tests.support.published import (
    DINO_BASE,
    DINO_TINY,
    Configuration,
    parameters,
    published_dino,
)
from tests.support.sparse_checkpoints import write_sparse
from worker.models import dino_original
from worker.models.catalog import MINI
from worker.models.dino import TransformersDino, load_transformers_dino

CONFIGS = Path(groundingdino.__file__).parent / "config"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """groundingdino_swint_ogc.pth with its config and BERT: the published names and sizes, zeros for weights."""
    folder = tmp_path_factory.mktemp("dino-original")
    shutil.copy(CONFIGS / "GroundingDINO_SwinT_OGC.py", folder)
    bert = folder / "bert-base-uncased"
    shutil.copytree(MINI / "dino-original" / "text_encoder", bert)
    BertConfig().save_pretrained(bert)
    with torch.device("meta"):
        write_sparse(bert / "model.safetensors", BertModel(BertConfig()).state_dict(), torch.float32)
    args = SLConfig.fromfile(str(folder / "GroundingDINO_SwinT_OGC.py"))
    args.text_encoder_type = str(bert)
    args.use_checkpoint = args.use_transformer_ckpt = False
    layout = dino_original._build(args).state_dict()
    zero = torch.zeros(1)
    # Saved from a wrapped model, by an older transformers and with a table that training used.
    weights = {f"module.{name}": zero.expand(tensor.shape) for name, tensor in layout.items()}
    weights["module.bert.embeddings.position_ids"] = torch.arange(512)[None]
    weights["module.label_enc.weight"] = zero.expand(2001, 256)
    torch.save({"model": weights}, folder / "groundingdino_swint_ogc.pth")
    return folder


def test_the_published_files_load_and_are_as_large_as_the_port(published: Path) -> None:
    detector = dino_original.load_original_dino(published, "cpu")
    assert isinstance(detector, dino_original.OriginalDino)
    assert detector.token_limit == 256
    port = published_dino(DINO_TINY)
    # Never used: the pooler of the authors' text encoder, the last norm of the port's picture encoder.
    used = parameters(port) - parameters(port.model.backbone.conv_encoder.model.swin.layernorm)
    assert used == parameters(detector.model) - parameters(detector.model.bert.pooler) == 172_249_090


@pytest.mark.parametrize("swin", [DINO_TINY, DINO_BASE])
def test_the_port_loads_its_published_files_with_no_missing_and_no_unexpected_key(
    tmp_path: Path, swin: Configuration
) -> None:
    write_published_port(tmp_path, swin)
    detector = load_transformers_dino(tmp_path, "cpu", torch.float32)
    assert isinstance(detector, TransformersDino)
    assert not any(weight.is_meta for weight in detector.model.parameters())


def test_a_tensor_too_few_or_too_many_is_named(tmp_path: Path) -> None:
    write_published_port(tmp_path, DINO_TINY, without="model.text_projection.weight")
    with pytest.raises(BundleError, match=r"model\.text_projection\.weight is missing"):
        load_transformers_dino(tmp_path, "cpu", torch.float32)


def write_published_port(folder: Path, swin: Configuration, without: str = "") -> None:
    """IDEA-Research/grounding-dino-tiny or -base: saved by a transformers whose Swin had a level and a norm less."""
    port = published_dino(swin)
    port.config.save_pretrained(folder)
    layout = {
        name.replace(".model.swin.", ".model."): tensor
        for name, tensor in port.state_dict().items()
        if "swin.layernorm" not in name and name != without
    }
    write_sparse(folder / "model.safetensors", layout, torch.float32)
    for file in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copy(MINI / "dino" / file, folder)
