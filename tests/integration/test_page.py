"""The page and its files over HTTP: what is served, to whom, and under which policy; pictures for those who ask."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping

import httpx
import pytest

from shared.limits import MINI_LIMITS
from tests.integration.test_access import key_of, shown
from tests.support.api_server import ApiServer, png_bytes

PNG = {"Accept": "image/png"}


@pytest.fixture(scope="module")
def more_settings() -> Mapping[str, object]:
    return {"auth": True}


def files(client: httpx.Client) -> set[str]:
    """Every file that the page leads to, from module to module."""
    found: set[str] = set()
    new = {"/"}
    while new:
        found |= new
        texts = [client.get(path).text for path in new]
        linked = {f"/{one}" for text in texts for one in re.findall(r'(?:href|src)="(page/[^"]+)"', text)}
        imported = {f"/page/{one}" for text in texts for one in re.findall(r'from "\./([^"]+)"', text)}
        new = (linked | imported) - found
    return found


def test_the_page_and_all_its_files_need_no_key_and_load_nothing_from_elsewhere(client: httpx.Client) -> None:
    paths = files(client)
    assert {"/", "/page/main.js", "/page/page.css", "/page/icon.svg", "/page/job-view.js"} <= paths
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200, path
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert (policy["script-src"], policy["style-src"], policy["connect-src"]) == ("'self'", "'self'", "'self'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", answer.text), path


def test_a_file_that_a_browser_has_is_not_sent_again(client: httpx.Client) -> None:
    first = client.get("/page/main.js")
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["content-type"].startswith("text/javascript")
    again = client.get("/page/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head("/page/main.js").headers["content-length"] == first.headers["content-length"]
    assert client.get("/page/page.css").headers["etag"] != first.headers["etag"]


def test_the_page_says_what_this_server_allows(client: httpx.Client) -> None:
    found = re.search(r'name="troupe-limits" content="([^"]*)"', client.get("/").text)
    assert found is not None
    limits = json.loads(html.unescape(found[1]))
    assert limits | MINI_LIMITS.model_dump() == limits
    assert (limits["max_concepts"], limits["max_photos"]) == (5, 8)


@pytest.mark.parametrize(
    "path", ["/page/", "/page/nothing.js", "/page/__init__.py", "/page/%2e%2e/app.py", "/page/pictures"]
)
def test_what_is_no_file_of_the_page_is_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "route_not_found")


def test_pictures_and_photos_come_as_bytes_to_whom_asks_for_a_png_and_to_nobody_else(server: ApiServer) -> None:
    with server.client() as client:
        mine, other = shown(key_of(server.settings, "anna")), shown(key_of(server.settings, "ben"))
        photo = client.post("/v1/photos", files={"photo": ("a.png", png_bytes())}, headers=mine).json()["id"]
        address = f"/v1/photos/{photo}"
        redirect = client.get(address, headers=mine)
        assert (redirect.status_code, redirect.headers["vary"]) == (307, "Accept")
        assert httpx.get(redirect.headers["location"]).headers["content-type"] == "image/png"
        bytes_ = client.get(address, headers=mine | PNG)
        assert (bytes_.status_code, bytes_.headers["content-type"]) == (200, "image/png")
        assert bytes_.content.startswith(b"\x89PNG")
        assert bytes_.headers["cache-control"].startswith("private")
        for path in (address, f"/v1/photos/{'0' * 64}", "/v1/photos/nobody"):
            refused = client.get(path, headers=other | PNG)
            assert (refused.status_code, refused.json()["code"]) == (404, "photo_not_found")
        assert client.get(address, headers=PNG).status_code == 401
        asked = {"prompt": "a man", "concepts": [{"phrase": "the man", "photos": [photo]}]}
        job = client.post("/v1/jobs", json=asked, headers=mine).json()["id"]
        server.run_stages(job)
        for name in ("picture", "template", "masks"):
            assert client.get(f"/v1/jobs/{job}/{name}", headers=mine | PNG).content == png_bytes()
            assert client.get(f"/v1/jobs/{job}/{name}", headers=mine).status_code == 307
            assert client.get(f"/v1/jobs/{job}/{name}", headers=other | PNG).status_code == 404
