"""The page in a real browser: sizes, colours, names of controls, and what it computes."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from captionary.schemas.arrays import Mask
from captionary.segmenter.drawing.palette import class_colours
from captionary.segmenter.json_data import encode_mask
from tests.e2e.browsing import (
    CLASSES,
    MARKS,
    choose,
    details,
    place_of,
    segment,
    tab,
    targets,
)
from tests.segmenter.decoding import decode_mask

pytestmark = MARKS


VIEWS = ("#/segment", "#/dictionary", "#/dictionary/dog", "#/teach")


def show(page: Page, view: str) -> None:
    page.evaluate("view => { location.hash = view; }", view)
    if view == "#/dictionary/dog":
        expect(page.locator(".look").first).to_be_visible()


def test_it_fits_a_phone_and_is_touched(browser: Browser, address: str, picture: Path) -> None:
    width = 320  # the narrowest in use; wider ones fit as well
    phone = {"width": width, "height": 667}
    with tab(browser, address, viewport=phone, has_touch=True, is_mobile=True) as opened:
        page = opened.page
        choose(page, picture)
        segmentation = segment(page, CLASSES)
        expect(page.locator("#stage")).to_be_in_viewport(ratio=0.9)
        expect(page.locator("#legend button").first).to_be_in_viewport(ratio=1)
        target = next(targets(segmentation))
        page.locator("#stage").evaluate("stage => stage.scrollIntoView()")
        page.touchscreen.tap(*place_of(page, target, segmentation))
        expect(page.locator("#pointed .class")).to_have_text(target.region["class"])
        for view in VIEWS:
            show(page, view)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            small = page.evaluate(
                """() => [...document.querySelectorAll("button, input, select, nav a, #nouns a")]
                    .filter((one) => one.checkVisibility())
                    .map((one) => [one.outerHTML, (one.closest("label") ?? one)
                        .getBoundingClientRect()])
                    .filter(([, box]) => box.height < 44 || box.width < 44)
                    .map(([html]) => html)"""
            )
            assert small == []
        page.get_by_role("button", name="Use the current picture").click()
        expect(page.locator("#teach .frame")).to_be_visible()
        page.evaluate("scrollTo(0, 0)")
        expect(page.get_by_role("button", name="Teach")).to_be_in_viewport(ratio=1)
        show(page, VIEWS[0])
        page.get_by_role("button", name="Why?").click()
        expect(details(page)).to_be_in_viewport()


CONTRASTS = """() => {
    const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = ([red, green, blue]) => {
        const [r, g, b] = [red, green, blue].map((one) => one / 255).map(
            (one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = numbers(getComputedStyle(at).backgroundColor);
            if (colour.length === 3) return colour;
        }
        throw new Error("no ground");
    };
    const texts = [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility()
        && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
    return texts.map((one) => {
        const [a, b] = [light(numbers(getComputedStyle(one).color)), light(ground(one))];
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.outerHTML.slice(0, 80)];
    });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_by_day_and_by_night(
    browser: Browser, address: str, picture: Path, scheme: str
) -> None:
    with tab(browser, address, color_scheme=scheme) as opened:
        page = opened.page
        choose(page, picture)
        segmentation = segment(page, CLASSES)
        page.mouse.click(*place_of(page, next(targets(segmentation)), segmentation))
        for view in VIEWS:
            show(page, view)
            faint = [line for line in page.evaluate(CONTRASTS) if line[0] < 4.5]
            assert faint == []
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        levels = [int(level) for level in ground.removeprefix("rgb(").removesuffix(")").split(",")]
        assert (max(levels) < 64) == (scheme == "dark")


def test_every_control_has_a_name(page: Page, picture: Path) -> None:
    choose(page, picture)
    segment(page, CLASSES)
    for view in VIEWS:
        show(page, view)
        for control in page.locator("button:visible, input:visible, select:visible").all():
            expect(control).to_have_accessible_name(re.compile(r"\w"))
    assert page.locator("main, header, footer, nav").count() == 4


def test_a_lone_exemplar_has_its_words_beside_it(page: Page) -> None:
    picture, words = page.evaluate(
        """async () => {
            const { gallery } = await import("./page/scripts/elements.js");
            const one = { caption: "a dog", similarity: 1, source: "", thumbnail: "" };
            const list = gallery([one]);
            document.querySelector("main").append(list);
            return [...list.querySelectorAll("img, figcaption")].map(
                (part) => part.getBoundingClientRect().toJSON());
        }"""
    )
    assert words["left"] > picture["right"]
    assert words["top"] == picture["top"]
    assert words["width"] > picture["width"]


# What the page computes by itself


READ_MASK = """async ([rle, height, width]) => {
    const { RleMask } = await import("./page/scripts/rle.js");
    const mask = new RleMask(rle);
    const painted = (high, wide) => {
        const rows = new Uint8Array(high * wide);
        mask.paint(rows, wide, high, 1);
        return rows.join("");
    };
    let asked = "";
    for (let y = 0; y < mask.height; y += 1)
        for (let x = 0; x < mask.width; x += 1) asked += Number(mask.has(x, y));
    return [painted(mask.height, mask.width), asked, painted(height, width)];
}"""


def test_masks_are_read_as_pycocotools_reads_them(page: Page) -> None:
    random = np.random.default_rng(0)
    for number in range(40):
        height, width = random.integers(1, 60, size=2).tolist()
        mask = random.random((height, width)) < random.choice([0.0, 0.02, 0.5, 0.98, 1.0])
        if number % 3 == 0:
            mask = np.kron(mask, np.ones((5, 3), bool)).astype(bool)
        height, width = mask.shape
        small = max(1, height // 2), max(1, width // 3)
        rle = encode_mask(mask).model_dump()
        painted, asked, less = page.evaluate(READ_MASK, [rle, *small])
        assert painted == asked == digits(decode_mask(rle))
        rows, columns = (
            ((np.arange(few) + 0.5) * many / few).astype(int)
            for few, many in zip(small, (height, width), strict=True)
        )
        assert less == digits(mask[np.ix_(rows, columns)])


def digits(mask: Mask) -> str:
    return "".join(map(str, mask.astype(int).ravel()))


def test_classes_have_the_colours_of_the_overlay(page: Page) -> None:
    names = (*(f"class {number}" for number in range(199)), "Background")
    colours = page.evaluate(
        """async (names) => {
            const { colourOf } = await import("./page/scripts/colours.js");
            return names.map((name, index) => colourOf(index, name));
        }""",
        list(names),
    )
    assert colours == class_colours(names).tolist()
