"""Correcting on the page: a region, a noun, an exemplar, boxes; each shown at once, and undone."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from captionary import Dictionary
from captionary.indexer.readers import read_pairs
from tests.e2e.browsing import (
    CLASSES,
    MARKS,
    Target,
    choose,
    details,
    place_of,
    segment,
    services,
    tab,
    targets,
)

pytestmark = MARKS


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, scenes: Path) -> Iterator[str]:
    """Both services on a dictionary of their own, for here it changes."""
    store = tmp_path_factory.mktemp("correcting") / "store"
    with Dictionary(store, encoder="mini", workers=1) as dictionary:
        dictionary.index(islice(read_pairs(str(scenes / "captions.jsonl")), 6))
    with services(store) as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, taught: str) -> Iterator[Page]:
    with tab(browser, taught) as opened:
        yield opened.page
        assert not opened.error_statuses


def keep_a_region(page: Page, picture: Path) -> Target:
    """Segment a picture, and press a region of it."""
    choose(page, picture)
    segmentation = segment(page, CLASSES)
    target = next(targets(segmentation))
    page.mouse.click(*place_of(page, target, segmentation))
    expect(details(page).locator("h3 .class")).to_have_text(target.region["class"])
    return target


def test_a_region_is_told_what_it_is_and_that_is_undone(page: Page, picture: Path) -> None:
    keep_a_region(page, picture)
    before = page.locator("#legend").inner_text()
    page.get_by_label("This is").fill("gadget")
    page.get_by_label("This is").press("Enter")
    corrected = page.locator("#corrected")
    expect(corrected.locator(".done")).to_contain_text("Learned: gadget.")
    expect(corrected.get_by_role("button", name="After")).to_be_focused()
    expect(page.locator("#classes")).to_have_value(f"{CLASSES}, gadget")
    expect(page.locator("#legend")).to_contain_text("gadget")
    corrected.get_by_role("button", name="Before").click()
    expect(page.locator("#legend")).to_have_text(before, use_inner_text=True)
    corrected.get_by_role("button", name="After").click()
    expect(page.locator("#legend")).to_contain_text("gadget")
    corrected.get_by_role("button", name="Undo").click()
    expect(corrected).to_have_text("Undone.")
    page.get_by_role("link", name="Dictionary").click()
    expect(page.locator("#nouns")).to_contain_text("dog")
    expect(page.locator("#nouns")).not_to_contain_text("gadget")


def test_a_region_is_told_what_it_is_not_by_the_keyboard(page: Page, picture: Path) -> None:
    choose(page, picture)
    segment(page, CLASSES)
    regions = page.locator("#stage .regions")
    regions.focus()
    regions.press("Home")
    regions.press("Enter")
    button = details(page).locator("button.refuse")
    expect(button).to_have_text(r"Not a dog")
    button.focus()
    button.press("Enter")
    line = page.locator("#corrected .done")
    expect(line).to_contain_text("Not a dog.")
    line.get_by_role("button", name="Undo").click()
    expect(page.locator("#corrected")).to_have_text("Undone.")


def test_what_has_no_name_is_asked_for_one(page: Page, picture: Path) -> None:
    keep_a_region(page, picture)
    details(page).get_by_role("button", name="Teach").click()
    expect(page.locator("#correct-problem")).to_contain_text("no noun is named")
    expect(page.get_by_label("This is")).to_be_focused()


def test_a_noun_is_corrected_in_the_dictionary(page: Page, taught: str) -> None:
    page.goto(f"{taught}/#/dictionary/dog")
    noun, done = page.locator("#noun"), page.locator("#noun-done")
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Call it").fill("hounddog")
    page.get_by_role("button", name="Rename it").click()
    expect(done).to_contain_text("dog is called hounddog now.")
    expect(noun.locator("h2")).to_have_text("hounddog")
    done.get_by_role("button", name="Undo").click()
    expect(done).to_have_text("Undone.")
    expect(noun.locator("h2")).to_have_text("dog")
    page.get_by_role("button", name="Block").click()
    expect(done).to_contain_text("dog is no longer learned.")
    expect(page.locator("#nouns a[data-noun=dog]")).to_have_count(0)
    done.get_by_role("button", name="Undo").click()
    expect(noun.locator("h2")).to_have_text("dog")
    shown = noun.locator(".gallery li")
    expect(shown.first).to_be_visible()
    count = shown.count()
    noun.get_by_role("button", name="This is not dog").first.click()
    expect(done).to_contain_text("That is no dog.")
    expect(noun).to_contain_text("Not this")
    done.get_by_role("button", name="Undo").click()
    expect(done).to_have_text("Undone.")
    expect(noun).not_to_contain_text("Not this")
    expect(shown).to_have_count(count)


def test_a_correction_that_cannot_be_done_is_told(browser: Browser, taught: str) -> None:
    with tab(browser, taught, "#/dictionary/dog") as opened:
        page = opened.page
        page.get_by_role("button", name="Merge into").click()
        page.get_by_label("Make it a part of").fill("unicorn")
        page.get_by_role("button", name="Merge it").click()
        expect(page.locator("#noun-done")).to_contain_text("no noun 'unicorn'")
        assert opened.error_statuses == [404]


def test_boxes_teach_without_a_caption(page: Page, taught: str, picture: Path) -> None:
    page.goto(f"{taught}/#/teach")
    choose(page, picture)
    frame = page.locator("#teach .frame").bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + 30, frame["y"] + 30)
    page.mouse.down()
    page.mouse.move(frame["x"] + 200, frame["y"] + 160, steps=4)
    page.mouse.up()
    expect(page.get_by_label("Box 1 shows")).to_be_focused()
    page.keyboard.type("gizmo")
    page.get_by_role("button", name="Add a box").click()
    second = page.locator("#teach .box").nth(1)
    expect(second).to_be_focused()
    left = second.evaluate("box => [box.style.left, box.style.width]")
    second.press("ArrowRight")
    second.press("Shift+ArrowDown")
    assert second.evaluate("box => box.style.left") != left[0]
    assert second.evaluate("box => box.style.width") == left[1]
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator("#teach-problem")).to_contain_text("a box has no name yet")
    second.press("Delete")
    expect(page.locator("#teach .box")).to_have_count(1)
    page.get_by_role("button", name="Teach", exact=True).click()
    lesson = page.locator(".lesson").first
    expect(lesson.locator(".chips a")).to_contain_text("gizmo")
    page.goto(f"{taught}/#/dictionary/gizmo")
    expect(page.locator("#noun h3")).to_contain_text("Pointed at")
    expect(page.locator("#noun .caption")).to_have_text("pointed at")


def test_a_box_is_moved_by_touch(browser: Browser, taught: str, picture: Path) -> None:
    phone = {"width": 390, "height": 844}
    with tab(browser, taught, "#/teach", viewport=phone, has_touch=True) as opened:
        page = opened.page
        choose(page, picture)
        page.get_by_role("button", name="Add a box").tap()
        box = page.locator("#teach .box")
        before = box.bounding_box()
        assert before is not None
        touch = opened.page.context.new_cdp_session(page)
        x, y = before["x"] + 20, before["y"] + 20
        for kind, along in (("touchStart", 0), ("touchMove", 10), ("touchMove", 24)):
            points = [{"x": x + along, "y": y}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        after = box.bounding_box()
        assert after is not None
        assert after["x"] - before["x"] == pytest.approx(24, abs=2)
        assert after["width"] == pytest.approx(before["width"], abs=1)
