"""A client that openapi-python-client makes from the OpenAPI document sends a job and a batch to a real server."""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from shared.settings import Settings
from tests.support.api_server import ApiServer, png_bytes

# The generator knows JSON, forms and bytes: everything else that the document names is bytes for it.
CONFIG = {
    "content_type_overrides": {
        "application/jsonl": "application/octet-stream",
        "application/x-ndjson": "application/octet-stream",
        "application/zip": "application/octet-stream",
        "image/jpeg": "application/octet-stream",
        "image/png": "application/octet-stream",
        "image/*": "application/octet-stream",
        "application/problem+json": "application/json",
    },
    "post_hooks": [],
}
NAME = "generated_troupe"
# The models of the document's components, of lists and of enumerations; one for each answer would be hundreds.
MOST_MODELS = 110


class Generated:
    """The generated package, by dotted names."""

    def __getattr__(self, name: str) -> Any:
        return importlib.import_module(f"{NAME}.{name.replace('__', '.')}")

    def operation(self, tag: str, name: str) -> Any:
        """The module of an operation."""
        return importlib.import_module(f"{NAME}.api.{tag}.{name}")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("generated")
    document, config = folder / "openapi.json", folder / "config.json"
    document.write_text(json.dumps(create_app(Settings()).openapi()))
    config.write_text(json.dumps(CONFIG))
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--meta", "none"]
    options = ["--path", str(document), "--config", str(config), "--output-path", str(folder / NAME)]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # The generator tells on stdout what it left out.
    assert "WARNING" not in done.stdout + done.stderr, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield folder / NAME
    sys.path.remove(str(folder))
    for module in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[module]


@pytest.fixture
def generated(package: Path) -> Generated:
    assert package.is_dir()
    return Generated()


@pytest.fixture
def connection(generated: Generated, server: ApiServer) -> Iterator[Any]:
    with generated.client.Client(base_url=server.url, raise_on_unexpected_status=True) as connection:
        yield connection


def upload(generated: Generated, connection: Any) -> str:
    file = generated.types.File(payload=io.BytesIO(png_bytes()), file_name="a.png", mime_type="image/png")
    answer = generated.operation("photos", "upload_photo").sync(
        client=connection, body=generated.models.PhotoForm(photo=file)
    )
    assert isinstance(answer, generated.models.PhotoView)
    photo: str = answer.id
    return photo


def test_all_problems_are_one_model(package: Path) -> None:
    models = {path.stem for path in (package / "models").glob("*.py")}
    assert {name for name in models if "problem" in name} == {"problem", "problem_code", "field_problem"}
    assert len(models) <= MOST_MODELS


def test_a_job_is_sent_and_read_again(generated: Generated, connection: Any, server: ApiServer) -> None:
    models, jobs = generated.models, generated.operation
    photo = upload(generated, connection)
    spec = models.JobSpec(
        prompt="a man on the beach", concepts=[models.Concept(phrase="the man", photos=[photo])], retention_s=60
    )
    job = jobs("jobs", "submit_job").sync(client=connection, body=spec)
    assert isinstance(job, models.JobView)
    server.run_stages(job.id)
    job = jobs("jobs", "get_job").sync(job.id, client=connection)
    assert (job.status, job.spec.retention_s) == ("succeeded", 60)
    assert job.id in [one.id for one in jobs("jobs", "list_jobs").sync(client=connection).jobs]
    with generated.client.Client(base_url=server.url, headers={"Accept": "image/png"}) as as_png:
        picture = jobs("pictures", "get_picture").sync(job.id, client=as_png)
    assert picture.payload.read() == png_bytes()


def test_a_batch_is_sent_as_lines_and_as_scenes_and_casts(generated: Generated, connection: Any) -> None:
    models, photo = generated.models, upload(generated, connection)
    people = [models.Concept(phrase="the man", photos=[photo])]
    lines = [models.BatchLine(custom_id=name, prompt="a man", concepts=people) for name in "ab"]
    text = "".join(json.dumps(line.to_dict()) + "\n" for line in lines)
    scenes = models.ProductBatch(
        scenes=[models.Scene(prompt="a man"), models.Scene(prompt="a dog")], casts=[models.Cast(concepts=people)]
    )
    for body in (generated.types.File(payload=io.BytesIO(text.encode())), scenes):
        batch = generated.operation("batches", "create_batch").sync(client=connection, body=body)
        assert isinstance(batch, models.BatchView), batch
        assert (batch.lines, batch.counts.invalid) == (2, 0)


def test_a_refusal_is_a_problem_with_its_fields(generated: Generated, connection: Any) -> None:
    models = generated.models
    spec = models.JobSpec(prompt="a man", concepts=[models.Concept(phrase="the man", photos=["0" * 64])])
    problem = generated.operation("jobs", "submit_job").sync(client=connection, body=spec)
    assert isinstance(problem, models.Problem)
    assert (problem.status, problem.code) == (422, "unknown_photo")
    assert [one.pointer for one in problem.errors] == ["/concepts/0/photos/0"]
