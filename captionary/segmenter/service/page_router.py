"""The web page of the segmenter: its files, its colours, and its Content-Security-Policy."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from captionary.segmenter.background import BACKGROUND
from captionary.segmenter.drawing.palette import GREY, distinct_colours

FOLDER = Path(__file__).with_name("page")


def page_router(*, indexer: str | None) -> APIRouter:
    """Build the routes `/` and `/page/...`.

    indexer: where the page sends captioned pictures: an address, "" for the page's own, or None.
    """
    files = StaticFiles(directory=FOLDER, html=True)
    headers = {
        "Content-Security-Policy": content_security_policy(indexer),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    router = APIRouter(include_in_schema=False)

    # Before the next route, whose path takes everything. Not `async`: the palette is computed in a
    # thread the first time.
    @router.api_route("/page/scripts/palette.js", methods=["GET", "HEAD"])
    def palette() -> Response:
        """The colours of classes."""
        return Response(palette_script(), headers=headers, media_type="text/javascript")

    @router.api_route("/page/{path:path}", methods=["GET", "HEAD"])
    async def file(request: Request, path: str) -> Response:
        """A file of the page."""
        response = await files.get_response(path, request.scope)
        response.headers.update(headers)
        return response

    @router.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        """The page itself."""
        if not (root := request.scope.get("root_path", "")):
            return await file(request, "index.html")
        # So it also works where the proxy shows it without a slash at the end.
        html = (FOLDER / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(html.replace('"page/', f'"{root}/page/'), headers=headers)

    return router


def palette_script() -> str:
    """The palette that overlays are drawn with, as a JavaScript module for the page."""
    constants = {"COLOURS": distinct_colours().tolist(), "GREY": GREY, "BACKGROUND": BACKGROUND}
    return "".join(f"export const {name} = {json.dumps(constants[name])};\n" for name in constants)


def content_security_policy(indexer: str | None) -> str:
    """Loads nothing from elsewhere, is framed by no other page, and may talk to the indexer."""
    parts = urlsplit(indexer or "")
    elsewhere = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return (
        f"default-src 'self'; img-src 'self' data: blob:; connect-src 'self'{elsewhere}; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    )
