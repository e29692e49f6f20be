from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from compose.certificate import own_certificate
from shared.job import Concept, JobSpec, Sampling
from shared.limits import SDXL_LIMITS
from shared.orders import Postprocessing
from shared.presets import filled
from shared.settings import Settings
from shared.version import VERSION
from tests.support.provenance import text_in, validated
from worker.output.metadata import metadata_of
from worker.output.postprocess import postprocessor_of
from worker.runner.personalize import personalize_order_of

PHOTO = "f" * 64
CPU = torch.device("cpu")
PICTURE = np.zeros((16, 16, 3), np.uint8)


def spec(**changed: object) -> JobSpec:
    concept = Concept(phrase="die Köchin", photos=(PHOTO,), box_px=(0, 0, 64, 64))
    asked = {"prompt": "eine Köchin 🍲", "concepts": (concept,), "lane": "batch", "retention_s": 77, **changed}
    asked["sampling"] = filled(Sampling(seed=7), SDXL_LIMITS)
    return JobSpec.model_validate(asked)


def test_it_holds_what_draws_the_picture_again_and_nothing_of_the_photos_or_the_queue() -> None:
    text = metadata_of(spec(), "sdxl@0123456789ab")
    said = json.loads(text)
    assert set(said) == {"version", "bundle", "prompt", "negative_prompt", "concepts", "sampling"}
    assert (said["version"], said["bundle"], said["prompt"]) == (VERSION, "sdxl@0123456789ab", "eine Köchin 🍲")
    assert said["concepts"] == [{"phrase": "die Köchin", "box_px": [0, 0, 64, 64]}]
    sampling = {"seed": 7, "mode": "shared", "mask": "box", "width_px": 1024, "height_px": 1024, "steps": 30}
    assert said["sampling"] | sampling == said["sampling"]
    assert PHOTO not in text


@pytest.mark.parametrize("signed", [True, False])
def test_pil_reads_it_in_any_language_and_the_signature_covers_it(tmp_path: Path, signed: bool) -> None:
    files = own_certificate(tmp_path)
    settings = Settings(c2pa_certificate=str(files.chain), c2pa_key=str(files.key)) if signed else Settings()
    postprocessor = postprocessor_of(settings, "mini", CPU)
    text = metadata_of(spec(), "mini")
    data = postprocessor.encode(PICTURE, postprocessor.plan(text))
    assert text_in(data) == text
    assert text_in(postprocessor.encode(PICTURE, postprocessor.plan())) is None
    if signed:
        assert validated(data, root=files.root)[0] == "Trusted"
        place = data.index(b"die K")
        changed = data[:place] + b"D" + data[place + 1 :]
        state, _, failures = validated(changed, root=files.root)
        assert (state, "assertion.dataHash.mismatch" in failures) == ("Invalid", True)


def test_a_picture_that_says_it_and_one_that_does_not_are_results_of_two_orders() -> None:
    def digest(postprocessing: Postprocessing) -> str:
        return personalize_order_of(
            spec(), bundle="mini", identities="a", template="b", regions="c", postprocessing=postprocessing
        ).digest()

    plain, told = Postprocessing(), Postprocessing(metadata=metadata_of(spec(), "mini"))
    assert digest(plain) != digest(told)
    assert digest(told) == digest(Postprocessing(metadata=metadata_of(spec(lane="interactive", max_tries=3), "mini")))
