"""The page in a real browser: from a picture to the reasons of each region, and what goes wrong."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from captionary.segmenter.drawing.palette import class_colours
from tests.e2e.browsing import (
    CLASSES,
    MARKS,
    choose,
    colours_shown,
    details,
    drop,
    percent,
    place_of,
    segment,
    tab,
    targets,
)

pytestmark = MARKS


def test_a_picture_is_segmented_and_each_region_tells_why(page: Page, picture: Path) -> None:
    choose(page, picture)
    expect(page.locator("#segment .name")).to_have_text("00030.png · 96 \N{MULTIPLICATION SIGN} 96")
    segmentation = segment(page, CLASSES)
    names = [
        mask["class"] for mask in sorted(segmentation["masks"], key=lambda mask: -mask["area"])
    ]
    assert page.locator("#legend .class").all_inner_texts() == names
    expect(page.locator("#ask-status")).to_contain_text(
        f"s · dictionary revision {segmentation['revision']}"
    )
    looked_at = explained = 0
    for target in targets(segmentation):
        page.mouse.move(*place_of(page, target, segmentation))
        expect(details(page).locator("h3 .class")).to_have_text(target.region["class"])
        shares = (
            target.region[part] for part in ("score", "text", "neighbours", "prototype", "captions")
        )
        figures = details(page).locator(".bars .figure").all_inner_texts()
        assert figures == [percent(share) for share in shares if share is not None]
        looked_at += 1
        if target.region["prototype"] is None:
            expect(details(page)).to_contain_text("The dictionary has no prototype for it")
            continue
        first = target.region["evidence"][0]
        look = details(page).locator(".evidence").first
        expect(look.locator("h4")).to_contain_text(
            f"{first['noun']} look {first['number'] + 1} · {first['similarity']:.2f} alike"
        )
        shown = look.locator("img").first
        assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        explained += 1
    assert looked_at >= 2
    assert explained >= 1


def test_classes_without_a_noun_are_named(page: Page, picture: Path) -> None:
    choose(page, picture)
    message = page.locator("#without-noun")
    names = segment(page, f"{CLASSES}, Teddy_Bears, accordion, kettle")["without_noun"]
    assert names[-2:] == ["accordion", "kettle"]
    assert "Teddy_Bears" not in names
    expect(message).to_have_text(
        f"No noun in the dictionary, judged by text or by near nouns: {', '.join(names)}"
    )
    page.get_by_label("Decide by").select_option("text")
    segment(page, CLASSES)
    expect(message).to_be_empty()


def test_the_overlay_has_the_colours_of_the_classes_and_one_can_be_alone(
    page: Page, picture: Path
) -> None:
    choose(page, picture)
    segmentation = segment(page, CLASSES)
    colours = {
        name: (*map(int, colour), 255)
        for name, colour in zip(
            segmentation["classes"], class_colours(tuple(segmentation["classes"])), strict=True
        )
    }
    present = [mask["class"] for mask in segmentation["masks"]]
    assert len(present) > 1
    assert colours_shown(page) == {colours[name] for name in present}
    entry = page.locator("#legend button").first
    alone = entry.locator(".class").inner_text()
    entry.click()
    expect(entry).to_have_attribute("aria-pressed", "true")
    assert colours_shown(page) & set(colours.values()) == {colours[alone]}
    entry.click()
    assert colours_shown(page) == {colours[name] for name in present}
    page.get_by_label("Overlay").fill("25")
    expect(page.locator("#stage canvas")).to_have_css("opacity", "0.25")


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_picture_may_be_dropped_or_pasted_in_any_view(
    page: Page, picture: Path, event: str
) -> None:
    page.get_by_role("link", name="Dictionary").click()
    drop(page, picture, event=event)
    expect(page.locator("#segment .name")).to_have_text("00030.png · 96 \N{MULTIPLICATION SIGN} 96")
    page.get_by_role("link", name="Teach").click()
    drop(page, picture, event=event)
    expect(page.locator("#teach .name")).to_have_text("00030.png · 96 \N{MULTIPLICATION SIGN} 96")


def test_a_region_is_kept_while_its_evidence_is_read(page: Page, picture: Path) -> None:
    choose(page, picture)
    segmentation = segment(page, CLASSES)
    first, second, *_ = targets(segmentation)
    page.mouse.click(*place_of(page, first, segmentation))
    page.mouse.move(*place_of(page, second, segmentation))
    heading = details(page).locator("h3")
    expect(heading).to_contain_text("kept")
    expect(heading.locator(".class")).to_have_text(first.region["class"])
    page.mouse.click(*place_of(page, first, segmentation))
    page.mouse.move(*place_of(page, second, segmentation))
    expect(heading.locator(".class")).to_have_text(second.region["class"])
    page.mouse.move(5, 5)
    expect(details(page)).to_contain_text("Point at the picture")


def test_the_list_is_completed_name_by_name(page: Page) -> None:
    field, options = page.get_by_role("combobox", name="Classes"), page.locator("#completions li")
    field.press_sequentially("do")
    expect(options.first).to_contain_text("dog")
    expect(field).to_have_attribute("aria-expanded", "true")
    field.press("Tab")
    expect(field).to_have_value("dog, ")
    expect(field).to_be_focused()
    field.press_sequentially("Teddy_be")
    expect(options.first).to_contain_text("teddy bear")
    field.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", "completions-0")
    field.press("Enter")
    expect(field).to_have_value("dog, teddy bear, ")
    field.press_sequentially("person: ma")
    options.filter(has_text="man").first.click()
    expect(field).to_have_value("dog, teddy bear, person: man, ")
    field.press_sequentially("app")
    expect(options.first).to_contain_text("apple")
    field.press("Escape")
    expect(options).to_have_count(0)
    expect(field).to_have_attribute("aria-expanded", "false")
    field.press("ArrowDown")
    expect(options.first).to_contain_text("apple")
    assert "dog" not in options.locator("span:first-child").all_inner_texts()


def test_pasted_lines_become_a_list(page: Page) -> None:
    field = page.locator("#classes")
    for text, shown in (
        ("dog\r\nnight sky,\ncat\n", "dog, night sky, cat"),
        ('[\n "dog",\n "cat"\n]', '[ "dog", "cat" ]'),
    ):
        field.fill("")
        field.evaluate(
            """(input, text) => {
              const clipboardData = new DataTransfer();
              clipboardData.setData("text/plain", text);
              const options = { clipboardData, bubbles: true, cancelable: true };
              input.dispatchEvent(new ClipboardEvent("paste", options));
            }""",
            text,
        )
        expect(field).to_have_value(shown)


def test_what_is_chosen_stays_so_when_a_later_answer_comes(page: Page) -> None:
    field, options = page.locator("#classes"), page.locator("#completions li")
    field.press_sequentially("ap")
    expect(options.first).to_contain_text("apple")
    held: list[Route] = []
    page.route("**/v1/vocabulary?*", lambda route: held.append(route))
    with page.expect_request("**/v1/vocabulary?*"):
        field.press_sequentially("p")
    field.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    with page.expect_response("**/v1/vocabulary?*"):
        held.pop().continue_()
    page.wait_for_timeout(200)
    expect(options.first).to_have_attribute("aria-selected", "true")
    field.press("Enter")
    expect(field).to_have_value("apple, ")


def test_everything_can_be_done_by_keyboard(page: Page, picture: Path) -> None:
    keys = page.keyboard
    page.locator("#segment .empty button").focus()
    with page.expect_file_chooser() as chooser:
        keys.press("Enter")
    chooser.value.set_files(picture)
    expect(page.get_by_role("button", name="Change picture")).to_be_focused()
    keys.press("Tab")
    expect(page.locator("#classes")).to_be_focused()
    keys.type("dog, apple, umbrella, bus, ma")
    expect(page.locator("#completions li").first).to_be_visible()
    keys.press("ArrowDown")
    keys.press("Enter")
    with page.expect_response("**/v1/segment") as response:
        keys.press("Enter")
    segmentation = response.value.json()
    expect(page.locator("#legend button").first).to_be_visible()
    keys.press("Shift+Tab")
    keys.press("Shift+Tab")
    regions = page.get_by_role("listbox", name="Regions of the picture")
    expect(regions).to_be_focused()
    heading = details(page).locator("h3")
    walked = []
    for _ in range(3):
        active = regions.get_attribute("aria-activedescendant")
        label = page.locator(f"#{active}").get_attribute("aria-label") or ""
        walked.append(active)
        expect(heading.locator(".class")).to_have_text(label.partition(",")[0])
        keys.press("ArrowRight")
    assert len(set(walked)) == 3
    keys.press("End")
    last = regions.get_attribute("aria-activedescendant")
    assert last == f"region-{len(segmentation['regions']) - 1}"
    keys.press("Enter")
    expect(heading).to_contain_text("kept")
    keys.press("Escape")
    expect(heading).not_to_contain_text("kept")
    page.locator("#legend button").first.focus()
    keys.press("Space")
    expect(page.locator("#legend button").first).to_have_attribute("aria-pressed", "true")


def test_a_file_that_is_no_picture_is_refused_and_the_old_one_stays(
    page: Page, picture: Path, tmp_path: Path
) -> None:
    choose(page, picture)
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    choose(page, tmp_path / "notes.txt")
    message = page.locator("#picture-problem")
    expect(message).to_have_text(
        "not a picture that can be shown: notes.txt; give a JPEG, PNG or WebP file"
    )
    expect(message).to_have_role("alert")
    segment(page, CLASSES)


def test_what_is_missing_is_asked_for(page: Page, picture: Path) -> None:
    go, message = page.get_by_role("button", name="Segment"), page.locator("#ask-problem")
    go.click()
    expect(message).to_contain_text("there is no picture yet")
    choose(page, picture)
    expect(message).to_be_empty()
    go.click()
    expect(message).to_contain_text("no class is named")
    expect(page.locator("#classes")).to_be_focused()


def test_the_words_of_the_service_are_shown_and_nothing_is_lost(
    browser: Browser, address: str, picture: Path
) -> None:
    with tab(browser, address) as opened:
        page = opened.page
        choose(page, picture)
        segment(page, CLASSES)
        page.locator("#classes").fill("dog, cat, dog")
        page.locator("#classes").press("Enter")
        expect(page.locator("#ask-problem")).to_contain_text(
            "'dog' stands twice in the class list; remove one of them"
        )
        expect(page.locator("#legend button").first).to_be_visible()
        expect(page.locator("#classes")).to_have_value("dog, cat, dog")
        assert opened.error_statuses == [400]
        page.route("**/v1/segment", lambda route: route.abort())
        page.locator("#classes").press("Enter")
        expect(page.locator("#ask-problem")).to_contain_text("the service does not answer")
        page.unroute("**/v1/segment")
        segment(page, CLASSES)
        expect(page.locator("#ask-problem")).to_be_empty()


def test_what_takes_long_can_be_cancelled_and_a_newer_request_wins(
    page: Page, picture: Path
) -> None:
    choose(page, picture)
    page.locator("#classes").fill("apple")
    go, cancel = page.get_by_role("button", name="Segment"), page.locator("#cancel")
    page.route("**/v1/segment", lambda _: None)
    go.click()
    expect(go).to_be_disabled()
    expect(page.locator("#stage")).to_have_attribute("aria-busy", "true")
    cancel.click()
    expect(page.locator("#ask-status")).to_have_text("Cancelled.")
    expect(go).to_be_enabled()
    go.click()
    page.unroute("**/v1/segment")
    page.locator("#classes").fill(CLASSES)
    page.locator("#classes").press("Enter")
    expect(page.locator("#ask-status")).to_contain_text("revision")
    assert page.locator("#legend .class").all_inner_texts() != ["apple"]
    expect(cancel).to_be_hidden()


def test_a_service_that_is_not_ready_is_asked_again_once_and_then_told(
    browser: Browser, without: str, picture: Path
) -> None:
    with tab(browser, without) as opened:
        page = opened.page
        expect(page.locator("#not-ready")).to_contain_text("there is no dictionary")
        expect(page.locator("#empty-dictionary")).to_be_hidden()
        expect(page.locator("#counts")).to_be_empty()
        expect(page.get_by_role("link", name="Teach")).to_be_hidden()
        choose(page, picture)
        page.clock.install()
        page.locator("#classes").fill("dog")
        page.locator("#classes").press("Enter")
        expect(page.locator("#ask-countdown")).to_contain_text("busy; again in")
        page.clock.run_for(10_000)
        expect(page.locator("#ask-problem")).to_contain_text("there is no dictionary")
        expect(page.get_by_role("button", name="Segment")).to_be_enabled()
        assert set(opened.error_statuses) == {503}
        assert opened.paths.count("/v1/segment") == 2
