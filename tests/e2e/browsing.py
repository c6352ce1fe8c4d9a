"""The page as a user meets it: served, opened in a browser, worked with."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Locator, Page, expect

from captionary.build import ModelNames
from captionary.build_services import Role, open_app
from captionary.serving.server import address_of, listen
from captionary.serving.settings import ServeSettings
from tests.segmenter.decoding import decode_mask

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
SECONDS = 30
KEY = "a-key-that-may-read-and-write"
CLASSES = "dog, apple, umbrella, bus, man, woman"

MARKS = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs a browser at {CHROMIUM}"),
    # pycocotools does not know NumPy 2's way to copy
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an app beside the tests; the address of it."""
    with listen("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        end = time.monotonic() + SECONDS
        while not server.started and thread.is_alive() and time.monotonic() < end:
            time.sleep(0.05)
        assert server.started
        yield address_of(listening)
        server.should_exit = True
        thread.join(SECONDS)
        assert not thread.is_alive()


@contextmanager
def services(
    store: Path,
    role: Role = "both",
    keys: tuple[str, ...] = (),
    *,
    root_path: str | None = None,
) -> Iterator[str]:
    """Services on a store; the address of them."""
    settings = ServeSettings(write_keys=keys, workers=1, root_path=root_path)
    with open_app(role, ModelNames("mini"), str(store), settings) as app, served(app) as address:
        yield address


@dataclass
class WatchedTab:
    """A browser's tab, with its console errors and its requests.

    error_statuses: of responses that were no success; Chromium puts each on its console.
    urls, paths:    of all requests.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    error_statuses: list[int] = field(default_factory=list)
    urls: set[str] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(1000 * SECONDS)
        # A dialog that opens before anybody listens for one would be lost.
        self.page.on("filechooser", lambda _: None)
        self.page.on("console", lambda message: self._note_console(message.type, message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._note_request(request.url))
        self.page.on("response", lambda response: self._note_response(response.status))

    def _note_console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.errors.append(text)

    def _note_request(self, url: str) -> None:
        self.urls.add(url)
        self.paths.append(urlsplit(url).path)

    def _note_response(self, status: int) -> None:
        if status >= 400:
            self.error_statuses.append(status)


@contextmanager
def tab(
    browser: Browser, address: str, view: str = "", *, entry: str | None = None, **options: Any
) -> Iterator[WatchedTab]:
    """A fresh tab that shows the page; at its end nothing may have gone wrong unnoticed.

    entry: where it is entered, if it is not the address and a slash.
    """
    options = {"viewport": {"width": 1280, "height": 900}, **options}
    with browser.new_context(**options) as context:
        watched = WatchedTab(context.new_page())
        watched.page.goto(entry or f"{address}/{view}")
        yield watched
        elsewhere = [url for url in watched.urls if not url.startswith((address, "blob:", "data:"))]
        assert not elsewhere
        assert not watched.errors


def choose(page: Page, picture: Path) -> None:
    """Choose a picture by the button that is to be seen."""
    with page.expect_file_chooser() as chooser:
        page.locator("button.choose:visible").click()
    chooser.value.set_files(picture)
    expect(page.locator(".frame:visible")).to_be_visible()


def segment(page: Page, classes: str) -> dict[str, Any]:
    """Segment into classes; the JSON that the service answered."""
    page.get_by_label("Classes", exact=True).fill(classes)
    with page.expect_response("**/v1/segment") as answer:
        page.get_by_role("button", name="Segment").click()
    expect(page.locator("#legend button").first).to_be_visible()
    body: dict[str, Any] = answer.value.json()
    return body


def drop(page: Page, picture: Path, *, event: str = "drop") -> None:
    """Drop, or paste, a picture."""
    page.evaluate(
        """([bytes, name, kind]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
            const options = { bubbles: true, cancelable: true };
            document.body.dispatchEvent(kind === "paste"
                ? new ClipboardEvent(kind, { ...options, clipboardData: data })
                : new DragEvent(kind, { ...options, dataTransfer: data }));
        }""",
        [list(picture.read_bytes()), picture.name, event],
    )


@dataclass(frozen=True)
class Target:
    """A pixel to point at, and the region whose evidence it shows."""

    row: int
    column: int
    region: dict[str, Any]


def targets(answer: dict[str, Any]) -> Iterator[Target]:
    """For each class a pixel that lies in the box of a region of it, and the smallest such one."""
    for mask in answer["masks"]:
        pixels = decode_mask(mask["rle"])
        own = [region for region in answer["regions"] if region["class"] == mask["class"]]
        step = max(1, pixels.sum() // 7)
        # Not from the first pixel on: the picture's corners are round and take no press.
        for row, column in np.argwhere(pixels)[step // 2 :: step].tolist():
            around = [region for region in own if inside(region["box"], row, column)]
            if around:
                yield Target(row, column, min(around, key=lambda region: extent(region["box"])))
                break


def inside(box: list[int], row: int, column: int) -> bool:
    left, top, right, bottom = box
    return left <= column < right and top <= row < bottom


def extent(box: list[int]) -> int:
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


def place_of(page: Page, target: Target, answer: dict[str, Any]) -> tuple[float, float]:
    """Where a pixel lies on the screen."""
    box = page.locator("#stage .frame").bounding_box()
    assert box is not None
    height, width = answer["size"]
    return (
        box["x"] + (target.column + 0.5) / width * box["width"],
        box["y"] + (target.row + 0.5) / height * box["height"],
    )


def percent(share: float) -> str:
    if 0 < 100 * share < 0.05:
        return "<\N{NO-BREAK SPACE}0.1\N{NO-BREAK SPACE}%"
    digits = 1 if 0 < 100 * share < 0.95 else 0
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def colours_shown(page: Page) -> set[tuple[int, ...]]:
    """The colours on the overlay, without the lines between."""
    pixels = page.evaluate(
        """() => {
            const canvas = document.querySelector("#stage canvas");
            const { width, height } = canvas;
            const copy = new OffscreenCanvas(width, height);
            const context = copy.getContext("2d", { willReadFrequently: true });
            context.drawImage(canvas, 0, 0);
            const { data } = context.getImageData(0, 0, width, height);
            return [...new Set(new Uint32Array(data.buffer))].map(
                (one) => [one & 255, (one >> 8) & 255, (one >> 16) & 255, one >>> 24]);
        }"""
    )
    return {tuple(colour) for colour in pixels} - {(255, 255, 255, 255)}


def details(page: Page) -> Locator:
    return page.locator("#details")
