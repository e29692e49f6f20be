"""The page in a real browser: from two portraits to a picture."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.browser import Visit


def test_two_portraits_and_a_scene_become_a_picture(visit: Visit) -> None:
    visit.open()
    visit.shot("empty")
    visit.plan()
    page = visit.page
    expect(page.get_by_label("Ben in the scene")).to_have_value("the man")
    expect(page.get_by_label("Anna in the scene")).to_have_value("the woman")
    visit.shot("planned")
    visit.draw()
    visit.until("running")
    visit.until("succeeded")
    likenesses = page.get_by_role("list", name="How like everybody is")
    expect(likenesses.get_by_role("listitem")).to_have_count(2)
    expect(likenesses).to_contain_text("Ben")
    expect(likenesses).to_contain_text("Anna")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"troupe-{visit.job()[:8]}.png"
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    visit.shot("picture")
