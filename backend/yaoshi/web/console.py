"""The pages: files that were built beforehand, served from this process, with nothing from elsewhere."""

import gzip
import mimetypes
from functools import cache
from importlib.resources import files
from pathlib import Path

from flask import Flask, Response, redirect, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

PLACE = "/console/"
MOST_LOGO_NBYTES = 100_000
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_NOT_BUILT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Pages are not built</title></head>
<body><h1>The pages are not built</h1>
<p>Run <code>python dev.py pages</code>, or install the released package.</p></body>
</html>
"""
mimetypes.add_type("text/javascript", ".js")


def logo_of(path: Path) -> tuple[str, bytes]:
    """Return the address and content of an installation's logo. Raises ValueError: unreadable, too large, no image."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    if len(content) > MOST_LOGO_NBYTES:
        raise ValueError(f"{path} is larger than {MOST_LOGO_NBYTES // 1000} kB")
    kinds = {".svg": b"<svg" in content, ".png": content.startswith(b"\x89PNG\r\n\x1a\n")}
    if not kinds.get(path.suffix.lower()):
        raise ValueError(f"{path} is no SVG or PNG file")
    return f"{PLACE}logo{path.suffix.lower()}", content


def install(app: Flask, logo: Path | None = None) -> None:
    """Serve the pages under `/console/`, and send browsers there that ask for `/`; API callers get their JSON."""
    own = dict([logo_of(logo)]) if logo else {}

    def to_the_pages() -> AnyResponse | None:
        if request.path == "/" and request.method == "GET" and _wants_a_page() and _file("index.html"):
            return redirect(PLACE, 302)
        return None

    def page(path: str) -> Response:
        found = own.get(PLACE + path) or _file(path)
        if found and path != "index.html":
            # Names of built files change with their content, so they may be kept for ever.
            kept = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
            return _compressed(found, mimetypes.guess_type(path)[0] or "application/octet-stream", kept)
        if path.startswith("assets/") or not (_wants_a_page() or request.headers.get("Accept", "*/*") == "*/*"):
            raise NotFound()
        # Every other address is a page's own: the router in the browser knows it.
        answer = _compressed(_file("index.html") or _NOT_BUILT.encode(), "text/html; charset=utf-8", "no-cache")
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer

    app.before_request(to_the_pages)
    app.add_url_rule(PLACE, "console", lambda: page("index.html"))
    app.add_url_rule(PLACE + "<path:path>", "console_path", page)


def _wants_a_page() -> bool:
    return "text/html" in request.headers.get("Accept", "")


@cache
def _files() -> dict[str, bytes]:
    """Return every built file by its path; none where the pages were not built."""
    root = files("yaoshi") / "_console"
    found: dict[str, bytes] = {}
    waiting = [("", root)] if root.is_dir() else []
    while waiting:
        prefix, folder = waiting.pop()
        for entry in folder.iterdir():
            if entry.is_dir():
                waiting.append((f"{prefix}{entry.name}/", entry))
            else:
                found[prefix + entry.name] = entry.read_bytes()
    return found


def _file(path: str) -> bytes | None:
    return _files().get(path)


@cache
def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _compressed(content: bytes, kind: str, kept: str) -> Response:
    headers = {"Cache-Control": kept, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        content = _gzipped(content)
        headers["Content-Encoding"] = "gzip"
    return Response(content, content_type=kind, headers=headers)
