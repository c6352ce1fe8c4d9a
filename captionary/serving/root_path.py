"""A service under a path of a proxy's, as in https://host/captionary/."""

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class RootPath:
    """Middleware for a service under a path, whether the proxy strips it from requests or not.

    root: as in /captionary; "" is no path at all.
    """

    def __init__(self, app: ASGIApp, *, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its whole path and what of it is not the service's."""
        if scope["type"] != "http" or not self._root:
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path == self._root:
            # Not a whole address: the service does not know by which name and scheme it is reached.
            await RedirectResponse(f"{self._root}/")(scope, receive, send)
            return
        whole = path if path.startswith(f"{self._root}/") else self._root + path
        await self._app({**scope, "path": whole, "root_path": self._root}, receive, send)
