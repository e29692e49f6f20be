"""The page for people: complete, and closed to the world."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.http.problems import PROBLEM_TYPE
from api.http.reference import page_of
from shared.settings import Settings

# Tags that have no end.
VOID = {"meta", "link", "br"}


class Reader(HTMLParser):
    """Reads a page: what it loads or leads to, what can be led to, and whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "style"
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src", "action", "srcset"}:
                self.links.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> str:
    return page_of(create_app(Settings()).openapi())


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def test_the_page_loads_nothing_and_leads_nowhere_else(reader: Reader) -> None:
    outside = {link for link in reader.links if not link.startswith("#")}
    assert outside == {"data:,", "openapi.json"}
    assert not reader.tags & {"script", "img", "iframe", "object", "embed", "form", "base"}


def test_every_tag_is_closed_and_every_link_of_the_page_has_its_place(reader: Reader) -> None:
    assert not reader.open
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)


def test_every_operation_is_on_the_page_with_its_parameters_and_answers(page: str) -> None:
    for path, methods in create_app(Settings()).openapi()["paths"].items():
        for method, operation in methods.items():
            start = page.index(f'<section><h3 id="{method}{re.sub(r"[^a-z0-9_]+", "-", path).rstrip("-")}">')
            section = page[start : page.index("</section>", start)]
            assert f"<code>{method.upper()} {path}</code> {escape(operation['summary'])}" in section
            for parameter in operation.get("parameters", ()):
                assert f"<code>{parameter['name']}</code>" in section
            for kind in operation.get("requestBody", {}).get("content", ()):
                assert f"<code>{kind}</code>" in section
            for status, answer in operation["responses"].items():
                assert f"<b>{status}</b>" in section
                for code in answer.get("content", {}).get(PROBLEM_TYPE, {}).get("examples", ()):
                    assert f'<a href="#{code}">' in section


def test_what_the_document_says_is_text_and_never_markup() -> None:
    hostile = "<script>alert(1)</script>`<b>`"
    operation = {"tags": [hostile], "summary": hostile, "description": hostile, "responses": {}}
    said = page_of(
        {
            "info": {"title": hostile, "description": hostile},
            "paths": {f"/{hostile}": {"get": operation}},
            "components": {"schemas": {hostile: {"description": hostile, "enum": [hostile]}}, "examples": {}},
        }
    )
    assert "<script" not in said
    assert "<b>`" not in said


def test_the_browser_is_told_to_load_nothing(page: str) -> None:
    # Without its lifespan the app has no stores: an open address needs none.
    style = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    app = create_app(Settings())
    app.user_middleware.clear()
    client = TestClient(app)
    answer = client.get("/docs")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{b64encode(sha256(style[0].encode()).digest()).decode()}';" in policy
    assert "unsafe" not in policy
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text == page
    assert client.get("/redoc").status_code == 404
