"""Every field of a job request can be sent by every way in."""

from __future__ import annotations

import json

import httpx
import pytest

from api.batches.lines import CheckedLine, LineReader, RawLine, ValidLine
from api.batches.product import ProductBatch, lines_of
from api.http.problems import parse_json
from shared.job import JobSpec, SceneSpec
from shared.job_options import job_options
from shared.limits import MINI_LIMITS
from tests.support.api_server import png_bytes

PHOTO = "0" * 64
PEOPLE = [{"phrase": "the man", "photos": [PHOTO]}]
# A value other than the default for each field. The people differ only by way in.
VALUES: dict[str, object] = {
    "prompt": "a man in the snow",
    "negative_prompt": "rain",
    "sampling": {"seed": 7, "steps": 3},
    "min_identity": 0.25,
    "max_tries": 3,
    "until": "detect",
    "embed_settings": True,
    "retention_s": 60,
    "expires_after_s": 90,
    "concepts": [{"phrase": "the tall man", "photos": [PHOTO]}],
    "lane": "batch",
}
FIELDS = sorted(VALUES)
# Scenes and casts take the people from the casts and the lane from the batch.
SCENE_FIELDS = sorted(set(VALUES) - {"concepts", "lane"})


def job(name: str) -> dict[str, object]:
    return {"prompt": "a man", "concepts": PEOPLE, name: VALUES[name]}


def arrived(found: object, expected: object) -> bool:
    """Whether the value is in what was found, where defaults may have been filled in."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(arrived(found.get(name), value) for name, value in expected.items())
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(arrived, found, expected))
    return found == expected


def value_of(line: CheckedLine, name: str) -> object:
    assert isinstance(line, ValidLine), line
    return line.spec.model_dump(mode="json")[name]


def test_the_table_of_this_test_has_every_field_with_a_value_that_is_not_the_default() -> None:
    assert {option.name for option in job_options()} == set(VALUES) == set(JobSpec.model_fields)
    assert set(SCENE_FIELDS) == set(SceneSpec.model_fields)
    assert all(VALUES[option.name] != option.field.default for option in job_options())


@pytest.mark.parametrize("name", FIELDS)
def test_json_and_a_form_take_the_field(client: httpx.Client, name: str) -> None:
    photo = client.post("/v1/photos", content=png_bytes(), headers={"Content-Type": "image/png"}).json()["id"]
    body = json.loads(json.dumps(job(name)).replace(PHOTO, photo))
    form = {key: value if isinstance(value, str) else json.dumps(value) for key, value in body.items()}
    for answer in (
        client.post("/v1/jobs", json=body),
        client.post("/v1/jobs", files={k: (None, v) for k, v in form.items()}),
    ):
        assert answer.status_code == 202, answer.text
        assert arrived(answer.json()["spec"][name], body[name])


@pytest.mark.parametrize("name", FIELDS)
def test_a_line_of_a_batch_takes_the_field(name: str) -> None:
    data = json.dumps({"custom_id": "a", **job(name)}).encode()
    (line,) = LineReader(MINI_LIMITS).read([RawLine(number=1, data=data)])
    assert arrived(value_of(line, name), VALUES[name])


@pytest.mark.parametrize("name", SCENE_FIELDS)
def test_a_scene_takes_the_field(name: str) -> None:
    scene = {"prompt": "a man", name: VALUES[name]}
    body = json.dumps({"scenes": [scene], "casts": [{"concepts": PEOPLE}]}).encode()
    (line,) = lines_of(parse_json(ProductBatch, body), LineReader(MINI_LIMITS))
    assert arrived(value_of(line, name), VALUES[name])
