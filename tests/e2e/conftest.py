"""One stack and one browser for the tests of a module; a fresh profile for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from compose.servers import free_port
from compose.stack import Stack, running_stack
from tests.support.browser import (
    PATIENCE_MS,
    SHOTS,
    Visit,
    chromium,
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, once a module: its driver keeps an event loop in this thread, and no other test could start one."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE_MS)
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def stack(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack on the mini bundle, once a module; not without a browser to look at it with."""
    with running_stack(tmp_path_factory.mktemp("stack"), api_port=free_port(), say=print) as running:
        yield running


@pytest.fixture
def visit(browser: Browser, stack: Stack) -> Iterator[Visit]:
    """Somebody who comes for the first time; an error of the page fails the test."""
    context = browser.new_context(viewport={"width": 1360, "height": 900}, reduced_motion="no-preference")
    context.set_default_timeout(PATIENCE_MS)
    visit = Visit(stack=stack, page=context.new_page(), url=stack.url)
    visit.listen()
    yield visit
    context.close()
    assert not visit.faults
