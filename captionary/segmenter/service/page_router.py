"""The page to try the segmenter in a browser: files beside this one, sent with care."""

from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).with_name("page")


def page_router(*, indexer: str | None, folder: Path = FOLDER) -> APIRouter:
    """`/` and `/page/...`.

    indexer: where the page sends captioned pictures: an address, "" for the page's own, or None.
    """
    files = StaticFiles(directory=folder, html=True, check_dir=False)
    headers = {
        "Content-Security-Policy": policy(indexer),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    router = APIRouter(include_in_schema=False)

    @router.api_route("/page/{path:path}", methods=["GET", "HEAD"])
    async def file(request: Request, path: str) -> Response:
        """A file of the page."""
        response = await files.get_response(path, request.scope)
        response.headers.update(headers)
        return response

    @router.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        """The page itself."""
        return await file(request, "index.html")

    return router


def policy(indexer: str | None) -> str:
    """Nothing from elsewhere, in no other page; its own pictures; words with the indexer."""
    parts = urlsplit(indexer or "")
    elsewhere = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return (
        f"default-src 'self'; img-src 'self' data: blob:; connect-src 'self'{elsewhere}; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    )
