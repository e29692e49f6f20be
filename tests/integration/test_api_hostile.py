"""A caller who means no good: never a 500, never more than the limits, and the next caller is served."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from tests.support.api_server import ApiServer, api_server, png_bytes
from tests.support.servers import fresh_settings

_BODY_BYTES = 50_000
_ID = "0" * 32


@pytest.fixture(scope="module")
def server(redis_url: str, s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    settings = fresh_settings(
        redis_url,
        s3_url,
        max_photo_bytes=200_000,
        max_body_bytes=_BODY_BYTES,
        max_wait_s=1,
    )
    with api_server(settings, tmp_path_factory.mktemp("api")) as running:
        yield running
        # Whatever the tests of this file sent, none of it may have met a bug.
        assert "Traceback" not in running.running.log.read_text()


@pytest.fixture(scope="module")
def client(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def code_of(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert 400 <= answer.status_code < 500
    code: str = answer.json()["code"]
    return code


def raw(server: ApiServer, request: bytes, *, read: bool = True) -> bytes:
    """What the server answers to these bytes until it closes, or nothing when the caller hangs up right after them."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65_536), b"")) if read else b""


_ONE_FIELD = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nx\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("application/json", b'{"prompt": ' + b"[" * 30_000, "malformed_body"),
        ("application/json", b'{"prompt": "a\\u0000b", "concepts": "\xff"}', "malformed_body"),
        ("application/json", b'{"prompt": "\\udfff"}', "malformed_body"),
        ("application/json", json.dumps({"x" * 40_000: 1}).encode(), "invalid_field"),
        ("application/json", json.dumps({str(number): 1 for number in range(3_000)}).encode(), "invalid_field"),
        ("application/json", b'{"prompt": 1e999, "concepts": 9' + b"9" * 20_000 + b"}", "malformed_body"),
        ("application/json; charset=utf-16", '{"prompt": "x"}'.encode("utf-16"), "malformed_body"),
        ("application/json", b"x" * (_BODY_BYTES + 1), "body_too_large"),
        ("text/plain", b"{}", "unsupported_media"),
        ("application/x-www-form-urlencoded", b"prompt=x", "unsupported_media"),
        ("multipart/form-data", b"x", "malformed_body"),
        ("multipart/form-data; boundary=", b"x", "malformed_body"),
        ("multipart/form-data; boundary=b", b"--b\r\nno headers", "malformed_body"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
            "malformed_body",
        ),
        ("multipart/form-data; boundary=b; charset=undefined", _ONE_FIELD, "malformed_body"),
        ("multipart/form-data; boundary=b; charset=nothing-of-the-kind", _ONE_FIELD, "invalid_field"),
        ("multipart/form-data; boundary=" + "b" * 5_000, b"x", "malformed_body"),
        ("multipart/form-data; boundary=b", b"--b--\r\n", "invalid_field"),
        ("\xff\xfe", b"x", "unsupported_media"),
        ("", b"{}", "unsupported_media"),
    ],
)
def test_a_strange_body_is_a_problem_with_a_code(
    client: httpx.Client, content_type: str, body: bytes, code: str
) -> None:
    answer = client.post("/v1/jobs", content=body, headers=[(b"Content-Type", content_type.encode("latin-1"))])
    assert code_of(answer) == code
    assert len(answer.content) < 10_000


def test_a_form_of_many_parts_is_refused(client: httpx.Client) -> None:
    many = {f"f{number}": "x" for number in range(200)}
    answer = client.post("/v1/jobs", data=many, files={"photo": png_bytes()})
    assert code_of(answer) == "malformed_body"
    answer = client.post("/v1/jobs", files=[("photo", (f"{number}.png", b"x")) for number in range(60)])
    assert code_of(answer) == "malformed_body"


def test_a_compressed_body_is_refused(client: httpx.Client) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert code_of(client.post("/v1/jobs", content=b"\x1f\x8b", headers=headers)) == "unsupported_media"


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/jobs/{'a' * 10_000}",
        "/v1/jobs/%00",
        "/v1/jobs/%ff%fe",
        "/v1/jobs/..%2f..%2fetc",
        "/v1/jobs/" + "%F0%9F%92%A9" * 50,
        f"/v1/jobs/{_ID}%0A",
        f"/v1/jobs/{_ID.upper()}A",
        f"/v1/jobs/{_ID}/picture",
        f"/v1/jobs/{_ID}",
    ],
)
def test_a_strange_id_is_no_job(server: ApiServer, path: str) -> None:
    answer = raw(server, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 404 " in head.splitlines()[0]
    assert json.loads(body)["code"] in {"job_not_found", "route_not_found"}


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1", "route_not_found"),
        ("GET", "/v1/jobs/", "route_not_found"),
        ("GET", "/v2/jobs", "route_not_found"),
        ("PATCH", f"/v1/jobs/{_ID}", "method_not_allowed"),
        ("DELETE", f"/v1/jobs/{_ID}", "job_not_found"),
        ("PATCH", "/v1/photos", "method_not_allowed"),
        ("PUT", "/v1/jobs", "method_not_allowed"),
        ("POST", f"/v1/jobs/{_ID}/cancel", "job_not_found"),
        ("POST", f"/v1/jobs/{'x' * 9_000}/cancel", "job_not_found"),
    ],
)
def test_an_unknown_address_or_method_is_a_problem_too(client: httpx.Client, method: str, path: str, code: str) -> None:
    answer = client.request(method, path)
    assert code_of(answer) == code
    assert ("allow" in answer.headers) is (code == "method_not_allowed")


@pytest.mark.parametrize("wait", ["nan", "-1", "inf", "1e999", "soon", "", "1,2", "%00", "0x1"])
def test_a_strange_wait_is_pointed_at(client: httpx.Client, wait: str) -> None:
    answer = client.get(f"/v1/jobs/{_ID}?wait={wait}")
    assert code_of(answer) == "invalid_field"
    assert answer.json()["errors"][0]["parameter"] == "wait"


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/photos"])
def test_a_body_that_says_it_is_huge_is_refused_before_it_is_read(server: ApiServer, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {{}}\r\nContent-Length: 999999999999999999999999\r\n\r\n"
    for content_type in ("application/json", "image/png", "multipart/form-data; boundary=b"):
        answer = raw(server, head.format(content_type).encode())
        assert answer.split(b" ", 2)[1] in {b"400", b"413", b"415"}


def test_a_body_without_end_is_cut_at_the_limit(server: ApiServer) -> None:
    """Chunked, so that nothing says how long it will be: the answer comes although the body never ends."""
    chunk = b"%x\r\n%s\r\n" % (10_000, b" " * 10_000)
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = raw(server, head + chunk * (_BODY_BYTES // 10_000 + 1))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in answer


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/photos"])
@pytest.mark.parametrize("content_type", ["application/json", "image/png", "multipart/form-data; boundary=b"])
def test_who_hangs_up_in_the_middle_of_a_body_harms_nobody(
    server: ApiServer, client: httpx.Client, path: str, content_type: str
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: 1000\r\n\r\n--b\r\n"
    raw(server, head.encode(), read=False)
    assert client.get("/healthz").status_code == 200


@example_settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prompt=st.text(max_size=60),
    phrase=st.text(max_size=30),
    name=st.text(max_size=30),
    data=st.one_of(st.just(png_bytes()), st.binary(max_size=50)),
)
def test_any_words_in_a_form_are_a_job_or_a_problem(
    client: httpx.Client, prompt: str, phrase: str, name: str, data: bytes
) -> None:
    answer = client.post("/v1/jobs", data={"prompt": prompt, "phrase": phrase}, files={"photo": (name or "x", data)})
    if answer.status_code == 202:
        spec = answer.json()["spec"]
        assert spec["prompt"] in prompt
        assert spec["concepts"][0]["phrase"] in phrase
    else:
        assert code_of(answer)


@example_settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300), boundary=st.from_regex(r"[a-z]{1,4}", fullmatch=True))
def test_any_bytes_in_a_form_are_a_problem(client: httpx.Client, body: bytes, boundary: str) -> None:
    framed = b"--" + boundary.encode() + b"\r\n" + body
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    for path in ("/v1/jobs", "/v1/photos"):
        assert code_of(client.post(path, content=framed, headers=headers))
