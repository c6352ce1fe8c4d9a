"""The page in a real browser: the dictionary, teaching it, and its key."""

from pathlib import Path

from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.browsing import KEY, MARKS, choose, details, place_of, segment, tab, targets
from tests.scenes import draw

NEW = "koala"

pytestmark = MARKS


def test_the_dictionary_is_browsed_and_a_noun_becomes_a_class(page: Page) -> None:
    page.locator("#classes").fill("bus")
    page.get_by_role("link", name="Dictionary").click()
    nouns = page.locator("#nouns a")
    expect(nouns.first).to_be_visible()
    counts = [int(text.split()[0]) for text in page.locator("#nouns .faint").all_inner_texts()]
    assert counts == sorted(counts, reverse=True)
    expect(page.locator("#nouns-count")).to_have_text(f"{len(counts)}\N{NO-BREAK SPACE}nouns")
    page.get_by_label("Search the dictionary").fill("app")
    expect(nouns).to_have_count(1)
    expect(page.locator("#nouns-count")).to_have_text("1\N{NO-BREAK SPACE}noun with “app”")
    nouns.first.click()
    expect(page.get_by_role("heading", name="apple")).to_be_focused()
    expect(nouns.first).to_have_attribute("aria-current", "true")
    assert page.title() == "apple · Captionary"
    look = page.locator(".look").first
    expect(look.locator("h3")).to_contain_text("spread 0.")
    expect(look.get_by_title("How far its regions are from their mean")).to_be_visible()
    expect(look.locator("figcaption").first).to_contain_text("alike")
    shown = look.locator("img").first
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.get_by_role("button", name="Use as class").click()
    page.locator("#noun").get_by_role("link", name="Segment").click()
    expect(page.locator("#classes")).to_have_value("bus, apple")
    page.go_back()
    expect(page.get_by_role("heading", name="apple")).to_be_visible()


def test_a_noun_that_is_not_there_is_told(browser: Browser, address: str) -> None:
    with tab(browser, address, "#/dictionary/no%2Fthing") as opened:
        message = opened.page.locator("#noun [role=alert]")
        expect(message).to_contain_text("the dictionary has no noun 'no/thing'")
        assert opened.error_statuses == [404]


def test_a_captioned_picture_teaches_a_noun_that_is_then_found(page: Page, tmp_path: Path) -> None:
    lessons = draw(tmp_path / "lessons", 3, nouns=(NEW,))
    taught = page.locator(".lesson").first
    choose(page, lessons / "images" / "00000.png")
    page.get_by_role("link", name="Teach").click()
    page.get_by_role("button", name="Use the current picture").click()
    expect(page.locator("#teach .name")).to_have_text("00000.png · 96 \N{MULTIPLICATION SIGN} 96")
    page.get_by_role("button", name="Teach").click()
    expect(page.locator("#teach-problem")).to_contain_text("there is no caption yet")
    page.get_by_label("What is to be seen").fill(f"a {NEW}")
    page.get_by_role("button", name="Teach").click()
    expect(taught.locator(".state")).to_contain_text("The dictionary knows 1\N{NO-BREAK SPACE}more")
    expect(taught.locator(".chips a")).to_have_text(f"{NEW} new")
    caption = f"two {NEW}s <img src=x onerror=alert(1)>"
    choose(page, lessons / "images" / "00001.png")
    page.get_by_label("What is to be seen").fill(caption)
    page.get_by_role("button", name="Teach").click()
    expect(page.locator(".lesson")).to_have_count(2)
    expect(taught.locator(".chips a").first).to_contain_text(NEW)
    expect(taught.locator(".caption")).to_have_text(caption)
    page.get_by_role("button", name="Segment this picture").last.click()
    expect(page.locator("#ask-status")).to_contain_text("revision")
    expect(page.locator("#segment .name")).to_contain_text("00000.png")
    expect(page.locator("#classes")).to_have_value(NEW)
    expect(page.locator("#legend .class")).to_have_text(NEW)
    choose(page, lessons / "images" / "00002.png")
    field = page.locator("#classes")
    field.fill("")
    field.press_sequentially("dog, koa")
    expect(page.locator("#completions li").first).to_contain_text(NEW)
    field.press("Tab")
    expect(field).to_have_value(f"dog, {NEW}, ")
    segmentation = segment(page, field.input_value())
    target = next(target for target in targets(segmentation) if target.region["class"] == NEW)
    page.mouse.move(*place_of(page, target, segmentation))
    captions = details(page).locator(".caption").all_inner_texts()
    assert any(NEW in caption for caption in captions)
    expect(details(page).locator(".caption img")).to_have_count(0)


def test_a_picture_may_be_chosen_before_the_service_is_known(
    browser: Browser, address: str, picture: Path
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        held: list[Route] = []
        page.route("**/v1/about", lambda route: held.append(route))
        with page.expect_request("**/v1/about"):
            page.goto(f"{address}/#/teach")
        choose(page, picture)
        expect(page.locator("#counts")).to_be_empty()
        for route in held:
            route.continue_()
        expect(page.locator("#counts")).to_contain_text("nouns")
        expect(page.locator("#teach .frame")).to_be_visible()


def test_what_the_indexer_refuses_is_told_and_nothing_is_lost(
    browser: Browser, address: str, picture: Path
) -> None:
    with tab(browser, address, "#/teach") as opened:
        page = opened.page
        choose(page, picture)
        too_long = "dog " * 30_000
        page.get_by_label("What is to be seen").fill(too_long)
        page.get_by_role("button", name="Teach").click()
        expect(page.locator("#teach-problem")).not_to_be_empty()
        assert len(opened.error_statuses) == 1
        assert page.locator("#captions").input_value() == too_long
        expect(page.locator("#teach .frame")).to_be_visible()


def test_a_key_is_asked_for_where_one_is_needed(browser: Browser, locked: str) -> None:
    with tab(browser, locked) as opened:
        page = opened.page
        dialog, field = page.get_by_role("dialog"), page.get_by_label("API key", exact=True)
        expect(dialog).to_be_visible()
        expect(field).to_be_focused()
        field.fill("a wrong key")
        field.press("Enter")
        expect(page.locator("#key-problem")).to_contain_text("this API key may not do that")
        field.fill(KEY)
        page.get_by_role("button", name="Use it").click()
        expect(dialog).to_be_hidden()
        expect(page.locator("#counts")).to_have_text("0\N{NO-BREAK SPACE}nouns from 0 pictures")
        expect(page.locator("#empty-dictionary")).to_contain_text("Teach it a picture here")
        assert set(opened.error_statuses) == {403}
        page.reload()
        expect(page.locator("#counts")).to_contain_text("0")
        expect(dialog).to_be_hidden()
        expect(page.get_by_role("button", name="API key")).to_be_visible()
        assert page.evaluate("localStorage.length") == 0


def test_without_a_key_the_page_says_so(browser: Browser, locked: str, picture: Path) -> None:
    with tab(browser, locked) as opened:
        page = opened.page
        page.get_by_role("button", name="Not now").click()
        expect(page.locator("#counts")).to_have_text("Needs an API key")
        expect(page.locator("#empty-dictionary")).to_be_hidden()
        choose(page, picture)
        page.locator("#classes").fill("dog")
        page.locator("#classes").press("Enter")
        page.get_by_role("dialog").press("Escape")
        expect(page.locator("#ask-problem")).to_contain_text("this needs an API key")
        page.locator("#classes").press("Enter")
        page.get_by_label("API key", exact=True).fill(KEY)
        page.get_by_label("API key", exact=True).press("Enter")
        expect(page.locator("#legend .class")).to_have_text("dog")
