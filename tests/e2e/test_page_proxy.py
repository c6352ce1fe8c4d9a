"""The page under a path of a reverse proxy's, in a real browser, from a picture to a new noun."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from playwright.sync_api import Browser, expect
from starlette.responses import Response

from tests.e2e.browsing import MARKS, choose, segment, served, services, tab
from tests.scenes import draw

pytestmark = MARKS

NEW, PREFIX = "koala", "/captionary"
OF_A_CONNECTION = {"connection", "content-length", "transfer-encoding", "date"}


def proxy(upstream: str, *, strips: bool) -> FastAPI:
    """A proxy that shows a service under a path, and keeps the path from it or does not."""
    app = FastAPI(openapi_url=None)

    @app.api_route("/{path:path}", methods=["GET", "POST", "DELETE"])
    async def forward(request: Request, path: str) -> Response:
        """Send a request on, and the response back."""
        if not f"/{path}/".startswith(f"{PREFIX}/"):
            return Response("this is the proxy's own", 404)
        target = request.url.path.removeprefix(PREFIX) or "/" if strips else request.url.path
        async with httpx.AsyncClient(base_url=upstream, timeout=60) as client:
            answer = await client.request(
                request.method,
                httpx.URL(path=target, query=request.url.query.encode()),
                headers=[(k, v) for k, v in request.headers.items() if k not in OF_A_CONNECTION],
                content=await request.body(),
            )
        kept = {k: v for k, v in answer.headers.items() if k not in OF_A_CONNECTION}
        return Response(answer.content, answer.status_code, kept)

    return app


@pytest.mark.parametrize(
    ("strips", "root_path", "entry"),
    [(True, None, f"{PREFIX}/"), (False, PREFIX, PREFIX)],
    ids=["stripped", "kept"],
)
def test_the_page_works_under_a_path(
    browser: Browser, tmp_path: Path, *, strips: bool, root_path: str | None, entry: str
) -> None:
    lessons = draw(tmp_path / "lessons", 2, nouns=(NEW,)) / "images"
    with (
        services(tmp_path / "store", root_path=root_path) as upstream,
        served(proxy(upstream, strips=strips)) as address,
        # Nothing may be asked for outside of it.
        tab(browser, f"{address}{PREFIX}", entry=f"{address}{entry}") as opened,
    ):
        page = opened.page
        choose(page, lessons / "00000.png")
        assert segment(page, f"{NEW}, sky")["masks"]
        page.get_by_role("link", name="Teach", exact=True).click()
        page.get_by_role("button", name="Use the current picture").click()
        page.get_by_label("What is to be seen").fill(f"a {NEW}")
        page.get_by_role("button", name="Teach").click()
        page.locator(".lesson .chips a").click()
        expect(page.get_by_role("heading", name=NEW)).to_be_visible()
        page.get_by_role("link", name="Dictionary").click()
        expect(page.locator("#nouns")).to_contain_text(NEW)
        assert not opened.error_statuses
