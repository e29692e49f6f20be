from __future__ import annotations

import pytest
from torch import nn

from shared.settings import Settings
from worker.models.bundle import Bundle, load_bundle
from worker.runner.device import DeviceMonitor

SETTINGS = Settings(device="cpu")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(SETTINGS, "generation")


def test_to_warm_up_runs_every_network(bundle: Bundle) -> None:
    assert bundle.generation is not None
    generator = bundle.generation.generator
    pipeline, instantid = generator.sdxl.pipeline, generator.instantid
    networks: dict[str, nn.Module] = {
        "text_encoder": pipeline.text_encoder,
        "text_encoder_2": pipeline.text_encoder_2,
        "unet": pipeline.unet,
        "decoder": pipeline.vae.decoder,
        "identitynet": instantid.identitynet,
        "resampler": instantid.resampler,
    }
    ran: set[str] = set()
    hooks = [network.register_forward_hook(lambda *_, name=name: ran.add(name)) for name, network in networks.items()]
    DeviceMonitor(bundle, SETTINGS).warm_up()
    for hook in hooks:
        hook.remove()
    assert ran == set(networks)


def test_a_worker_knows_its_device_and_the_largest_picture_of_its_bundle(bundle: Bundle) -> None:
    gauge = DeviceMonitor(bundle, SETTINGS).status()
    assert gauge.device.startswith("cpu")
    assert 0 < gauge.free_mb <= gauge.memory_mb
    assert gauge.max_pixels == 256 * 256


@pytest.mark.parametrize(("asked", "most"), [(20_000, 20_000), (10**9, 256 * 256)])
def test_a_setting_bounds_the_picture_within_what_the_bundle_draws(bundle: Bundle, asked: int, most: int) -> None:
    settings = SETTINGS.model_copy(update={"max_pixels": asked})
    equipment = DeviceMonitor(bundle, settings)
    equipment.warm_up()
    assert equipment.status().max_pixels == most
