"""The console: files built by `make console`, served from memory with the headers that keep a page to itself.

| request              | answer                                                                 |
|----------------------|------------------------------------------------------------------------|
| GET /                | 307 to /console/                                                       |
| GET /console         | 307 to /console/                                                       |
| GET /console/        | index.html, never cached; 503 and what to do if nothing was built      |
| GET /console/{path}  | a file that was there when the node started; names with hashes for ever |

What is served is what a walk through the folder finds at the start, and looked up by its whole name: a request never
becomes a path of the file system. Everybody may read it; what the console shows it asks the API for.
"""

from __future__ import annotations

import gzip
import re
from html import escape
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from twinproof.node.config import Access
from twinproof.server.access import Rule
from twinproof.server.app import IMMUTABLE

WEB: Final = Path(__file__).parent / "web"
"""Where `make console` puts the files."""
CONSOLE: Final = "/console/"
RULES: Final = {"/": Rule.OPEN, "/console": Rule.OPEN, "/console/{path:path}": Rule.OPEN}

_INDEX: Final = "index.html"
_OFFLINE: Final = "verify.html"
"""The page that checks evidence without a node."""
_HASHED: Final = "assets/"
"""The folder of files whose names change with their contents."""
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_PACKED: Final = frozenset({".png", ".webp", ".woff2"})
"""Types that are compressed already."""
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?=/|\Z)")


def policy(issuer: str = "") -> str:
    """The Content-Security-Policy (W3C CSP3); `issuer`, an OIDC issuer's URL, may be asked besides this node."""
    place = _ORIGIN.match(issuer)
    others = f" {place[0]}" if place else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"connect-src 'self'{others}; worker-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


class Console:
    """The routes; files are read once, here, and compressed when they are first asked for so."""

    def __init__(self, access: Access, folder: Path = WEB) -> None:
        self.files = read_files(folder)
        """Contents by name, below /console/."""
        self._gzipped: dict[str, bytes] = {}
        self.headers = {
            "content-security-policy": policy(access.issuer if access.client_id else ""),
            "cross-origin-opener-policy": "same-origin",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        """Of every answer."""

    def routes(self) -> list[Route]:
        """All routes."""
        return [
            Route("/", self.lead),
            Route("/console", self.lead),
            Route("/console/{path:path}", self.file),
        ]

    async def lead(self, request: Request) -> Response:
        """Lead to the console."""
        return RedirectResponse(CONSOLE, 307, self.headers)

    async def file(self, request: Request) -> Response:
        """A file, or a page that says what is missing."""
        name = request.path_params["path"] or _INDEX
        data = self.files.get(name)
        if data is None:
            return self._missing(name)
        suffix = Path(name).suffix
        headers = {**self.headers, "cache-control": IMMUTABLE if name.startswith(_HASHED) else "no-store"}
        if suffix not in _PACKED:
            headers["vary"] = "accept-encoding"
            if takes_gzip(request.headers.get("accept-encoding", "")):
                headers["content-encoding"] = "gzip"
                data = await run_in_threadpool(self._gzip, name, data)
        if name == _OFFLINE:
            # To be kept and opened from a disk: its inline script is not for this origin.
            headers["content-disposition"] = f'attachment; filename="{_OFFLINE}"'
        response = Response(data, headers=headers)
        # Not as media_type: Starlette adds a charset to texts of its own choice.
        response.headers["content-type"] = _TYPES.get(suffix, "application/octet-stream")
        return response

    def _gzip(self, name: str, data: bytes) -> bytes:
        # Two threads may compress the same file: the bytes are the same.
        if name not in self._gzipped:
            self._gzipped[name] = gzip.compress(data, 9, mtime=0)
        return self._gzipped[name]

    def _missing(self, name: str) -> Response:
        if _INDEX in self.files:
            status, title = 404, "Not here"
            text = 'The console has no such file. <a href="/console/">Open the console</a>.'
        else:
            status, title = 503, "The console is not built"
            text = _NOT_BUILT
        body = _PAGE.format(title=escape(title), text=text)
        headers = {**self.headers, "cache-control": "no-store"}
        return Response(body, status, headers, "text/html")


def read_files(folder: Path) -> dict[str, bytes]:
    """The files below a folder by their names in it, with slashes; none for a folder that is not there.

    Links are left out, and so is what begins with a dot.
    """
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        inside = path.relative_to(folder)
        steps = [folder / parent for parent in inside.parents] + [path]
        if path.is_file() and not any(
            step.is_symlink() or step.name.startswith(".") for step in steps if step != folder
        ):
            found[inside.as_posix()] = path.read_bytes()
    return found


def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header lets gzip through (RFC 9110 §12.5.3)."""
    weights: dict[str, bool] = {}
    for one in accepted.lower().split(","):
        coding, _, parameters = one.partition(";")
        weights[coding.strip()] = not re.fullmatch(r"\s*q\s*=\s*0(?:\.0*)?\s*", parameters)
    return weights.get("gzip", weights.get("*", False))


_NOT_BUILT: Final = (
    "The node runs, but the files of its console are not there. From a copy of the repository, with Node.js, "
    "<code>make console</code> builds them; a wheel made by <code>make dist</code> holds them. "
    'Then start the node again. Its API is described in <a href="/openapi.json">/openapi.json</a>.'
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} – Twinproof</title>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
</main>
</body>
</html>
"""
