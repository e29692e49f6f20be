from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from shared.errors import BundleError
from shared.loras import AllowedLora
from shared.orders import AppliedLora, Drawing
from shared.settings import Settings
from worker.models.bundle import Generation, load_bundle
from worker.models.loras import load_loras
from worker.stages.render import render

RANK, ALPHA = 2, 4.0
LAYERS = (
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_v",
)
WORDS = "encoder.layers.0.self_attn.q_proj"


def matrices(generation: Generation) -> dict[str, tuple[Tensor, Tensor]]:
    """Down and up of two layers of the UNet."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name in LAYERS:
        wide = generation.generator.sdxl.unet.get_submodule(name).weight.shape
        down, up = (torch.randn(shape, generator=generator) for shape in ((RANK, wide[1]), (wide[0], RANK)))
        found[name] = (down, up)
    return found


def diffusers_layout(generation: Generation) -> dict[str, Tensor]:
    """As `save_lora_weights` of diffusers writes them; alpha is as large as the rank."""
    share = ALPHA / RANK
    tensors: dict[str, Tensor] = {}
    for name, (down, up) in matrices(generation).items():
        tensors |= {f"unet.{name}.lora_A.weight": down, f"unet.{name}.lora_B.weight": up * share}
    return tensors


def kohya_layout(generation: Generation) -> dict[str, Tensor]:
    """As kohya's sd-scripts write them."""
    tensors: dict[str, Tensor] = {}
    for name, (down, up) in matrices(generation).items():
        flat = f"lora_unet_{name.replace('.', '_')}"
        tensors |= {
            f"{flat}.lora_down.weight": down,
            f"{flat}.lora_up.weight": up,
            f"{flat}.alpha": torch.tensor(ALPHA),
        }
    return tensors


def text_layout(generation: Generation) -> dict[str, Tensor]:
    """A LoRA of a text encoder, with the level of names that transformers gave up."""
    wide = generation.generator.sdxl.pipeline.text_encoder.get_submodule(WORDS).weight.shape
    name = f"text_encoder.text_model.{WORDS}"
    return {f"{name}.lora_A.weight": torch.randn(RANK, wide[1]), f"{name}.lora_B.weight": torch.randn(wide[0], RANK)}


def fresh(memory: Literal["full", "quantized"] = "full") -> Generation:
    generation = load_bundle(Settings(device="cpu", memory=memory), "generation").generation
    assert generation is not None
    return generation


def with_loras(
    folder: Path, memory: Literal["full", "quantized"] = "full", **layouts: Callable[[Generation], dict[str, Tensor]]
) -> Generation:
    generation = fresh(memory)
    allowed = {}
    for name, layout in layouts.items():
        path = folder / f"{name}.safetensors"
        save_file(layout(generation), path)
        allowed[name] = AllowedLora(file=str(path))
    loras = load_loras(generation.generator.sdxl.pipeline, allowed)
    return Generation(
        generator=generation.generator, keypoint_style=generation.keypoint_style, batched=True, loras=loras
    )


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    folder = tmp_path_factory.mktemp("loras")
    return with_loras(folder, one=diffusers_layout, two=kohya_layout, words=text_layout)


def drawn(generation: Generation, **scales: float) -> Tensor:
    applied = tuple(
        AppliedLora(name=name, sha256=generation.loras.files[name], scale=scale) for name, scale in scales.items()
    )
    drawing = Drawing(
        prompt="a man on the beach", negative_prompt="", width_px=128, height_px=128, steps=2, seed=1,
        guidance_scale=3.0, scheduler="euler", loras=applied,
    )  # fmt: skip
    return render(generation, drawing, lambda _i, _n: None).predictions


def test_without_a_lora_pictures_are_as_before_to_the_last_bit(generation: Generation) -> None:
    plain = drawn(fresh())
    assert torch.equal(drawn(generation), plain)
    assert not torch.equal(drawn(generation, one=1.0), plain)
    assert not torch.equal(drawn(generation, words=1.0), plain)
    assert torch.equal(drawn(generation), plain)


def test_both_published_layouts_of_the_same_numbers_draw_alike(generation: Generation) -> None:
    torch.testing.assert_close(drawn(generation, one=0.7), drawn(generation, two=0.7), rtol=1e-4, atol=1e-5)


def test_an_applied_lora_is_its_product_on_top_of_the_weights(generation: Generation) -> None:
    merged = fresh()
    for name, (down, up) in matrices(merged).items():
        merged.generator.sdxl.unet.get_submodule(name).weight.data += 0.5 * ALPHA / RANK * up @ down
    torch.testing.assert_close(drawn(generation, one=0.5), drawn(merged), rtol=1e-4, atol=1e-4)


def test_a_quantized_generator_applies_a_lora_as_the_full_one_does(generation: Generation, tmp_path: Path) -> None:
    quantized = with_loras(tmp_path, "quantized", one=diffusers_layout)
    plain, applied = drawn(quantized), drawn(quantized, one=1.0)
    assert torch.equal(drawn(quantized), plain)
    # What the LoRA changes is far more than what 8 bits do.
    expected = drawn(generation, one=1.0)
    assert float((applied - expected).norm()) < 0.2 * float((applied - plain).norm())


def test_the_order_of_jobs_changes_nothing(generation: Generation) -> None:
    first = drawn(generation, one=0.5, two=0.25)
    drawn(generation, two=2.0, words=1.0)
    assert torch.equal(drawn(generation, one=0.5, two=0.25), first)


def test_nothing_is_there_to_be_trained_after_a_lora_was_applied(generation: Generation) -> None:
    for scales in ({"one": 1.0, "words": 1.0}, {"two": 1.0}, {}):
        drawn(generation, **scales)
        networks = generation.loras.networks
        assert not [name for one in networks for name, weight in one.named_parameters() if weight.requires_grad]


def test_a_file_is_known_by_its_hash(generation: Generation) -> None:
    assert len(set(generation.loras.files.values())) == 3
    assert all(len(one) == 64 for one in generation.loras.files.values())


def broken(change: Callable[[dict[str, Tensor]], None]) -> Callable[[Generation], dict[str, Tensor]]:
    def layout(generation: Generation) -> dict[str, Tensor]:
        tensors = diffusers_layout(generation)
        change(tensors)
        return tensors

    return layout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors.pop(f"unet.{LAYERS[0]}.lora_B.weight"), "to_q.lora_B.weight is missing"),
        (
            lambda tensors: tensors.update({f"unet.{LAYERS[0]}.lora_A.weight": torch.ones(2, 7)}),
            "to_q.lora_A.weight is",
        ),
        (lambda tensors: tensors.update({"unet.nowhere.lora_A.weight": torch.ones(2, 7)}), "no layer for nowhere"),
        (lambda tensors: tensors.update({"transformer.a.lora_A.weight": torch.ones(2, 7)}), "transformer.a.lora_A"),
        (lambda tensors: tensors.update({f"unet.{LAYERS[0]}.dora_scale": torch.ones(2)}), "unsupported kind"),
        (lambda tensors: tensors.clear(), "no tensor"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_its_tensor(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], None], words: str
) -> None:
    with pytest.raises(BundleError, match=words) as caught:
        with_loras(tmp_path, bad=broken(change))
    assert "bad.safetensors" in caught.value.message


def test_a_missing_and_a_truncated_file_are_named(tmp_path: Path) -> None:
    generation = fresh()
    path = tmp_path / "cut.safetensors"
    save_file(diffusers_layout(generation), path)
    path.write_bytes(path.read_bytes()[:-100])
    for file in (path, tmp_path / "gone.safetensors"):
        with pytest.raises(BundleError, match=file.name):
            load_loras(generation.generator.sdxl.pipeline, {"x": AllowedLora(file=str(file))})
