"""The servers that the other integration tests stand on do what production's do."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
import redis

from shared.blob_store import BlobStore
from shared.settings import Settings
from tests.support.servers import redis_server


def test_redis_keeps_its_records_over_a_kill(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        client.waitaof(1, 0, 5000)
        server.kill()
        server.start()
        assert client.get("kept") == b"yes"


def test_redis_evicts_nothing(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_s3_serves_a_signed_address_and_refuses_a_changed_one(settings: Settings) -> None:
    blobs = BlobStore(settings)
    blobs.ensure_bucket()
    blobs.put("photos/one.png", b"bytes", "image/png")
    address = blobs.url("photos/one.png")
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == b"bytes"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address.replace("one.png", "two.png"))
    refused.value.close()
    assert refused.value.code == 403
