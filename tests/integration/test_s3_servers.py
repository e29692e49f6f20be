"""S3 servers as people have them: what they lack is served or said, and what they refuse is not tried for ever."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import boto3
import pytest

from shared.blob_store import BlobStore
from shared.errors import BlobsRefused, BlobsUnavailable
from shared.startup import check_bucket
from tests.support.s3_stand_in import DOMAIN, S3StandIn, s3_stand_in

DATA = bytes(range(250)) * 40


def lacks(server: S3StandIn, **more: object) -> dict[str, bool]:
    """What the check at the start of a process says: words, and whether they end it."""
    settings = server.settings(**more)
    return {problem.words: problem.fatal for problem in check_bucket(BlobStore(settings), settings)}


def found(server: S3StandIn, words: str) -> bool:
    """Whether the one problem that has these words is fatal."""
    ((said, fatal),) = lacks(server).items()
    assert re.search(words, said)
    return fatal


def test_bytes_over_tls_are_stored_as_they_are(tmp_path: Path) -> None:
    with s3_stand_in(tmp_path) as server:
        blobs = BlobStore(server.settings())
        blobs.ensure_bucket()
        blobs.put("tenant/a", DATA, "image/png")
        blobs.put_new("tenant/b", DATA, "image/png")
        assert (blobs.get("tenant/a"), blobs.get("tenant/b")) == (DATA, DATA)
        assert server.blobs["tenant/a"].data == DATA
        assert blobs.erase("tenant/") == 2


def test_a_server_with_everything_lacks_nothing_over_tls(tmp_path: Path) -> None:
    with s3_stand_in(tmp_path) as server:
        assert lacks(server) == {}
        assert server.blobs == {}


def test_a_certificate_that_is_not_trusted_ends_the_start(tmp_path: Path) -> None:
    with s3_stand_in(tmp_path) as server:
        ((words, fatal),) = lacks(server, s3_ca_file="").items()
        assert fatal
        assert "is not trusted" in words


@pytest.mark.parametrize(
    ("quirks", "words", "fatal"),
    [
        (
            {"conditional": "passed over"},
            "fails at 'conditional write' in bucket bucket .*: If-None-Match",
            False,
        ),
        ({"conditional": "unknown"}, "fails at 'conditional write' .*NotImplemented", False),
        ({"delete_many": "unknown"}, "fails at 'delete several at once'", False),
        ({"delete_many": "half"}, "fails at 'delete several at once' .*InternalError", False),
        ({"refused": {"PUT": (403, "AccessDenied")}}, "refuses to make the bucket", True),
        ({"refused": {"HEAD": (403, "AccessDenied")}}, "refuses to open the bucket", True),
        ({"refused": {"DELETE": (403, "AccessDenied")}}, "fails at 'delete' in bucket", True),
        ({"refused": {"GET": (403, "AccessDenied")}}, "fails at 'read' in bucket", True),
    ],
)
def test_what_a_server_cannot_do_is_said_by_name_at_the_start(quirks: dict[str, Any], words: str, fatal: bool) -> None:
    with s3_stand_in(**quirks) as server:
        assert found(server, words) is fatal


def test_signed_addresses_that_fail_are_said_both(tmp_path: Path) -> None:
    with s3_stand_in(tmp_path, signed=False) as server:
        said = sorted(lacks(server))
        assert [words.split("'")[1] for words in said] == [
            "signed GET",
            "signed PUT",
        ]
        assert all("SignatureDoesNotMatch" in words for words in said)


def test_a_server_that_keeps_other_bytes_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_stand_in() as server:
        blobs = BlobStore(server.settings())
        blobs.ensure_bucket()
        # As the frame of a checksum behind the bytes does (boto3 4400).
        put = blobs._client.put_object
        monkeypatch.setattr(blobs._client, "put_object", lambda **given: put(**{**given, "Body": b"2710\r\n" + DATA}))
        (problem,) = check_bucket(blobs, server.settings())
        assert problem.fatal
        assert "10000 bytes were written and 10006 others were read, beginning b'2710" in problem.words


@pytest.mark.parametrize("kind", ["done", "unknown", "with Content-MD5", "half"])
def test_erasure_ends_on_every_server(kind: str) -> None:
    with s3_stand_in(delete_many=kind) as server:
        blobs = BlobStore(server.settings())
        blobs.ensure_bucket()
        for number in range(5):
            blobs.put(f"tenant/{number}", b"x", "text/plain")
        assert blobs.erase("tenant/") == 5
        assert server.blobs == {}


def test_a_server_without_delete_objects_is_asked_for_it_once() -> None:
    with s3_stand_in(delete_many="unknown") as server:
        blobs = BlobStore(server.settings())
        blobs.ensure_bucket()
        for _ in range(2):
            blobs.put("tenant/a", b"x", "text/plain")
            blobs.erase("tenant/")
        assert [line for line in server.asked if line.startswith("POST")] == ["POST "]


@pytest.mark.parametrize("conditional", ["kept", "passed over", "unknown"])
def test_the_first_writer_of_a_blob_wins_with_and_without_conditional_writes(conditional: str) -> None:
    with s3_stand_in(conditional=conditional) as server:
        blobs = BlobStore(server.settings())
        blobs.ensure_bucket()
        for data in (b"first", b"second"):
            blobs.put_new("tenant/a", data, "text/plain")
        assert blobs.get("tenant/a") == b"first"


def test_a_bucket_in_the_name_of_the_host_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = socket.getaddrinfo

    def here(host: Any, *more: Any, **given: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(DOMAIN) else host, *more, **given)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    with s3_stand_in(tmp_path, virtual=True) as server:
        port = server.url.rpartition(":")[2]
        more = {"s3_endpoint_url": f"https://{DOMAIN}:{port}", "s3_addressing": "virtual"}
        assert lacks(server, **more) == {}
        assert BlobStore(server.settings(**more)).url("a").startswith(f"https://bucket.{DOMAIN}:{port}/a?")
        (fatal,) = lacks(server).values()
        assert fatal


@pytest.mark.parametrize("region", ["eu-central-1", ""])
def test_a_bucket_is_made_in_its_region_and_by_servers_that_know_none(region: str) -> None:
    with s3_stand_in(region=region) as server:
        assert lacks(server, s3_region="eu-central-1") == {}
        assert server.buckets == {"bucket"}


def test_credentials_of_the_environment_with_a_session_token_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    # boto3 keeps what it found once.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of a role")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "its secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "its token")
    with s3_stand_in(token="its token") as server:
        assert lacks(server, s3_access_key="") == {}
        (fatal,) = lacks(server).values()
        assert fatal


def test_no_credentials_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with s3_stand_in() as server:
        ((words, fatal),) = lacks(server, s3_access_key="").items()
        assert fatal
        assert "no credentials" in words


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket"), (403, "InvalidAccessKeyId")]
)
def test_a_refusal_that_cannot_pass_is_an_error_of_its_own(status: int, code: str) -> None:
    with s3_stand_in() as server:
        blobs = BlobStore(server.settings())
        blobs.ensure_bucket()
        server.quirks.refused["PUT"] = (status, code)
        with pytest.raises(BlobsRefused, match=f"refuses to put tenant/a: .*{code}"):
            blobs.put("tenant/a", b"x", "text/plain")


def test_an_outage_is_none() -> None:
    with s3_stand_in() as server:
        blobs = BlobStore(server.settings())
        blobs.ensure_bucket()
        server.quirks.refused["PUT"] = (503, "SlowDown")
        with pytest.raises(BlobsUnavailable):
            blobs.put("tenant/a", b"x", "text/plain")


def test_an_answer_that_breaks_off_is_an_outage_whatever_was_asked(tmp_path: Path) -> None:
    with s3_stand_in(tmp_path) as server:
        blobs = BlobStore(server.settings())
        blobs.ensure_bucket()
        blobs.put("tenant/a", DATA, "image/png")
        for act in (lambda: blobs.get("tenant/a"), lambda: list(blobs.listed("tenant/"))):
            # As often as boto3 tries.
            server.quirks.cut = ["GET"] * 8
            with pytest.raises(BlobsUnavailable):
                act()
            server.quirks.cut = []
        server.quirks.cut = ["POST"] * 8
        assert blobs.erase("tenant/") == 1
        assert server.blobs == {}
