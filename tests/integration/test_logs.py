"""A whole stack at its most talkative: its logs are JSON, say which job and stage, and hold nothing private."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from api.auth.key_table import KeyTable
from api.client import Client, scene
from compose.servers import free_port
from compose.stack import running_stack
from shared.settings import Settings
from shared.store.connection import connect
from tests.support.api_server import environment_of
from tests.support.receiver import receiver
from tests.support.servers import SECRET_KEY
from worker.mini.portraits import FOLDER as PORTRAITS

# More words than CLIP reads: what is cut off is told by the library, in the words that were cut off.
PROMPT = "a man on the beach " + "zanzibar " * 90 + "under a quetzalcoatl kite"
NEGATIVE = "no xylophones"
PHRASE = "the man"


@dataclass(frozen=True, kw_only=True)
class Night:
    """What a stack that ran one job logged, by process, and what must not be in it."""

    logs: dict[str, str]
    secrets: dict[str, str]
    job: str

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.logs[name].splitlines()]


@pytest.fixture(scope="module")
def night(redis_url: str, s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Night:
    folder = tmp_path_factory.mktemp("night")
    settings = Settings.model_validate(
        {
            "redis_url": redis_url,
            "s3_endpoint_url": s3_url,
            "s3_access_key": "test-access",
            "s3_secret_key": SECRET_KEY,
            "key_prefix": folder.name,
            "s3_bucket": f"t{folder.name.lower()}",
            "device": "cpu",
            "auth": True,
            "webhook_origins": "http:*",
            "webhook_networks": "127.0.0.0/8",
            "log_level": "debug",
        }
    )
    with connect(settings) as redis:
        key = KeyTable(redis, settings).create("somebody")
    photo = (PORTRAITS / "ben.png").read_bytes()
    with pytest.MonkeyPatch.context() as patch, receiver() as hook:
        for name, value in environment_of(settings).items():
            patch.setenv(name, value)
        with (
            running_stack(folder, api_port=free_port(), say=lambda _: None, webhooks=True) as stack,
            Client(stack.url, key=key) as client,
        ):
            headers = {"Authorization": f"Bearer {key}"}
            made = httpx.post(f"{stack.url}/v1/webhooks", json={"url": f"{hook.url}?token=hush-hush"}, headers=headers)
            asked = scene(PROMPT, {PHRASE: str(PORTRAITS / "ben.png")}, negative_prompt=NEGATIVE)
            job = client.submit(asked, consent="by word of mouth in timbuktu")
            done = client.wait(job.id, timeout_s=120)
            done.check()
            signed = httpx.get(f"{stack.url}/v1/jobs/{job.id}/picture", headers=headers).headers["location"]
            httpx.get(f"{stack.url}/v1/jobs/{job.id}?key={key}")
            hook.wait_for(1)
        logs = {path.stem: path.read_text(errors="replace") for path in (folder / "logs").glob("*.log")}
    return Night(
        logs=logs,
        secrets={
            "the prompt": "zanzibar",
            "the end of the prompt": "quetzalcoatl",
            "the negative prompt": "xylophone",
            "the phrase": PHRASE,
            "the photo": photo[1000:1024].decode("latin-1"),
            "the photo as base64": base64.b64encode(photo[999:1023]).decode(),
            "the photo as hexadecimal digits": photo[1000:1016].hex(),
            "the photo as Python writes it": repr(photo[1000:1010])[2:-1],
            "what was said of consent": "timbuktu",
            "the API key": key.rpartition("_")[2],
            "the S3 key": SECRET_KEY,
            "a signed address": "X-Amz-Signature",
            "the signature": signed.rpartition("X-Amz-Signature=")[2],
            "a header of S3": "AWS4-HMAC",
            "the webhook's address": "hush-hush",
            "the webhook's secret": made.json()["secret"].removeprefix("whsec_"),
        },
        job=job.id,
    )


def test_nothing_private_is_in_any_log(night: Night) -> None:
    assert set(night.logs) == {"api", "detection", "generation", "webhooks"}
    found = [
        f"{what} is in the log of {name}: {line[:300]}"
        for name, text in night.logs.items()
        for what, secret in night.secrets.items()
        for line in text.splitlines()
        if secret in line
    ]
    assert found == []


def test_every_line_is_a_json_object_with_its_room_and_level(night: Night) -> None:
    rooms = {"api": "api", "webhooks": "webhooks", "detection": "worker-detection", "generation": "worker-generation"}
    for name, room in rooms.items():
        lines = night.lines(name)
        assert {line["service"] for line in lines} == {room}
        assert {line["level"] for line in lines} <= {"debug", "info", "warning", "error"}
        assert all({"event", "timestamp", "logger"} <= line.keys() for line in lines)


@pytest.mark.parametrize("name", ["detection", "generation", "webhooks"])
def test_celery_says_that_it_stops_in_a_line_like_any_other(night: Night, name: str) -> None:
    # A line a signal: a stack may be stopped twice.
    lines = [line for line in night.lines(name) if line["event"] == "worker: Warm shutdown (MainProcess)"]
    assert {(line["logger"], line["level"]) for line in lines} == {("celery.apps.worker", "info")}


@pytest.mark.parametrize(("role", "stages"), [("detection", 3), ("generation", 2)])
def test_what_a_task_logs_names_its_job_and_stage(night: Night, role: str, stages: int) -> None:
    lines = [line for line in night.lines(role) if line["logger"] in {"worker.queue.tasks", "worker.queue.lease"}]
    assert {line["job_id"] for line in lines} == {night.job}
    assert len({line["stage"] for line in lines}) == stages


def test_a_delivery_names_itself_and_not_its_address(night: Night) -> None:
    [line] = [line for line in night.lines("webhooks") if line["event"] == "delivery_made"]
    assert line["delivery_id"]
    assert line["outcome"] == "accepted"
