"""The page in a real browser: from two portraits to a picture, and what can go otherwise."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from api.auth.key_table import KeyTable
from shared.settings import Settings
from shared.store.connection import connect
from tests.support.browser import (
    Visit,
    door,
    submit,
    upload,
)
from worker.mini.portraits import FOLDER as PORTRAITS

# Long enough to be looked at, taken back, and left in the middle.
SLOW = {"seed": 7, "steps": 150, "width_px": 256, "height_px": 256}


def test_two_portraits_and_a_scene_become_a_picture(visit: Visit) -> None:
    visit.open()
    visit.shot("empty")
    visit.plan()
    page = visit.page
    expect(page.get_by_label("Ben in the scene")).to_have_value("the man")
    expect(page.get_by_label("Anna in the scene")).to_have_value("the woman")
    expect(page.locator(".portrait svg.face")).to_have_count(2)
    visit.shot("planned")
    visit.draw()
    expect(page.locator(".region")).to_have_text(["Ben", "Anna"])
    visit.until("succeeded")
    likenesses = page.get_by_role("list", name="Likeness of each person")
    expect(likenesses.get_by_role("listitem")).to_have_count(2)
    expect(likenesses).to_contain_text("Ben")
    expect(likenesses).to_contain_text("Anna")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"troupe-{visit.job()[:8]}.png"
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    visit.shot("picture")


@pytest.mark.parametrize(
    ("scene", "phrases"),
    [
        ("a man and a woman on the beach", ["the man", "the woman"]),
        ("A tall man with a black beard, and an old woman", ["the tall man with a black beard", "the old woman"]),
        ("the woman on the left, a boy in the middle", ["the woman on the left", "the boy in the middle"]),
        ("a man and a man in a cafe", ["the man on the left", "the man on the right"]),
        ("a portrait of a girl with glasses stands there", ["the girl with glasses"]),
        ("an empty beach, a manner of speaking", []),
    ],
)
def test_the_people_of_a_scene_are_found_in_its_words(visit: Visit, scene: str, phrases: list[str]) -> None:
    visit.open()
    found = "async (scene) => (await import('/page/phrases.js')).mentioned(scene).map(({ phrase }) => phrase)"
    assert visit.page.evaluate(found, scene) == phrases


def test_words_of_the_scene_are_given_to_a_person_by_selecting_them(visit: Visit) -> None:
    visit.open()
    visit.plan("a tall figure beside a woman in the park", "ben", "anna")
    page = visit.page
    expect(page.get_by_label("Ben in the scene")).to_have_value("the woman")
    page.get_by_label("Scene", exact=True).evaluate("(text) => { text.focus(); text.setSelectionRange(0, 13) }")
    page.locator(".pointer").get_by_role("button", name="Ben").click()
    expect(page.get_by_label("Ben in the scene")).to_have_value("the tall figure")
    expect(page.get_by_label("Anna in the scene")).to_have_value("the woman")
    expect(page.locator(".marks mark")).to_have_text(["a tall figure", "a woman"])


def test_a_wrong_match_is_mended_by_dragged_boxes_and_the_scene_is_not_drawn_again(visit: Visit) -> None:
    cast = [{"phrase": "the man", "photos": [photo]} for photo in portraits(visit)]
    wrong = submit(visit.url, concepts=cast)["id"]
    visit.open(f"#/jobs/{wrong}")
    visit.until("failed")
    page = visit.page
    expect(page.get_by_role("heading", name="Two phrases found the same person")).to_be_visible()
    boxes = page.locator(".box")
    expect(boxes).to_have_count(2)
    # By keyboard, by number, and by hand.
    boxes.nth(0).focus()
    before = box_of(page.get_by_role("group", name="the man").first.get_attribute("aria-label"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    after = box_of(boxes.nth(0).get_attribute("aria-label"))
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 0, 2, 2]
    page.get_by_label("left", exact=True).nth(0).fill("4")
    page.get_by_label("left", exact=True).nth(0).blur()
    assert box_of(boxes.nth(0).get_attribute("aria-label"))[0] == 4
    boxes.nth(1).focus()
    around = page.locator(".boxes").bounding_box()
    assert around is not None
    page.mouse.move(around["x"] + 0.52 * around["width"], around["y"] + 0.1 * around["height"])
    page.mouse.down()
    page.mouse.move(around["x"] + 0.97 * around["width"], around["y"] + 0.98 * around["height"], steps=5)
    page.mouse.up()
    visit.shot("places")
    page.get_by_role("button", name="Continue with these regions").click()
    visit.until("succeeded")
    job = look(visit)
    assert visit.job() != wrong
    assert "render" in job["reused"]
    assert job["spec"]["concepts"][1]["box_px"][0] > 60
    expect(page.locator(".job .now")).to_contain_text("The scene was reused")
    assert min(face["identity"] for face in job["verification"]["faces"]) > 0.4


def test_a_job_goes_on_through_a_reload_and_a_lost_server_until_it_is_taken_back(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    with door(visit.stack, tmp_path) as api:
        visit.url = api.url
        visit.open(f"#/jobs/{submit(visit.url, sampling=SLOW)['id']}")
        visit.until("running")
        page.reload()
        visit.until("running")
        expect(page.get_by_label("Scene", exact=True)).to_have_value("a man and a woman on the beach")
        api.end()
        expect(page.get_by_role("alert").filter(has_text="The connection is lost")).to_be_visible()
        visit.shot("lost")
        api.start()
        page.get_by_role("button", name="Try now").click()
        expect(page.get_by_text("The connection is lost")).to_be_hidden()
        expect(page.locator(".job .now").first).to_have_text(re.compile(r"Step \d+ of 150"))
        page.get_by_role("button", name="Cancel").click()
        visit.until("canceled")
        expect(page.get_by_role("heading", name="Canceled")).to_be_visible()
        expect(page.get_by_role("button", name="Draw it again")).to_be_visible()
        page.goto("about:blank")


def test_a_server_with_keys_asks_for_one_and_shows_pictures_with_it(visit: Visit, tmp_path: Path) -> None:
    settings = Settings(redis_url=visit.stack.redis_url)
    with connect(settings) as redis:
        key = KeyTable(redis, settings).create("anna")
    page = visit.page
    with door(visit.stack, tmp_path, TROUPE_AUTH="true") as api:
        visit.url = api.url
        visit.open("#/pictures")
        expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
        visit.shot("key")
        page.get_by_label("API key").fill("troupe_wrong")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("dialog")).to_contain_text("Invalid API key")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_text("No picture yet.")).to_be_visible()
        page.get_by_role("link", name="New picture").click()
        visit.plan()
        visit.draw()
        visit.until("succeeded")
        expect(page.get_by_role("link", name="Download")).to_be_visible()
        assert httpx.get(f"{api.url}/v1/jobs/{visit.job()}", trust_env=False).status_code == 401
        page.goto("about:blank")


def test_where_consent_is_asked_for_portraits_wait_until_it_is_said(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    visit.open()
    expect(page.get_by_role("button", name="Add two portraits")).to_be_visible()
    expect(page.get_by_label("How did these people give their consent?")).to_have_count(0)
    with door(visit.stack, tmp_path, TROUPE_REQUIRE_CONSENT="true") as api:
        visit.url = api.url
        visit.open()
        field = page.get_by_label("How did these people give their consent?")
        expect(field).to_have_attribute("aria-required", "true")
        expect(field).to_have_accessible_description(re.compile("requires it for every portrait"))
        page.set_input_files(".cast > input[type=file]", [PORTRAITS / "ben.png", PORTRAITS / "anna.png"])
        expect(page.locator(".note").filter(has_text="Waiting for the statement of consent")).to_have_count(2)
        visit.draw()
        expect(page.get_by_role("alert").filter(has_text="Enter the statement of consent")).to_be_visible()
        expect(field).to_be_focused()
        visit.shot("consent")
        serious = [one for one in Axe().run(page).response["violations"] if one["impact"] in {"serious", "critical"}]
        assert not serious
        page.keyboard.type("written release 2026-11-03, Łukasz P.")
        page.keyboard.press("Enter")
        page.locator(".portrait[data-state=ready]").nth(1).wait_for()
        # Enter said it; it did not ask for the picture.
        expect(page.locator(".job[data-job]")).to_have_count(0)
        log = httpx.get(f"{api.url}/v1/audit?action=photo.uploaded&limit=2", trust_env=False).json()["entries"]
        assert [one["consent"] for one in log] == ["written release 2026-11-03, Łukasz P."] * 2
        page.reload()
        page.locator(".portrait[data-state=ready]").nth(1).wait_for()
        expect(field).to_have_value("written release 2026-11-03, Łukasz P.")
        page.get_by_label("Scene", exact=True).fill("a man and a woman on the beach")
        visit.draw()
        visit.until("succeeded")
        page.goto("about:blank")


def test_a_portrait_without_a_face_and_a_file_that_is_no_picture_say_so_at_once(visit: Visit, tmp_path: Path) -> None:
    plain = tmp_path / "plain.png"
    Image.new("RGB", (400, 300), "teal").save(plain)
    words = tmp_path / "words.png"
    words.write_text("no picture")
    visit.open()
    page = visit.page
    page.set_input_files(".cast > input[type=file]", [plain, words])
    expect(page.locator(".note").nth(0)).to_contain_text("No face found")
    expect(page.locator(".note").nth(1)).to_contain_text("Not a picture")
    page.get_by_label("Scene", exact=True).fill("a man and a woman in a park")
    visit.draw()
    expect(page.get_by_role("alert").filter(has_text="Person 2")).to_be_visible()
    visit.shot("refused")
    page.get_by_role("button", name="Remove Person 2").click()
    visit.draw()
    expect(page.get_by_role("alert").filter(has_text="No face was found in the portrait of Person 1")).to_be_visible()


def test_the_same_again_with_another_seed_and_another_mode_beside_it(visit: Visit) -> None:
    first = submit(visit.url)["id"]
    visit.open(f"#/jobs/{first}")
    visit.until("succeeded")
    page = visit.page
    page.get_by_text("Compare a mode").click()
    page.get_by_role("button", name="Staged").click()
    expect(page.locator(".job[data-status=succeeded]")).to_have_count(2)
    beside = look(visit)
    assert (beside["spec"]["sampling"]["mode"], beside["spec"]["sampling"]["seed"]) == ("staged", 7)
    expect(page.get_by_role("link", name="Download")).to_have_count(2)
    visit.shot("beside")
    page.reload()
    expect(page.locator(".job[data-status=succeeded]")).to_have_count(2)
    page.get_by_role("button", name="Another seed").last.click()
    expect(page.locator(f".job[data-job='{beside['id']}']")).to_have_count(0)
    visit.until("succeeded")
    assert look(visit)["spec"]["sampling"]["seed"] != 7
    assert page.locator(f".job[data-job='{first}']").count() == 1


def test_pressing_twice_draws_one_picture(visit: Visit) -> None:
    visit.open()
    visit.plan()
    asked: list[str] = []
    visit.page.on("request", lambda one: asked.append(one.url) if one.method == "POST" else None)
    visit.page.get_by_role("button", name="Draw the picture").dblclick()
    visit.until("running")
    assert len([url for url in asked if url.endswith("/v1/jobs")]) == 1
    visit.page.get_by_role("button", name="Cancel").click()


def test_a_batch_fills_its_grid_and_tries_its_failures_again(visit: Visit) -> None:
    photo = portraits(visit)[0]
    good = [line(f"good-{seed}", photo, "the man", seed=seed) for seed in range(3)]
    bad = line("nobody", photo, "the submarine", seed=7)
    data = "\n".join(map(json.dumps, [*good, bad, {"custom_id": "empty"}]))
    with httpx.Client(base_url=visit.url, timeout=30, trust_env=False) as client:
        jsonl = {"Content-Type": "application/jsonl"}
        batch = client.post("/v1/batches?name=Holidays", content=data, headers=jsonl).json()["id"]
    visit.open(f"#/batches/{batch}")
    page = visit.page
    expect(page.locator(".tiles li")).to_have_count(5)
    expect(page.locator(".tiles .succeeded img")).to_have_count(3)
    expect(page.locator(".batch")).to_have_attribute("data-status", "partially_failed")
    expect(page.locator(".reasons")).to_contain_text("A person was not found in the scene")
    visit.shot("batch")
    page.get_by_role("button", name="1 Failed").click()
    expect(page.locator(".tiles li")).to_have_count(1)
    page.get_by_role("button", name="1 Failed").click()
    page.get_by_role("button", name="Retry failed lines").click()
    expect(page.get_by_role("button", name="Cancel the batch")).to_be_visible()
    expect(page.locator(".batch")).to_have_attribute("data-status", "partially_failed")
    visit.open("#/batches")
    page.get_by_role("link", name="Holidays").click()
    expect(page.get_by_role("heading", name="Holidays")).to_be_visible()


def test_pictures_so_far_are_shown_and_lead_to_their_job(visit: Visit) -> None:
    job = submit(visit.url, prompt="a man and a woman in a museum")["id"]
    visit.open(f"#/jobs/{job}")
    visit.until("succeeded")
    page = visit.page
    page.get_by_role("link", name="Pictures").click()
    card = page.get_by_role("link", name=re.compile("in a museum"))
    expect(card.locator("img")).to_be_visible()
    visit.shot("pictures")
    card.click()
    visit.until("succeeded")
    page.get_by_role("button", name="Erase this picture").click()
    page.get_by_role("button", name="Erase it permanently").click()
    expect(page.get_by_role("heading", name="Pictures")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("in a museum"))).to_have_count(0)
    visit.open(f"#/jobs/{job}")
    expect(page.get_by_role("heading", name="Picture not found")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width_px"), [("light", 1360), ("dark", 390)])
def test_no_barrier_and_no_sideways_scrolling_in_any_view(visit: Visit, scheme: str, width_px: int) -> None:
    visit.page.set_viewport_size({"width": width_px, "height": 800})
    visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    wrong = submit(visit.url, concepts=[{"phrase": "the man", "photos": [photo]} for photo in portraits(visit)])["id"]
    fine = submit(visit.url)["id"]
    views = {
        "planned": "#/",
        "failed": f"#/jobs/{wrong}",
        "done": f"#/jobs/{fine}",
        "pictures": "#/pictures",
        "batches": "#/batches",
    }
    for name, hash_ in views.items():
        visit.open(hash_)
        if name == "planned":
            visit.plan()
        if hash_.startswith("#/jobs"):
            visit.until("failed" if name == "failed" else "succeeded")
            visit.page.locator(".box, .likeness").first.wait_for()
        visit.shot(f"{name}-{scheme}-{width_px}", whole=True)
        found = Axe().run(visit.page).response["violations"]
        serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in {"serious", "critical"}]
        assert not serious, name
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"


def portraits(visit: Visit) -> list[str]:
    with httpx.Client(base_url=visit.url, timeout=30, trust_env=False) as client:
        return [upload(client, name) for name in ("ben", "anna")]


def look(visit: Visit) -> dict[str, Any]:
    job: dict[str, Any] = httpx.get(f"{visit.url}/v1/jobs/{visit.job()}", trust_env=False).json()
    return job


def line(name: str, photo: str, phrase: str, *, seed: int) -> dict[str, Any]:
    concepts = [{"phrase": phrase, "photos": [photo]}]
    return {
        "custom_id": name,
        "prompt": "a man on the beach",
        "concepts": concepts,
        "sampling": {"seed": seed, "steps": 4},
    }


def box_of(words: str | None) -> list[int]:
    found = re.search(r"from (\d+), (\d+) to (\d+), (\d+)", words or "")
    assert found is not None
    return [int(number) for number in found.groups()]
