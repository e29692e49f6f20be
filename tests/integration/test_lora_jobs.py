"""A LoRA and a few-step LoRA from the server's list, asked for over HTTP and drawn by real workers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import save_file

from api.client import Client, Job, Lora
from compose.servers import free_port
from compose.stack import running_stack
from shared.errors import InvalidField
from tests.unit.worker.models.test_loras import diffusers_layout, fresh, kohya_layout
from worker.mini.portraits import FOLDER as PORTRAITS
from worker.output.png import pixels


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("loras")
    generation = fresh()
    save_file(diffusers_layout(generation), folder / "style.safetensors")
    save_file(kohya_layout(generation), folder / "quick.safetensors")
    allowed = {
        "style": {"file": str(folder / "style.safetensors"), "scale": 0.5},
        "quick": {"file": str(folder / "quick.safetensors"), "few_step": {"scheduler": "lcm", "steps": 4}},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TROUPE_LORAS", json.dumps(allowed))
        patch.setenv("TROUPE_DEVICE", "cpu")
        with (
            running_stack(folder / "stack", api_port=free_port(), say=lambda _: None) as stack,
            Client(stack.url) as running,
        ):
            yield running


def template(client: Client, **sampling: object) -> tuple[Job, NDArray[np.uint8]]:
    job = client.submit(
        {
            "prompt": "a man on the beach",
            "concepts": [{"phrase": "the man", "photos": [str(PORTRAITS / "ben.png")]}],
            "sampling": {"seed": 3, "steps": 6, **sampling},
            "until": "render",
        }
    )
    done = client.wait(job.id, timeout_s=120)
    done.check()
    return done, pixels(client.picture(job.id, "template"))


def test_an_applied_lora_changes_the_picture_and_a_removed_one_leaves_no_trace(client: Client) -> None:
    _, plain = template(client)
    job, applied = template(client, loras=[{"name": "style"}])
    assert job.spec.sampling.loras == (Lora(name="style", scale=0.5),)
    assert np.abs(applied.astype(int) - plain).mean() > 1
    again, _ = template(client, loras=[{"name": "style", "scale": 0.5}])
    assert "render" in again.reused
    # Other steps, so that nothing is reused: what the worker drew before must not show.
    _, after = template(client, steps=5)
    _, elsewhere = template(client, steps=5, loras=[{"name": "style", "scale": 0.0}])
    assert np.array_equal(after, elsewhere)


def test_the_preset_for_few_steps_wears_the_lora_that_is_made_for_it(client: Client) -> None:
    job, _ = template(client, preset="fast", steps=None)
    sampling = job.spec.sampling
    assert [one.name for one in sampling.loras] == ["quick"]
    assert (sampling.steps, sampling.scheduler, sampling.guidance_scale) == (4, "lcm", 1.0)


def test_a_lora_that_is_not_on_the_list_is_refused_and_the_list_is_named(client: Client) -> None:
    with pytest.raises(InvalidField, match="there is no LoRA 'other'; there are style, quick"):
        template(client, loras=[{"name": "other"}])
