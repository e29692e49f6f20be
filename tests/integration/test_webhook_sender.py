"""One attempt, to real servers: how it is signed, where it may go, and how little of a hostile answer it takes."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from shared.addresses import Destinations
from shared.webhook import Delivery, DeliveryStatus, Outcome, Webhook
from tests.support.receiver import Answer, Receiver, receiver
from worker.webhooks.network import Resolve
from worker.webhooks.resolver import Resolver, system_addresses
from worker.webhooks.sender import Reply, Sender

SECRET, OLD = "whsec_" + "c2VjcmV0" * 6, "whsec_" + "b2xkb2xk" * 6
LOOPBACK = "127.0.0.1/32"


def webhook(url: str, *, old: str | None = None) -> Webhook:
    old_secret = SecretStr(old) if old else None
    return Webhook(
        id="w", tenant="default", url=url, events=(), secret=SecretStr(SECRET), old_secret=old_secret, created_at=1.0
    )


DELIVERY = Delivery(
    id="d",
    webhook="w",
    message="msg_1",
    kind="job.succeeded",
    data='{"id":"j","status":"succeeded"}',
    created_at=1_700_000_000.1234,
    status=DeliveryStatus.WAITING,
    attempts={},
)


def send(
    url: str,
    *,
    networks: str = LOOPBACK,
    origins: str = "http:*,https:*",
    timeout_s: float = 5.0,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
    old: str | None = None,
) -> Reply:
    post = Sender(
        destinations=Destinations.read(origins, networks),
        tls=tls or httpx.create_ssl_context(),
        timeout_s=timeout_s,
        resolve=resolve or Resolver(4),
    )
    return asyncio.run(post.send(webhook(url, old=old), DELIVERY))


@pytest.fixture
def other() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def answers(*addresses: str) -> tuple[Resolve, list[str]]:
    """A resolver that answers each of these in turn, and the names that it was asked for."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return [addresses[min(len(asked), len(addresses)) - 1]]

    return resolve, asked


def test_a_message_is_signed_as_standard_webhooks_says(other: Receiver) -> None:
    reply = send(other.url)
    assert (reply.attempt.outcome, reply.attempt.http_status, reply.asked_s) == (Outcome.ACCEPTED, 200, None)
    [request] = other.received
    assert Verifier(SECRET).verify(request.body, request.headers) == {
        "type": "job.succeeded",
        "timestamp": "2023-11-14T22:13:20.123Z",
        "data": {"id": "j", "status": "succeeded"},
    }
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["content-type"] == "application/json"
    assert abs(int(request.headers["webhook-timestamp"]) - request.at) < 5
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(request.body + b" ", request.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(OLD).verify(request.body, request.headers)


def test_while_two_secrets_are_valid_either_verifies(other: Receiver) -> None:
    send(other.url, old=OLD)
    [request] = other.received
    for secret in (SECRET, OLD):
        assert Verifier(secret).verify(request.body, request.headers)["type"] == "job.succeeded"
    assert len(request.headers["webhook-signature"].split(" ")) == 2


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.ACCEPTED),
        (204, Outcome.ACCEPTED),
        (400, Outcome.REFUSED),
        (410, Outcome.GONE),
        (429, Outcome.REFUSED),
        (500, Outcome.REFUSED),
        (304, Outcome.REDIRECTED),
    ],
)
def test_the_status_says_what_became_of_it(other: Receiver, status: int, outcome: Outcome) -> None:
    other.answer = lambda _: Answer(status=status, body=())
    assert send(other.url).attempt.outcome is outcome


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(other: Receiver, status: int) -> None:
    with receiver() as elsewhere:
        other.answer = lambda _: Answer(status=status, headers={"Location": elsewhere.url})
        reply = send(other.url)
        assert (reply.attempt.outcome, reply.attempt.http_status) == (Outcome.REDIRECTED, status)
        assert elsewhere.received == []
    assert len(other.received) == 1


def test_retry_after_is_read_in_both_its_forms(other: Receiver) -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    for text, seconds in (
        ("120", 120),
        (in_a_minute, 60),
        ("Mon, 06 Nov 2000 08:49:37 GMT", 0),
        ("9" * 400, 999_999_999),
    ):
        other.answer = lambda _, text=text: Answer(status=503, headers={"Retry-After": text})  # type: ignore[misc]
        assert send(other.url).asked_s == pytest.approx(seconds, abs=3)
    for text in (
        "soon",
        "-5",
        "1.5",
        "٣",
        f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT",
        "Mon, 06 Nov 2000 08:49:37 +999999999",
    ):
        other.answer = lambda _, text=text: Answer(
            status=503, headers={"X-Was": "x", "Retry-After": text.encode().decode("latin-1")}
        )  # type: ignore[misc]
        assert send(other.url).asked_s is None


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "127.1", "0.0.0.0"]
)
def test_a_private_address_is_refused_however_it_is_written(other: Receiver, host: str) -> None:
    reply = send(f"http://{host}:{other.port}/", networks="")
    assert reply.attempt.outcome is Outcome.ADDRESS_NOT_ALLOWED
    assert other.received == []


def test_a_name_that_means_a_private_address_is_refused(other: Receiver) -> None:
    resolve, _ = answers("127.0.0.1")
    reply = send(f"http://public.test:{other.port}/", networks="", resolve=resolve)
    assert reply.attempt.outcome is Outcome.ADDRESS_NOT_ALLOWED
    assert other.received == []


def test_one_private_address_among_public_ones_refuses_them_all(other: Receiver) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1", "10.0.0.1"]

    reply = send(f"http://mixed.test:{other.port}/", resolve=resolve)
    assert reply.attempt.outcome is Outcome.ADDRESS_NOT_ALLOWED
    assert other.received == []


def test_a_name_that_changes_its_meaning_after_the_check_gains_nothing() -> None:
    with receiver("127.0.0.2") as allowed, receiver("127.0.0.1") as inside:
        resolve, asked = answers("127.0.0.2", "127.0.0.1")
        url = f"http://rebinds.test:{allowed.port}/"
        assert send(url, networks="127.0.0.2/32", resolve=resolve).attempt.outcome is Outcome.ACCEPTED
        assert asked == ["rebinds.test"]
        assert allowed.received[0].headers["host"] == f"rebinds.test:{allowed.port}"
        # Asked again for the next attempt, it is checked again.
        assert send(url, networks="127.0.0.2/32", resolve=resolve).attempt.outcome is Outcome.ADDRESS_NOT_ALLOWED
        assert inside.received == []


def test_a_port_or_scheme_that_is_not_allowed_is_refused_without_a_look_up(other: Receiver) -> None:
    resolve, asked = answers("127.0.0.1")
    for origins in ("https:*", "http:80,http:8080", ""):
        reply = send(f"http://somewhere.test:{other.port}/", origins=origins, resolve=resolve)
        assert reply.attempt.outcome is Outcome.ADDRESS_NOT_ALLOWED
    assert asked == []


def test_the_next_address_is_tried_when_one_does_not_answer(other: Receiver) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.3", "127.0.0.1"]

    reply = send(f"http://two.test:{other.port}/", networks="127.0.0.0/8", resolve=resolve)
    assert reply.attempt.outcome is Outcome.ACCEPTED


def test_a_name_without_an_address_is_an_outcome(other: Receiver) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert send("http://nowhere.test/", resolve=resolve).attempt.outcome is Outcome.NAME_NOT_FOUND
    assert send(f"http://{'x' * 70}.test/").attempt.outcome is Outcome.NAME_NOT_FOUND


def test_a_resolver_that_hangs_is_a_timeout() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(60)
        return []

    began = time.monotonic()
    assert send("http://slow.test/", resolve=resolve, timeout_s=0.3).attempt.outcome is Outcome.TIMED_OUT
    assert time.monotonic() - began < 5


def test_a_look_up_that_cannot_be_stopped_is_a_timeout_and_ends_with_it(other: Receiver) -> None:
    over = threading.Event()

    def look_up(host: str, port: int) -> list[str]:
        if host == "hangs.test":
            over.wait()
        return system_addresses("127.0.0.1", port)

    resolve, began = Resolver(2, look_up), time.monotonic()
    try:
        for _ in range(3):
            reply = send(f"http://hangs.test:{other.port}/", resolve=resolve, timeout_s=0.2)
            assert reply.attempt.outcome is Outcome.TIMED_OUT
        # They had one place together: there is one for another host.
        assert send(f"http://works.test:{other.port}/", resolve=resolve).attempt.outcome is Outcome.ACCEPTED
        assert time.monotonic() - began < 5
    finally:
        over.set()


def test_nobody_there_is_an_outcome() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        reply = send(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert reply.attempt.outcome is Outcome.NOT_CONNECTED


def test_a_receiver_that_hangs_costs_the_timeout_and_no_more(other: Receiver) -> None:
    other.answer = lambda _: Answer(hang=True)
    began = time.monotonic()
    assert send(other.url, timeout_s=0.5).attempt.outcome is Outcome.TIMED_OUT
    assert time.monotonic() - began < 3


def raw_server(*pieces: bytes, pause_s: float) -> tuple[int, threading.Event]:
    """A server of one connection that writes these pieces, again and again, with a pause between them."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(65_536)
            try:
                connection.sendall(pieces[0])
                while not over.wait(pause_s):
                    for piece in pieces[1:]:
                        connection.sendall(piece)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1], over


def test_a_head_that_trickles_is_a_timeout() -> None:
    port, over = raw_server(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", pause_s=0.05)
    began = time.monotonic()
    assert send(f"http://127.0.0.1:{port}/", timeout_s=0.6).attempt.outcome is Outcome.TIMED_OUT
    assert time.monotonic() - began < 3
    over.set()


def test_a_head_without_end_is_refused_early() -> None:
    port, over = raw_server(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"b" * 60_000 + b"\r\n", pause_s=0.001)
    assert send(f"http://127.0.0.1:{port}/", timeout_s=20).attempt.outcome is Outcome.BROKEN_ANSWER
    over.set()


def test_a_body_without_end_is_read_a_little_way_and_the_status_counts() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    port, over = raw_server(head, b"8000\r\n" + b"x" * 0x8000 + b"\r\n", pause_s=0.0)
    began = time.monotonic()
    assert send(f"http://127.0.0.1:{port}/").attempt.outcome is Outcome.ACCEPTED
    assert time.monotonic() - began < 1
    over.set()


def test_a_body_that_trickles_is_read_for_a_moment_and_the_status_counts(other: Receiver) -> None:
    other.answer = lambda _: Answer(status=503, headers={"Retry-After": "7"}, body=(b"x",) * 100, pause_s=0.2)
    began = time.monotonic()
    reply = send(other.url, timeout_s=30)
    assert (reply.attempt.outcome, reply.asked_s) == (Outcome.REFUSED, 7.0)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_http_is_an_outcome(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as connection:
                connection.recv(65_536)
                connection.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        reply = send(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert reply.attempt.outcome is Outcome.BROKEN_ANSWER


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for the name `receiver.test` alone, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=receiver.test", "-addext", "subjectAltName=DNS:receiver.test"]
    words += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(words, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return both


@pytest.fixture
def secure(certificate: Path) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with receiver(tls=context) as made:
        yield made


def test_tls_is_checked_against_the_hosts_name_though_an_address_is_connected_to(
    secure: Receiver, certificate: Path
) -> None:
    trusts = ssl.create_default_context(cafile=str(certificate))
    resolve, _ = answers("127.0.0.1")
    right = send(f"https://receiver.test:{secure.port}/", resolve=resolve, tls=trusts)
    wrong = send(f"https://other.test:{secure.port}/", resolve=resolve, tls=trusts)
    assert right.attempt.outcome is Outcome.ACCEPTED
    assert wrong.attempt.outcome is Outcome.BAD_CERTIFICATE
    assert len(secure.received) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: Receiver) -> None:
    resolve, _ = answers("127.0.0.1")
    reply = send(f"https://receiver.test:{secure.port}/", resolve=resolve)
    assert reply.attempt.outcome is Outcome.BAD_CERTIFICATE
    assert secure.received == []


def test_the_body_is_json_whatever_the_kind(other: Receiver) -> None:
    send(other.url)
    assert json.loads(other.received[0].body)["type"] == DELIVERY.kind
