"""Checkpoints at their published sizes: parameters are counted without memory, files are loaded without bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.support.published import parameters, published_networks
from tests.support.sparse_checkpoints import published_resampler, write_published_generator
from tests.support.tiny import TINY
from worker.models.instantid import adapter_layout
from worker.models.pretrained import load_generator

PUBLISHED = {
    "unet": 2_567_463_684,
    "identitynet": 1_251_014_160,
    "vae": 83_653_863,
    "text_encoder": 123_060_480,
    "text_encoder_2": 694_659_840,
}


def test_the_published_networks_have_the_published_numbers_of_parameters() -> None:
    networks = published_networks()
    assert {name: parameters(networks[name]) for name in PUBLISHED} == PUBLISHED


def test_the_adapter_has_a_key_and_a_value_for_each_of_70_attentions_and_51_tensors_of_resampler() -> None:
    networks = published_networks()
    layout = adapter_layout(networks["unet"])
    assert len(layout) == 140
    assert sum(tensor.numel() for tensor in layout.values()) == 340_787_200
    assert list(layout)[:2] == ["1.to_k_ip.weight", "1.to_v_ip.weight"]
    assert list(layout)[-1] == "139.to_v_ip.weight"
    # Order down, up, mid: the last ten are the middle's.
    assert layout["1.to_k_ip.weight"].shape == (640, 2048)
    assert layout["9.to_k_ip.weight"].shape == (1280, 2048)
    resampler = published_resampler()
    assert len(resampler) == 51
    assert sum(torch.Size(shape).numel() for shape in resampler.values()) == parameters(networks["resampler"])


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ip-adapter.bin with every published tensor at its published size; expanded zeros take no room in a pickle."""
    path = tmp_path_factory.mktemp("adapter") / "ip-adapter.bin"
    keys_and_values: dict[str, Tensor] = {
        name: torch.zeros(1, dtype=torch.float16).expand(tensor.shape)
        for name, tensor in adapter_layout(published_networks()["unet"]).items()
    }
    resampler = {
        name: torch.zeros(1, dtype=torch.float16).expand(shape) for name, shape in published_resampler().items()
    }
    torch.save({"image_proj": resampler, "ip_adapter": keys_and_values}, path)
    return path


def test_a_generator_in_the_published_layout_loads_with_no_missing_and_no_unexpected_key(
    tmp_path: Path, adapter: Path
) -> None:
    write_published_generator(tmp_path, TINY / "sdxl")
    generator = load_generator(
        sdxl=tmp_path / "sdxl",
        identitynet=tmp_path / "identitynet",
        adapter=adapter,
        device="cpu",
        dtype=torch.float16,
    )
    pipeline = generator.sdxl.pipeline
    networks = [pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.text_encoder_2]
    instantid = generator.instantid
    loaded = sum(map(parameters, [*networks, instantid.embedding, instantid.identitynet]))
    # The UNet now carries the adapter's keys and values.
    assert loaded == sum(PUBLISHED.values()) + 340_787_200
    assert not any(weight.is_meta for network in networks for weight in network.parameters())
    assert generator.sdxl.latent_shape(width_px=1024, height_px=1024) == (1, 4, 128, 128)
    assert parameters(generator.instantid.resampler) == 81_978_624
