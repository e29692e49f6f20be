"""The small generator's trainings: optimiser, resuming, texts, and that training is wired as production is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from torch import Tensor, nn

from worker.mini.train.generator import Training, orthogonalized, rate
from worker.mini.train.generator_scenes import Latents, batch_of, noised
from worker.mini.train.generator_shapes import (
    FACE_TOKENS,
    FACE_WIDTH,
    new_identitynet,
    new_scheduler,
    new_unet,
    new_vae,
)
from worker.mini.train.identity import Adapter
from worker.mini.train.text import Text, new_text, new_tokenizer
from worker.mini.world import VOCABULARY
from worker.models.denoiser import Branch, Denoiser
from worker.models.instantid import Face, InstantId, load_instantid
from worker.models.sdxl import Text as Prompt
from worker.models.sdxl import time_ids


def test_orthogonalizing_keeps_directions_and_evens_out_their_lengths() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(24, 60, generator=generator)
    lengths = torch.linalg.svdvals(orthogonalized(matrix))
    assert lengths.min() > 0.6
    assert lengths.max() < 1.3


@pytest.mark.parametrize(("step", "share"), [(0, 1 / 30), (29, 1.0), (500, 1.0), (825, 0.5), (999, 1 / 350)])
def test_the_rate_warms_up_stays_and_falls(step: int, share: float) -> None:
    assert rate(step, 1000, 0.35) == pytest.approx(share, rel=1e-6)


def _weights_after(folder: Path, steps: int) -> Tensor:
    torch.manual_seed(0)
    line = nn.Linear(3, 2)
    training = Training("line", {"line": line}, folder=folder, steps=6, lr=0.05)
    training.steps = steps
    for step in training:
        x = torch.from_numpy(np.random.default_rng(step).standard_normal((4, 3), dtype=np.float32))
        training.steps = 6
        training.descend((line(x) - 1).square().mean())
        training.steps = steps
    return line.weight.detach()


def test_a_resumed_training_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    unbroken = _weights_after(tmp_path / "unbroken", 6)
    _weights_after(tmp_path / "broken", 3)
    assert torch.equal(_weights_after(tmp_path / "broken", 6), unbroken)


def test_every_word_of_the_world_is_one_token() -> None:
    tokenizer = new_tokenizer()
    assert [len(tokenizer.tokenize(word)) for word in VOCABULARY] == [1] * len(VOCABULARY)


def test_text_states_are_those_of_the_stock_pipeline() -> None:
    torch.manual_seed(0)
    text = _frozen(new_text())
    pipeline = _pipeline(text)
    states, pooled = text.encode(["a man on the beach"])
    expected, _, expected_pooled, _ = pipeline.encode_prompt("a man on the beach", do_classifier_free_guidance=False)
    assert torch.equal(states, expected)
    assert torch.equal(pooled, expected_pooled)


def test_noise_of_no_strength_leaves_the_scene_and_full_strength_hides_it() -> None:
    latents = torch.randn(64, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    noisy = noised(latents, new_scheduler(), np.random.default_rng(0))
    order = noisy.timesteps.argsort()
    error = (noisy.latents - latents).square().mean((1, 2, 3))[order]
    assert error[0] < 0.1
    assert error[-1] > 1.0


def test_a_scene_without_people_has_even_weights() -> None:
    scenes = Latents(
        width_px=128,
        values=np.zeros((1, 16, 16, 16), np.float16),
        owners=np.zeros((1, 128, 128), np.uint8),
        labels=[{"caption": "nobody on the beach", "figures": []}],
    )
    batch = batch_of(scenes, np.array([0]), np.random.default_rng(0))
    assert torch.equal(batch.weights, torch.ones(1, 1, 16, 16))


def test_the_adapter_file_and_identitynet_act_in_production_as_they_did_in_training(tmp_path: Path) -> None:
    torch.manual_seed(0)
    text = _frozen(new_text())
    pipeline = _pipeline(text)
    identitynet, adapter = new_identitynet(pipeline.unet), Adapter(pipeline.unet)
    for silent in (*identitynet.controlnet_down_blocks.parameters(), *adapter.values):
        nn.init.normal_(silent, std=0.1)
    torch.save(adapter.published(), tmp_path / "ip-adapter.bin")
    trained = new_unet()
    trained.load_state_dict(pipeline.unet.state_dict())
    adapter.attach(trained)

    embedding = np.random.default_rng(0).standard_normal((1, FACE_WIDTH)).astype(np.float32)
    canvas = np.random.default_rng(1).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    drawing = torch.from_numpy(canvas).permute(2, 0, 1)[None] / 255
    x = torch.randn(1, 16, 16, 16)
    states, pooled = text.encode(["a man on the beach"])
    sizes = {"text_embeds": pooled, "time_ids": time_ids(width_px=128, height_px=128)}
    with torch.no_grad():
        tokens = adapter.resampler(torch.from_numpy(embedding)[:, None])
        down, middle = identitynet(x, 500, tokens, drawing, added_cond_kwargs=sizes, return_dict=False)
        expected = trained(
            x,
            500,
            encoder_hidden_states=states,
            added_cond_kwargs={**sizes, "image_embeds": [tokens[:, None]]},
            cross_attention_kwargs={"ip_adapter_masks": [torch.ones(1, 1, 16, 16)]},
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample

    instantid: InstantId = load_instantid(pipeline, tmp_path / "ip-adapter.bin", identitynet)
    tokens = instantid.face_tokens(embedding)
    assert tokens.shape[1] == FACE_TOKENS
    face = Face(tokens=tokens, hint=instantid.hint(canvas), identity_scale=1.0, adapter_scale=1.0)
    denoiser = Denoiser(pipeline.unet, identitynet, width_px=128, height_px=128)
    prompt = Prompt(states=torch.cat([states * 0, states]), pooled=torch.cat([pooled * 0, pooled]))
    branch = Branch(denoiser=denoiser, text=prompt, guidance_scale=1.0, face=face)
    assert torch.allclose(branch(x, torch.tensor(500)), expected, atol=1e-5)


def _frozen(text: Text) -> Text:
    text.first.requires_grad_(requires_grad=False).eval()
    text.second.requires_grad_(requires_grad=False).eval()
    return text


def _pipeline(text: Text) -> StableDiffusionXLPipeline:
    return StableDiffusionXLPipeline(
        vae=new_vae(),
        text_encoder=text.first,
        text_encoder_2=text.second,
        tokenizer=text.tokenizer,
        tokenizer_2=text.tokenizer,
        unet=new_unet(),
        scheduler=new_scheduler(),
        add_watermarker=False,
    )
