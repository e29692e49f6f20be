"""The generator on a CUDA device, where there is one: recordings, half precision and too little memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from shared.errors import OutOfMemory
from tests.support.tiny import tiny_generator
from tests.unit.worker.models.test_half import branches_of
from worker.models.denoiser import Branch, Denoiser
from worker.models.pretrained import Generator

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")

SIDE_PX = 128


def load(*, quantized: bool = False) -> Generator:
    return tiny_generator(device="cuda", dtype=torch.float16, quantized=quantized)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return load()


@pytest.fixture
def all_memory() -> Iterator[None]:
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def denoiser_of(generator: Generator, *, batched: bool = True, cuda_graphs: bool = False) -> Denoiser:
    return Denoiser(
        generator.sdxl.unet,
        generator.instantid.identitynet,
        width_px=SIDE_PX,
        height_px=SIDE_PX,
        latent_px=generator.sdxl.latent_px,
        batched=batched,
        cuda_graphs=cuda_graphs,
    )


def latents(count: int, seed: int) -> Tensor:
    side = SIDE_PX // 8
    return torch.randn(count, 4, side, side, generator=torch.Generator().manual_seed(seed)).cuda()


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def test_a_replayed_step_predicts_what_the_same_step_predicts_when_it_is_run(generator: Generator) -> None:
    plain, replayed = denoiser_of(generator), denoiser_of(generator, cuda_graphs=True)
    expecting, finding = branches_of(generator, plain), branches_of(generator, replayed)
    for i, t in enumerate((981.0, 700.0, 400.0, 1.0)):
        x = latents(3, seed=i)
        expected = plain.predict(x, torch.tensor(t), expecting)
        found = replayed.predict(x, torch.tensor(t), finding)
        assert torch.isfinite(found).all()
        assert error(found, expected) < 1e-3, f"step {i}"


def test_what_a_replayed_step_gave_is_not_overwritten_by_the_next(generator: Generator) -> None:
    denoiser = denoiser_of(generator, cuda_graphs=True)
    branches = branches_of(generator, denoiser)
    given = [denoiser.predict(latents(3, seed=i), torch.tensor(500.0), branches) for i in range(4)]
    kept = given[2].clone()
    denoiser.predict(latents(3, seed=9), torch.tensor(10.0), branches)
    assert torch.equal(given[2], kept)
    assert not torch.equal(given[2], given[3])


def test_batched_branches_agree_with_single_ones_in_half_precision(generator: Generator) -> None:
    found = {}
    for batched in (True, False):
        denoiser = denoiser_of(generator, batched=batched)
        found[batched] = denoiser.predict(latents(3, seed=0), torch.tensor(500.0), branches_of(generator, denoiser))
    assert error(found[True], found[False]) < 0.01


def test_a_released_denoiser_starts_again(generator: Generator) -> None:
    denoiser = denoiser_of(generator, cuda_graphs=True)
    branches = branches_of(generator, denoiser)
    before = [denoiser.predict(latents(3, seed=0), torch.tensor(500.0), branches) for _ in range(3)]
    denoiser.release()
    after = denoiser.predict(latents(3, seed=0), torch.tensor(500.0), branches)
    assert error(after, before[2]) < 1e-3


def test_branches_that_do_not_fit_together_run_one_by_one_and_one_that_does_not_fit_alone_is_refused(
    generator: Generator, all_memory: None
) -> None:
    small = denoiser_of(generator)
    side = 256
    x = torch.randn(3, 4, side, side, generator=torch.Generator().manual_seed(0)).cuda()
    # Only the background looks at so large a picture: a hint is of its own picture's size.
    branches = [branches_of(generator, small)[0]] * 3

    def peak(count: int) -> int:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        small.predict(x[:count], torch.tensor(500.0), branches[:count])
        small.release()
        return torch.cuda.max_memory_reserved()

    alone, together = peak(1), peak(3)
    expected = small.predict(x, torch.tensor(500.0), branches)
    total = torch.cuda.get_device_properties(0).total_memory

    def limited(most: float) -> Denoiser:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(most / total)
        return denoiser_of(generator)

    found = limited((alone + together) / 2).predict(x, torch.tensor(500.0), branches)
    assert error(found, expected) < 0.01
    with pytest.raises(OutOfMemory, match="memory of cuda"):
        limited(0.7 * alone).predict(x, torch.tensor(500.0), branches)


def test_a_recording_that_has_no_room_is_done_without(generator: Generator, all_memory: None) -> None:
    denoiser = denoiser_of(generator, cuda_graphs=True)
    branches: list[Branch] = branches_of(generator, denoiser)
    x = latents(3, seed=0)
    expected = denoiser.predict(x, torch.tensor(500.0), branches)
    torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved() / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(held)
    # What is held has gaps that a plain step may still use; a recording takes new memory.
    try:
        found = denoiser.predict(x, torch.tensor(500.0), branches)
    except OutOfMemory:
        pytest.skip("not even a plain step has room here")
    assert error(found, expected) < 0.01


def test_a_vae_that_overflows_in_float16_decodes_in_float32(generator: Generator) -> None:
    picture = generator.sdxl.decode(latents(1, seed=0) * 5)
    assert picture.shape == (SIDE_PX, SIDE_PX, 3)
    assert generator.sdxl.pipeline.vae.dtype == torch.float32
    assert 0 < picture.mean() < 255


def test_a_quantized_generator_keeps_its_text_encoders_on_the_host_and_predicts_nearly_the_same(
    generator: Generator,
) -> None:
    quantized = load(quantized=True)
    found = []
    for one in (generator, quantized):
        denoiser = denoiser_of(one)
        found.append(denoiser.predict(latents(3, seed=0), torch.tensor(500.0), branches_of(one, denoiser)))
    pipeline = quantized.sdxl.pipeline
    assert {part.device.type for part in (pipeline.text_encoder, pipeline.text_encoder_2)} == {"cpu"}
    assert quantized.sdxl.device.type == "cuda"
    assert error(found[1], found[0]) < 0.1
