"""The pages a browser gets: what Vite built, under a policy that lets them talk to nobody but this host."""

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Monaco and GraphiQL write style attributes and elements.
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "vary": "accept",  # At /graphql the same address gives a page or an answer.
}
REVALIDATE = "no-cache"
FOREVER = "public, max-age=31536000, immutable"
NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Headway</title>
<body style="font-family: sans-serif; max-width: 40em; margin: 4em auto; line-height: 1.5">
<h1>Headway is running</h1>
<p>Its pages are not built yet. Build them with</p>
<pre>cd ui && npm ci && npm run build</pre>
<p>and reload. The API needs no page: POST to <code>/graphql</code>.</p>
</body></html>
"""


class Pages(StaticFiles):
    """Serves `dist` below `/ui`; files under `assets/` carry a hash in their name and may be kept for ever."""

    def __init__(self, dist: str) -> None:
        super().__init__(directory=dist, html=True, check_dir=False)
        self._index = Path(dist) / "index.html"
        self._board = Path(dist) / "board.html"

    def explorer(self) -> Response:
        """Return the explorer page, or one that says how to build it."""
        return _page(self._index)

    def board(self) -> Response:
        """Return the task board, which finds in its address what to show; or a page that says how to build it."""
        return _page(self._board)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file of the build with its caching rule. Raises HTTPException 404 where there is none."""
        if not self._index.is_file():
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        if response.status_code == 404:
            raise HTTPException(404)
        response.headers.update(SECURITY_HEADERS)
        response.headers["cache-control"] = FOREVER if path.startswith("assets/") else REVALIDATE
        return response


def _page(file: Path) -> Response:
    headers = {**SECURITY_HEADERS, "cache-control": REVALIDATE}
    return FileResponse(file, headers=headers) if file.is_file() else HTMLResponse(NOT_BUILT, headers=headers)
